public import Kernel
internal import ShimModel
public import ShimProtocol
internal import ShimStreams

/// The shim as its backend sees it: a loop for descriptors and timers of the backend's own, and a journal for its events.
///
/// Everything here is for the shim's one thread. A handler must be as short as a call of the backend: no client, no output and no other
/// handler gets a turn while it runs. One that has much to do does a bounded part of it and is called again.
public final class BackendHost {
    /// Names a watched descriptor.
    public typealias Watch = UInt64
    /// Names a timer.
    public typealias Timer = UInt64

    // The server owns the backend, and the backend this.
    private weak let server: ShimServer?

    init(_ server: ShimServer) {
        self.server = server
    }

    // The loop ----------------------------------------------------------------------------------------------------------

    /// Watches a descriptor, level-triggered, until `unwatch`.
    ///
    /// - Parameters:
    ///   - descriptor: The backend keeps it open until then.
    ///   - events: What is waited for; hang-up and error are always told.
    ///   - handler: Called from the loop, never from inside of this. It may watch and unwatch.
    /// - Returns: The watch's name.
    /// - Throws: What epoll says.
    public func watch(
        _ descriptor: RawDescriptor,
        _ events: Readiness,
        _ handler: @escaping (Readiness) -> Void
    ) throws(KernelError) -> Watch {
        guard let server else { throw .failed("watch descriptor", .noProcess) }
        return try server.loop.watch(descriptor, events, handler)
    }

    /// Changes what is waited for.
    ///
    /// - Throws: What epoll says.
    public func change(_ watch: Watch, _ events: Readiness) throws(KernelError) {
        try server?.loop.change(watch, events)
    }

    /// Stops watching, before the descriptor is closed.
    ///
    /// A watch that is gone is no error.
    public func unwatch(_ watch: Watch) {
        server?.loop.unwatch(watch)
    }

    /// Runs an action once.
    ///
    /// - Parameters:
    ///   - delay: From now, on the clock that stands still while the machine sleeps.
    ///   - action: Called from the loop.
    /// - Returns: The timer's name, for `cancel`.
    @discardableResult
    public func after(_ delay: Duration, _ action: @escaping () -> Void) -> Timer {
        server?.loop.after(delay, action) ?? 0
    }

    /// Forgets a timer.
    ///
    /// One that has run is no error.
    public func cancel(_ timer: Timer) {
        server?.loop.cancel(timer)
    }

    // The journal -------------------------------------------------------------------------------------------------------

    /// Whether there is a journal: not under containerd, where what is published goes nowhere.
    public var hasJournal: Bool { server?.configuration.hasJournal ?? false }

    /// Number of the last event, whoever published it; after `restore` of the last that is in the journal.
    public var lastEvent: UInt64 { server?.journal.lastSeq ?? 0 }

    /// Number of the last event that the manager has made durable.
    ///
    /// A backend that can wait publishes nothing more while too much is above it: the journal keeps what is not acknowledged.
    public var acknowledgedEvent: UInt64 { server?.journal.acknowledged ?? 0 }

    /// Runs an action whenever the manager has made events durable; one that was given before runs no more.
    ///
    /// - Parameter action: Called while a call of the manager is served: it does little.
    public func afterAcknowledgement(_ action: @escaping () -> Void) {
        server?.afterAcknowledgement = action
    }

    /// Publishes an event: it is in the journal's file when this returns, and has the number `lastEvent`.
    ///
    /// - Parameters:
    ///   - topic: `EventTopic.denials` or `EventTopic.learned`.
    ///   - report: What the event tells.
    public func publish(_ topic: String, _ report: ShimSyscallReport) {
        guard let server else { return }
        let pid = server.table.initial?.pid ?? 0
        server.publish(TaskEvent(.syscalls(topic: topic, report), pid: pid), at: .now)
    }

    // The state ---------------------------------------------------------------------------------------------------------

    /// What `state` and `heldDescriptors` give is different now, and not for a call of the shim's: both are asked again.
    public func stateChanged() {
        server?.saveState()
    }

    /// A line for the shim's own log.
    ///
    /// - Parameters:
    ///   - message: What has happened, without values.
    ///   - values: Names and values.
    public func log(_ message: StaticString, _ values: (String, String)...) {
        ShimLog.write(message, values)
    }
}
