public import Kernel

/// Which log records to read.
public struct LogOptions: Sendable {
    /// Whether stdout is wanted.
    public var stdout = true
    /// Whether stderr is wanted.
    public var stderr = true
    /// Whether to go on until the container ends.
    public var follow = false
    /// Records from this time on.
    public var since: Timestamp?
    /// Records up to this time.
    public var until: Timestamp?
    /// From this place on, whatever `tail` says; nil from the oldest record on.
    public var cursor: LogCursor?
    /// Only the last so many records; nil is all.
    public var tail: Int?

    /// Everything that there is, both streams.
    public init() {}
}

/// One piece of output with its time.
public struct LogRecord: Sendable {
    /// Which stream.
    public enum Stream: UInt8, Sendable {
        /// Standard output.
        case stdout = 1
        /// Standard error.
        case stderr = 2
    }

    /// Which stream.
    public var stream: Stream
    /// When it was read from the process.
    public var time: Timestamp
    /// The bytes; a complete line ends with a newline, a piece of a long line does not.
    public var bytes: [UInt8]

    /// `bytes` of `stream`, read at `time`.
    public init(stream: Stream, time: Timestamp, bytes: [UInt8]) {
        self.stream = stream
        self.time = time
        self.bytes = bytes
    }
}
