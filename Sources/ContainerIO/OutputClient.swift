internal import Kernel

/// Who gets a copy of a process' output.
protocol OutputClient: AnyObject {
    /// Bytes that it can take now. At zero the process' output is not read.
    var room: Int { get }
    /// Takes output. Only what `room` said, except at the end of a process, when everything is taken.
    func deliver(_ bytes: UnsafeRawBufferPointer, stream: StdioStream)
    /// What was delivered is in the log, up to its end.
    func logged()
    /// No output of this stream follows.
    func outputEnded(_ stream: StdioStream)
    /// Whether output was taken from the process that the client does not have yet.
    var owesOutput: Bool { get }
    /// When `expire` wants to be called, on the monotonic clock.
    var deadline: Timestamp? { get }
    /// The deadline has come.
    func expire(now: Timestamp)
}

extension OutputClient {
    /// A file or pipe is let go of as soon as it has everything.
    var owesOutput: Bool { true }
    func logged() {}
}

/// Limits that all clients share.
package enum ClientLimit {
    /// Output kept for a client that does not take it.
    package static let queueByteCount = 64 << 10
    /// Room below which a client counts as full.
    package static let leastRoom = 16 << 10
    /// The time in which a client for which output waits takes all of it, or `pace`.
    package static let stall = Duration.seconds(10)
    /// What keeps a client that takes something, and never all: as much as makes a full one's process go on.
    package static let pace = leastRoom
    /// What the connection of a client that is cut holds for it: its queue, also one that took all that a process left behind.
    package static let lastRoom: Int32 = 1 << 20
    /// How long a finished connection stays open for a client that is still sending.
    package static let linger = Duration.seconds(1)
}
