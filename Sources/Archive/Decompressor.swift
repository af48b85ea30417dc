internal import CIsal
internal import CZstd

/// How a stream is packed.
public enum Compression: Sendable, Equatable {
    /// Not at all.
    case none
    /// gzip, RFC 1952; several members count as one stream.
    case gzip
    /// zstd, RFC 8878; several frames count as one stream.
    case zstd

    /// Tells the packing by the first bytes of a stream.
    ///
    /// - Parameter start: At least four bytes where the stream has them.
    /// - Returns: `none` for everything that is not one of the others.
    public static func detect(_ start: some Collection<UInt8>) -> Compression {
        if start.starts(with: [0x1f, 0x8b]) { return .gzip }
        // The second is a skippable frame, which comes first in seekable archives.
        let frame = Array(start.prefix(4))
        if frame == [0x28, 0xb5, 0x2f, 0xfd] { return .zstd }
        if frame.count == 4, frame[0] & 0xf0 == 0x50, frame[1...] == [0x2a, 0x4d, 0x18] { return .zstd }
        return .none
    }
}

/// Bounds on what a stream may become when it is unpacked.
public struct StreamLimits: Sendable {
    /// Most bytes that come out.
    public var bytes: Int64
    /// Most bytes that come out for one that goes in; counts only from `ratioFloor` bytes on.
    public var ratio: Int64
    /// Bytes that may come out however small the input is.
    public var ratioFloor: Int64
    /// When the work must be done; nil is never.
    public var deadline: ContinuousClock.Instant?

    /// Creates bounds; the defaults suit a layer of an image that people use.
    public init(
        bytes: Int64 = 64 << 30,
        ratio: Int64 = 200,
        ratioFloor: Int64 = 2 << 30,
        deadline: ContinuousClock.Instant? = nil
    ) {
        self.bytes = bytes
        self.ratio = ratio
        self.ratioFloor = ratioFloor
        self.deadline = deadline
    }
}

/// Unpacks a stream within bounds; with `Compression.none` it only keeps the bounds.
///
/// Decoders, measured on 300 MB of shared libraries (100 MB packed, one core): zlib 1.2.13 0.85 s, ISA-L 2.30 0.41 s, zstd
/// 1.5.4 0.24 s. libdeflate wants a whole stream in memory, which a layer of any size rules out. So gzip is ISA-L's.
public final class Decompressor: ByteSource {
    private let source: any ByteSource
    private let limits: StreamLimits
    private var decoder: any StreamDecoder
    private var input: [UInt8]
    private var start = 0
    private var end = 0
    private var sourceEnded = false
    private var consumed: Int64 = 0

    /// Bytes given so far.
    public private(set) var produced: Int64 = 0

    /// Creates the unpacked view of a stream.
    ///
    /// - Throws: `resourceExhausted` when there is no memory for the decoder.
    public init(
        _ source: any ByteSource,
        _ compression: Compression,
        limits: StreamLimits = StreamLimits()
    ) throws(ArchiveError) {
        self.source = source
        self.limits = limits
        decoder =
            switch compression {
            case .none: PlainDecoder()
            case .gzip: try GzipDecoder()
            case .zstd: try ZstdDecoder()
            }
        input = [UInt8](repeating: 0, count: 128 << 10)
    }

    /// Gives the next unpacked bytes.
    ///
    /// - Throws: `invalidArgument` for damaged or truncated input, `resourceExhausted` past a bound, `timedOut` past the
    ///   deadline, and what the source throws.
    public func read(into buffer: inout [UInt8]) throws(ArchiveError) -> Int {
        if let deadline = limits.deadline, ContinuousClock.now >= deadline {
            throw .deadline("unpacking after \(produced) bytes")
        }
        while true {
            if start == end, !sourceEnded { try refill() }
            if start == end, sourceEnded, decoder.isAtBoundary { return 0 }
            let (used, made) = try decoder.step(input, start..<end, &buffer)
            start += used
            produced += Int64(made)
            try verifyLimits()
            if made > 0 { return made }
            if used == 0, start == end, sourceEnded { throw .truncated("compressed stream after \(produced) bytes") }
        }
    }

    private func refill() throws(ArchiveError) {
        start = 0
        end = 0
        end = try source.read(into: &input)
        consumed += Int64(end)
        sourceEnded = end == 0
    }

