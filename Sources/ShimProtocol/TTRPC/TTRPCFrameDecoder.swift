/// Cuts a stream of bytes into frames.
///
/// Append what was read, then call `next` until it returns nil. The decoder holds at most one incomplete frame beside the
/// bytes of the last append, and no memory at all between frames.
public struct TTRPCFrameDecoder: Sendable {
    /// What the stream held next.
    public enum Element: Sendable, Hashable {
        /// A whole frame.
        case frame(TTRPCFrame)
        /// The header of a frame that is too long. Its data is skipped as it comes; the stream stays usable.
        case oversized(streamID: UInt32, kind: TTRPCFrame.Kind, length: Int)
    }

    private var buffer: [UInt8] = []
    private var position = 0
    private var bytesToSkip = 0

    /// Makes a decoder at the start of a stream.
    public init() {}

    /// True when the stream may end here; false when its end would cut a frame.
    public var isBetweenFrames: Bool {
        position == buffer.count && bytesToSkip == 0
    }

    /// Takes the next bytes of the stream.
    public mutating func append(_ bytes: RawSpan) {
        let skipped = min(bytesToSkip, bytes.byteCount)
        bytesToSkip -= skipped
        guard skipped < bytes.byteCount else {
            return
        }
        if position > 0 {
            buffer.removeFirst(position)
            position = 0
        }
        // The span outlives the closure and is only read.
        unsafe bytes.extracting(droppingFirst: skipped).withUnsafeBytes { source in
            unsafe buffer.append(contentsOf: source)
        }
    }

    /// Takes the next bytes of the stream.
    public mutating func append(_ bytes: [UInt8]) {
        // UInt8 has no padding that its raw bytes could uncover.
        unsafe append(bytes.span.bytes)
    }

    /// The next frame, or nil when more bytes are needed.
    public mutating func next() -> Element? {
        guard buffer.count - position >= TTRPCFrame.headerLength else {
            releaseWhenEmpty()
            return nil
        }
        let length = Int(integer(at: position))
        let streamID = integer(at: position + 4)
        let kind = TTRPCFrame.Kind(rawValue: buffer[position + 8])
        let flags = TTRPCFrame.Flags(rawValue: buffer[position + 9])
        let start = position + TTRPCFrame.headerLength
        guard length <= TTRPCFrame.maximumDataLength else {
            let present = min(length, buffer.count - start)
            position = start + present
            bytesToSkip = length - present
            return .oversized(streamID: streamID, kind: kind, length: length)
        }
        guard buffer.count - start >= length else {
            return nil
        }
        position = start + length
        return .frame(TTRPCFrame(streamID: streamID, kind: kind, flags: flags, data: Array(buffer[start..<position])))
    }

    private mutating func releaseWhenEmpty() {
        guard position == buffer.count else {
            return
        }
        buffer = []
        position = 0
    }

    private func integer(at index: Int) -> UInt32 {
        UInt32(buffer[index]) << 24 | UInt32(buffer[index + 1]) << 16 | UInt32(buffer[index + 2]) << 8
            | UInt32(buffer[index + 3])
    }
}
