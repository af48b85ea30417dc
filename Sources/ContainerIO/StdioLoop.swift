public import Kernel

/// One descriptor that the shim's loop watches for this target.
public protocol StdioSource: AnyObject {
    /// The descriptor; it stays open until `StdioLoop.remove` returned.
    var descriptor: RawDescriptor { get }

    /// What to wait for. Empty: only hang-up and error. Nil: the descriptor must be out of the epoll set, because
    /// level-triggered epoll would report its hang-up again and again.
    var interest: Readiness? { get }

    /// Called when the descriptor is ready; also when a hang-up or error came. May add, change and remove any source,
    /// this one too: a loop that works through a list of events must skip sources that were removed meanwhile.
    func ready(_ events: Readiness)
}

/// What the shim's loop does for this target.
///
/// All calls come from the loop's own thread.
public protocol StdioLoop: AnyObject {
    /// Starts to watch, as `source.interest` says.
    func add(_ source: any StdioSource)
    /// `source.interest` changed.
    func update(_ source: any StdioSource)
    /// Stops watching; the descriptor is closed right after.
    func remove(_ source: any StdioSource)
    /// Calls `stdio.tick` at a time of the monotonic clock, or earlier; forgets what it was told before about the same
    /// object.
    func schedule(_ stdio: ProcessStdio, at deadline: Timestamp)
    /// What `StdioSnapshot` would show of descriptors is not what it was.
    func descriptorsChanged()
}

extension StdioLoop {
    /// Does nothing.
    public func descriptorsChanged() {}
}

/// What all sources have in common: telling the loop, and only when there is news.
class WatchedSource: StdioSource {
    private weak var loop: (any StdioLoop)?
    private var told: Readiness?
    private(set) var isWatched = false

    var descriptor: RawDescriptor { -1 }
    var interest: Readiness? { nil }
    func ready(_ events: Readiness) {}

    func watch(with loop: any StdioLoop) {
        self.loop = loop
        isWatched = true
        told = interest
        loop.add(self)
    }

    /// Tells the loop when `interest` is no longer what it was told last.
    func interestMayHaveChanged() {
        guard isWatched, interest != told else { return }
        told = interest
        loop?.update(self)
    }

    func unwatch() {
        guard isWatched else { return }
        isWatched = false
        loop?.remove(self)
    }
}