    private func verifyLimits() throws(ArchiveError) {
        guard produced <= limits.bytes else { throw .overLimit("stream of more than \(limits.bytes) bytes") }
        guard produced <= limits.ratioFloor || produced / max(consumed, 1) <= limits.ratio else {
            throw .overLimit("stream that unpacks to more than \(limits.ratio) times its size")
        }
    }
}

/// One packing's decoder.
private protocol StreamDecoder {
    /// Whether the input may end here.
    var isAtBoundary: Bool { get }
    /// Decodes from `input[range]` to the front of `output`; says how much it used and made.
    mutating func step(
        _ input: [UInt8],
        _ range: Range<Int>,
        _ output: inout [UInt8]
    ) throws(ArchiveError) -> (used: Int, made: Int)
}

private struct PlainDecoder: StreamDecoder {
    let isAtBoundary = true

    func step(
        _ input: [UInt8],
        _ range: Range<Int>,
        _ output: inout [UInt8]
    ) throws(ArchiveError) -> (used: Int, made: Int) {
        let count = min(range.count, output.count)
        output.replaceSubrange(0..<count, with: input[range.lowerBound..<range.lowerBound + count])
        return (count, count)
    }
}

// The pointer never leaves the object, so using the object is safe.
@safe
private final class GzipDecoder: StreamDecoder {
    // Owned here alone, freed once in deinit.
    private let state: UnsafeMutableRawPointer
    private var memberEnded = false
    private var started = false

    var isAtBoundary: Bool { memberEnded }

    init() throws(ArchiveError) {
        guard let state = unsafe cisal_new() else { throw .overLimit("no memory for a gzip decoder") }
        unsafe self.state = state
    }

    deinit {
        unsafe cisal_free(state)
    }

    func step(
        _ input: [UInt8],
        _ range: Range<Int>,
        _ output: inout [UInt8]
    ) throws(ArchiveError) -> (used: Int, made: Int) {
        if memberEnded {
            // Zeros after the last member are padding that tape-minded writers leave.
            if input[range].allSatisfy({ $0 == 0 }) { return (range.count, 0) }
            unsafe cisal_next_member(state)
            memberEnded = false
        }
        var used = UInt32(range.count)
        var made = UInt32(clamping: output.count)
        // The pointers are used during the call only, and the sizes are those of the buffers behind them.
        let result = unsafe input.withUnsafeBufferPointer { from in
            unsafe output.withUnsafeMutableBufferPointer { to in
                unsafe cisal_step(
                    state,
                    from.baseAddress.map { unsafe $0 + range.lowerBound },
                    &used,
                    to.baseAddress,
                    &made
                )
            }
        }
        guard result >= 0 else { throw .malformed("damaged gzip stream") }
        memberEnded = result == 1
        return (Int(used), Int(made))
    }
}

// The pointer never leaves the object, so using the object is safe.
@safe
private final class ZstdDecoder: StreamDecoder {
    // Owned here alone, freed once in deinit.
    private let context: OpaquePointer
    private(set) var isAtBoundary = false

    init() throws(ArchiveError) {
        guard let context = unsafe ZSTD_createDCtx() else { throw .overLimit("no memory for a zstd decoder") }
        unsafe self.context = context
    }

    deinit {
        _ = unsafe ZSTD_freeDCtx(context)
    }

    func step(
        _ input: [UInt8],
        _ range: Range<Int>,
        _ output: inout [UInt8]
    ) throws(ArchiveError) -> (used: Int, made: Int) {
        var used = 0
        var made = 0
        // The pointers are used during the call only, and the sizes are those of the buffers behind them.
        let result = unsafe input.withUnsafeBytes { from in
            unsafe output.withUnsafeMutableBytes { to in
                var source = unsafe ZSTD_inBuffer(src: from.baseAddress, size: range.upperBound, pos: range.lowerBound)
                var target = unsafe ZSTD_outBuffer(dst: to.baseAddress, size: to.count, pos: 0)
                let result = unsafe ZSTD_decompressStream(context, &target, &source)
                used = unsafe source.pos - range.lowerBound
                made = unsafe target.pos
                return result
            }
        }
        guard ZSTD_isError(result) == 0 else { throw .malformed("damaged zstd stream") }
        if used > 0 || made > 0 { isAtBoundary = result == 0 }
        return (used, made)
    }
}
