/// The framing of two outputs on one connection that Docker's attach, exec and logs use: an 8 byte header (stream,
/// three zero bytes, big-endian length), then the bytes.
public enum StdCopy {
    /// Bytes in a header.
    public static let headerByteCount = 8
    /// The longest frame a decoder takes: far above what any sender writes, far below what would hurt.
    public static let maximumFrameByteCount = 16 << 20

    /// The header of a frame.
    ///
    /// - Parameters:
    ///   - stream: where the bytes came from.
    ///   - count: bytes that follow; at most `UInt32.max`.
    /// - Returns: the header as an integer whose memory, in the machine's own order, is the eight bytes.
    public static func header(_ stream: StdioStream, count: Int) -> UInt64 {
        (UInt64(stream.rawValue) << 56 | UInt64(UInt32(truncatingIfNeeded: count))).bigEndian
    }

    /// Appends one frame.
    public static func append(_ bytes: some Collection<UInt8>, stream: StdioStream, to output: inout [UInt8]) {
        append(bytes, source: stream.rawValue, to: &output)
    }

    /// Appends the frame with which a stream that is not whole ends: clients report its text as an error.
    public static func append(error text: String, to output: inout [UInt8]) {
        append(text.utf8, source: StdCopyDecoder.Source.systemError.rawValue, to: &output)
    }

    /// Marks in the stream of a client that asked for them: Berth's own, beside Docker's.
    public enum Mark: String, Sendable {
        /// The first frame: a second mark follows where the output comes to its own end.
        case begin
        /// The last frame: what came is all.
        case end
    }

    /// Appends one mark.
    public static func append(_ mark: Mark, to output: inout [UInt8]) {
        append(mark.rawValue.utf8, source: StdCopyDecoder.Source.mark.rawValue, to: &output)
    }

    private static func append(_ bytes: some Collection<UInt8>, source: UInt8, to output: inout [UInt8]) {
        let count = UInt32(truncatingIfNeeded: bytes.count)
        output.append(contentsOf: [source, 0, 0, 0])
        output.append(contentsOf: (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) })
        output.append(contentsOf: bytes)
    }
}

/// Takes frames apart that come in pieces of any size.
public struct StdCopyDecoder {
    /// A frame's stream as it stands on the wire.
    public enum Source: UInt8, Sendable {
        /// Written by some servers for what belongs on standard output.
        case stdin = 0
        /// Standard output.
        case stdout = 1
        /// Standard error.
        case stderr = 2
        /// The payload is an error message of the server.
        case systemError = 3
        /// The payload is a ``StdCopy/Mark``.
        case mark = 5
    }

    /// What can be wrong with the input.
    ///
    /// The connection is of no use afterwards.
    public enum Failure: Error, Equatable, Sendable {
        /// First byte of a header is not a known stream.
        case unknownStream(UInt8)
        /// A frame longer than `StdCopy.maximumFrameByteCount`.
        case frameTooLong(Int)
    }

    private var header: [UInt8] = []
    private var source = Source.stdout
    private var missing = 0

    /// A decoder at the start of a stream.
    public init() {}

    /// Whether the input so far ends at the end of a frame.
    public var isAtBoundary: Bool { missing == 0 && header.isEmpty }

    /// Takes the next piece of the stream apart.
    ///
    /// - Parameters:
    ///   - bytes: the next piece; may hold part of a frame or many frames.
    ///   - deliver: called for each run of payload, in order; a frame may come in several runs.
    /// - Throws: `Failure`.
    public mutating func decode(
        _ bytes: ArraySlice<UInt8>,
        deliver: (Source, ArraySlice<UInt8>) -> Void
    ) throws(Failure) {
        var rest = bytes
        while !rest.isEmpty {
            if missing == 0 {
                let taken = rest.prefix(StdCopy.headerByteCount - header.count)
                header.append(contentsOf: taken)
                rest = rest.dropFirst(taken.count)
                guard header.count == StdCopy.headerByteCount else { return }
                try beginFrame()
            }
            let run = rest.prefix(missing)
            if !run.isEmpty { deliver(source, run) }
            missing -= run.count
            rest = rest.dropFirst(run.count)
        }
    }

    private mutating func beginFrame() throws(Failure) {
        guard let source = Source(rawValue: header[0]) else { throw .unknownStream(header[0]) }
        let count = header[4...].reduce(0) { $0 << 8 | Int($1) }
        guard count <= StdCopy.maximumFrameByteCount else { throw .frameTooLong(count) }
        self.source = source
        missing = count
        header.removeAll(keepingCapacity: true)
    }
}
