package import Kernel

/// The shim's only loop: descriptors and timers, on one thread.
///
/// Handlers run one after the other and must not block. A handler may add and remove watches, its own included; a watch
/// that was removed while its event was waiting is not called any more.
package final class EventLoop {
    /// Names a watched descriptor.
    package typealias Watch = UInt64
    /// Names a timer.
    package typealias Timer = UInt64

    private struct Watched {
        let descriptor: RawDescriptor
        let handler: (Readiness) -> Void
    }

    private struct Pending {
        let id: Timer
        let deadline: Timestamp
        let action: () -> Void
    }

    private let epoll: Epoll
    private var watched: [Watch: Watched] = [:]
    /// Sorted by deadline, earliest last.
    private var timers: [Pending] = []
    private var deferred: [() -> Void] = []
    private var nextID: UInt64 = 1
    /// True when something happened since the loop was last found quiet.
    private var hasWorked = true
    private var isRunning = false

    /// Idle time after which `onQuiet` is called.
    static let quiet = Duration.milliseconds(500)

    /// Called once each time the loop has been idle for a while after work, to give back memory.
    package var onQuiet: (() -> Void)?

    package init() throws(KernelError) {
        epoll = try Epoll()
    }

    // Descriptors -------------------------------------------------------------------------------------------------------

    /// Starts to watch a descriptor, which the caller keeps open until `unwatch`.
    package func watch(
        _ descriptor: RawDescriptor,
        _ events: Readiness,
        _ handler: @escaping (Readiness) -> Void
    ) throws(KernelError) -> Watch {
        let id = takeID()
        try epoll.add(descriptor, events, token: id)
        watched[id] = Watched(descriptor: descriptor, handler: handler)
        return id
    }

    /// Changes what is waited for.
    ///
    /// Empty leaves hang-up and error.
    package func change(_ watch: Watch, _ events: Readiness) throws(KernelError) {
        guard let entry = watched[watch] else {
            return
        }
        try epoll.modify(entry.descriptor, events, token: watch)
    }

    /// Stops watching.
    ///
    /// A watch that is gone is no error.
    package func unwatch(_ watch: Watch) {
        guard let entry = watched.removeValue(forKey: watch) else {
            return
        }
        // The caller closes the descriptor after this, which would remove it as well.
        try? epoll.remove(entry.descriptor)
    }

    // Timers ------------------------------------------------------------------------------------------------------------

    /// Runs an action once after a delay.
    @discardableResult
    package func after(_ delay: Duration, _ action: @escaping () -> Void) -> Timer {
        let entry = Pending(id: takeID(), deadline: Clock.monotonic.now + delay, action: action)
        let index = timers.firstIndex { $0.deadline <= entry.deadline } ?? timers.count
        timers.insert(entry, at: index)
        return entry.id
    }

    /// When a timer will run, on the monotonic clock; nil for one that has run.
    package func deadline(of timer: Timer) -> Timestamp? {
        timers.first { $0.id == timer }?.deadline
    }

    /// Forgets a timer.
    ///
    /// One that has run is no error.
    package func cancel(_ timer: Timer) {
        timers.removeAll { $0.id == timer }
    }

    /// Runs an action after the present event, before the loop waits again.
    package func soon(_ action: @escaping () -> Void) {
        deferred.append(action)
    }

    // Running -----------------------------------------------------------------------------------------------------------

    /// Handles events until `stop`.
    package func run() throws(KernelError) {
        isRunning = true
        var events: [Epoll.Event] = []
        while isRunning {
            runDeferred()
            guard isRunning else {
                return
            }
            let timeout = untilNextTimer()
            let isQuietNext = hasWorked && Self.quiet < timeout ?? Self.quiet + Self.quiet
            try epoll.wait(timeout: isQuietNext ? Self.quiet : timeout, into: &events)
            if events.isEmpty && isQuietNext {
                hasWorked = false
                onQuiet?()
                continue
            }
            hasWorked = true
            for event in events {
                watched[event.token]?.handler(event.readiness)
            }
            runTimers()
        }
    }

    /// Makes `run` return after the present event.
    package func stop() {
        isRunning = false
    }

    private func runDeferred() {
        while !deferred.isEmpty {
            let actions = deferred
            deferred = []
            for action in actions {
                action()
            }
        }
    }

    private func untilNextTimer() -> Duration? {
        timers.last.map { max(.zero, $0.deadline - Clock.monotonic.now) }
    }

    private func runTimers() {
        guard !timers.isEmpty else {
            return
        }
        let now = Clock.monotonic.now
        while let next = timers.last, next.deadline <= now {
            timers.removeLast()
            next.action()
        }
    }

    private func takeID() -> UInt64 {
        defer { nextID += 1 }
        return nextID
    }
}
