package import Kernel
import Synchronization

/// The end of every child of this process: its shims, and what their deaths leave to it as the nearest subreaper.
///
/// The model. A process that inherits orphans has to reap them, and what it reaps nobody else can ask for; so the status of each is
/// kept here for a while, by pid and start time. A body that waits for a child of its own runs inside ``making(_:)``: meanwhile
/// nothing is reaped. Shims may be reaped by whoever comes first, for their status says nothing.
package final class OrphanReaper: Sendable {
    /// A process that was reaped.
    package struct End: Sendable, Hashable {
        /// Its number, free again.
        package let pid: Int32
        /// With the number its name for ever.
        package let startTime: UInt64
        /// How it ended.
        package let status: ExitStatus
    }

    private struct Key: Hashable {
        var pid: Int32
        var startTime: UInt64
    }

    private struct State {
        var making = 0
        var recent: [Key: ExitStatus] = [:]
        var order: [Key] = []
    }

    /// How many ends are kept.
    private static let memory = 4096

    private let state = Mutex(State())
    private let wake: Wake

    /// Shared with the handler of a signal for as long as the process lives.
    private final class Wake: Sendable {
        let event: EventFd
        init() throws { event = try EventFd() }
    }

    /// Becomes a subreaper and watches for ends of children.
    ///
    /// One for each process.
    package init() throws {
        wake = try Wake()
        try ProcessAttributes.setChildSubreaper(true)
        try Children.notifyEnds(wake.event.raw)
        // What ended before the handler was there.
        wake.event.signal()
    }

    /// Readable when ``sweep()`` has something to do.
    package var descriptor: RawDescriptor { wake.event.raw }

    /// Runs a body that makes children and waits for them itself.
    package func making<T>(_ body: () throws -> T) rethrows -> T {
        state.withLock { $0.making += 1 }
        defer {
            let isLast = state.withLock { state in
                state.making -= 1
                return state.making == 0
            }
            if isLast { wake.event.signal() }
        }
        return try body()
    }

    /// Reaps what has ended.
    ///
    /// - Returns: the ends, in the order found; none while somebody is ``making(_:)``, who then calls for another sweep.
    package func sweep() -> [End] {
        _ = wake.event.drain()
        return state.withLock { state in
            var found: [End] = []
            // The number stays the child's until it is reaped, and only this lock's holder reaps.
            while state.making == 0, let pid = try? Children.ended(), let end = Self.reap(pid) {
                let key = Key(pid: pid, startTime: end.startTime)
                if state.recent.updateValue(end.status, forKey: key) == nil { state.order.append(key) }
                found.append(end)
            }
            if state.order.count > Self.memory {
                for key in state.order.prefix(state.order.count - Self.memory / 2) { state.recent[key] = nil }
                state.order.removeFirst(state.order.count - Self.memory / 2)
            }
            return found
        }
    }

    private static func reap(_ pid: Int32) -> End? {
        // A zombie still has its stat; one that somebody else has just reaped has gone, which ends this sweep.
        guard let startTime = try? ProcessFacts.startTime(of: pid), let pidfd = try? Pidfd(pid: pid),
            let status = try? pidfd.reapIfEnded()
        else { return nil }
        return End(pid: pid, startTime: startTime, status: status)
    }

    /// How the last process of this number ended that was reaped here.
    ///
    /// For one that ran a moment ago: nobody else can have had its number since.
    package func status(of pid: Int32) -> ExitStatus? {
        state.withLock { state in
            state.order.last { $0.pid == pid }.flatMap { state.recent[$0] }
        }
    }

    /// How a process ended that was reaped here.
    package func status(of pid: Int32, startTime: UInt64) -> ExitStatus? {
        state.withLock { $0.recent[Key(pid: pid, startTime: startTime)] }
    }
}
