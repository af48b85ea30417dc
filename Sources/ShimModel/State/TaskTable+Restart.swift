package import Kernel
package import ShimProtocol

// From an end to the next start, when the policy wants one.
extension TaskTable {
    /// The delay of a restart is over.
    ///
    /// - Returns: False when it does not take place any more.
    package mutating func restartDue() -> Bool {
        guard let initial, case .stopped = initial.phase else {
            return false
        }
        return restart.due()
    }

    /// The container was created again and waits for its start.
    package mutating func recreated(pid: Int32) -> [Effect] {
        guard let stdio = initial?.stdio else {
            return []
        }
        initial = ProcessRecord(pid: pid, stdio: stdio)
        activity = .active
        return [.publish(TaskEvent(.created, pid: pid))]
    }

    /// The container could not be created again, and there is no process: that counts as an end.
    package mutating func restartFailed(_ reason: String, at time: Timestamp) -> [Effect] {
        guard initial != nil else {
            return []
        }
        update(.initial) { $0.pid = 0 }
        return finish(
            .initial,
            ProcessExit(status: .unknown("restart failed: \(reason)"), startedAt: nil, exitedAt: time)
        )
    }

    /// The container could not be created again for want of descriptors, memory or space: no end, and nobody is told.
    package mutating func restartPostponed() -> [Effect] {
        restart.postpone().map { [.planRestart(after: $0.delay)] } ?? []
    }

    /// Takes over a policy.
    ///
    /// - Parameters:
    ///   - policy: The new policy; nil leaves it. A restart that is planned takes place all the same.
    ///   - stopped: Whether the user stops the container.
    /// - Returns: What follows.
    /// - Throws: `notFound` without a container, `invalidArgument` for a policy that is none.
    package mutating func setPolicy(_ policy: ShimRestartPolicy?, stopped: Bool) throws(RPCError) -> [Effect] {
        let pid = try initialRecord().pid
        if let policy { try restart.set(policy) }
        guard stopped, restart.stop() else {
            return []
        }
        return [.cancelRestart, .publish(TaskEvent(.restartCancelled, pid: pid))]
    }
}
