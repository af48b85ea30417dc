public import Kernel
internal import Synchronization

/// Which records a reader gives out.
public struct LogReaderOptions: Sendable {
    /// Whether to wait for more at the end, until the `LogFollowControl` says that the container has ended.
    public var follow: Bool
    /// Only records of this time or later.
    public var since: Timestamp?
    /// Only records of this time or earlier.
    ///
    /// The reader ends at the first later one; when following, also when the time has come.
    public var until: Timestamp?
    /// Only the last so many lines of what exists when reading starts, of the chosen streams and not after `until`.
    ///
    /// A line written in parts counts once. Nil gives all.
    public var tail: Int?
    /// Only these outputs.
    public var streams: StdioStreams
    /// Where an earlier reader of the same log stopped; `tail` does not count then.
    public var place: LogPlace?

    /// The options; without any, everything that exists now.
    public init(
        follow: Bool = false,
        since: Timestamp? = nil,
        until: Timestamp? = nil,
        tail: Int? = nil,
        streams: StdioStreams = .all,
        place: LogPlace? = nil
    ) {
        self.follow = follow
        self.since = since
        self.until = until
        self.tail = tail
        self.streams = streams
        self.place = place
    }
}

/// How others steer a reader that follows.
///
/// Safe from any thread.
public final class LogFollowControl: Sendable {
    private enum State {
        static let running: UInt8 = 0
        static let ended: UInt8 = 1
        static let cancelled: UInt8 = 2
    }

    let event: EventFd
    private let state = Atomic<UInt8>(State.running)

    /// A control for one reader.
    ///
    /// - Throws: `resourceExhausted` when descriptors ran out.
    public init() throws(ContainerIOError) {
        do { event = try EventFd() } catch { throw .kernel(error) }
    }

    /// Says that nothing more will be written: the reader gives out the rest and ends.
    ///
    /// Call it once the container's exit was reported: the shim writes the last byte before it reports.
    public func containerEnded() {
        _ = state.compareExchange(expected: State.running, desired: State.ended, ordering: .sequentiallyConsistent)
        event.signal()
    }

    /// Makes the reader's next call, or the one that waits now, fail with `cancelled`.
    public func cancel() {
        state.store(State.cancelled, ordering: .sequentiallyConsistent)
        event.signal()
    }

    var hasEnded: Bool { state.load(ordering: .sequentiallyConsistent) != State.running }
    var isCancelled: Bool { state.load(ordering: .sequentiallyConsistent) == State.cancelled }
}
