/// Takes apart the frames in which both output streams share one connection (Docker Engine API, "Stream format").
///
/// A frame is one byte for the stream, three zero bytes, the length of the payload as big-endian 32 bits, and the payload. The
/// splitter takes bytes as they come, cut anywhere, and gives out payload as soon as it is there.
public struct StdcopySplitter: Sendable {
    /// The stream of a piece of output.
    public enum Stream: UInt8, Sendable {
        /// Standard input, echoed on standard output.
        case input = 0
        /// Standard output.
        case output = 1
        /// Standard error.
        case error = 2
        /// A message of the daemon about the stream itself.
        case system = 3
        /// A cursor, in Berth's own streams: one line.
        case cursor = 4
        /// Where a session's output begins, and that it has come to its own end.
        case mark = 5
    }

    /// A piece of one stream.
    public struct Piece: Sendable, Equatable {
        /// Which stream.
        public let stream: Stream
        /// Its bytes.
        public let bytes: ArraySlice<UInt8>
    }

    private var header: [UInt8] = []
    private var stream = Stream.output
    private var remaining = 0

    /// A splitter at the start of a frame.
    public init() {}

    /// Whether the bytes so far end with a whole frame.
    public var isAtBoundary: Bool {
        remaining == 0 && header.isEmpty
    }

    /// The pieces in `bytes`, which follow those of the call before.
    ///
    /// - Throws: ``ClientError`` for a frame of an unknown stream.
    public mutating func split(_ bytes: ArraySlice<UInt8>) throws(ClientError) -> [Piece] {
        var rest = bytes
        var pieces: [Piece] = []
        while !rest.isEmpty {
            if remaining == 0 {
                let taken = rest.prefix(8 - header.count)
                header += taken
                rest = rest.dropFirst(taken.count)
                guard header.count == 8 else { break }
                try readHeader()
                continue
            }
            let taken = rest.prefix(remaining)
            pieces.append(Piece(stream: stream, bytes: taken))
            remaining -= taken.count
            rest = rest.dropFirst(taken.count)
        }
        return pieces
    }

    private mutating func readHeader() throws(ClientError) {
        guard let named = Stream(rawValue: header[0]) else {
            throw .protocolViolation("output frame for stream \(header[0])")
        }
        stream = named
        remaining = header[4...].reduce(0) { $0 << 8 | Int($1) }
        header.removeAll(keepingCapacity: true)
    }
}
