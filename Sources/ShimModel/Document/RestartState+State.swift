package import Kernel
package import ShimProtocol

// The restart policy as a state, and back.

extension ShimRestartState {
    /// What a state says of the policy.
    ///
    /// - Parameters:
    ///   - restart: the policy.
    ///   - due: when the planned restart takes place, on the monotonic clock.
    package init(_ restart: RestartState, due: Timestamp?) {
        self.init()
        policy = ShimRestartPolicy(restart.rule)
        policy.longestDelayMilliseconds = UInt64(clamping: restart.longestDelay.wholeMilliseconds)
        stopped = restart.isStopped
        count = restart.count
        nextDelayMilliseconds = UInt64(clamping: restart.nextDelay.wholeMilliseconds)
        switch restart.phase {
        case .unarmed: phase = .unarmed
        case .settled: phase = .settled
        case .starting: phase = .starting
        case .waiting(let planned):
            phase = .waiting
            self.planned.count = planned.count
            self.planned.delayMilliseconds = UInt64(clamping: planned.delay.wholeMilliseconds)
            self.due = due?.nanosecondsSinceEpoch ?? 0
        }
    }
}

extension RestartState {
    /// The policy of a state.
    ///
    /// - Throws: `invalidArgument` for one that cannot be.
    package init(_ state: ShimRestartState) throws(StateError) {
        var policy = RestartState()
        do throws(RPCError) {
            try policy.set(state.policy)
        } catch {
            throw .damaged(error.message)
        }
        let phase: Phase
        switch state.phase {
        case .unarmed, .UNRECOGNIZED: phase = .unarmed
        case .settled: phase = .settled
        case .starting: phase = .starting
        case .waiting: phase = .waiting(PlannedRestart(state.planned))
        }
        self.init(
            rule: policy.rule,
            isStopped: state.stopped,
            count: state.count,
            phase: phase,
            nextDelay: .milliseconds(Int64(clamping: min(state.nextDelayMilliseconds, 86_400_000))),
            longestDelay: policy.longestDelay
        )
    }
}

extension PlannedRestart {
    /// The restart that an event or a state announces.
    package init(_ message: ShimRestart) {
        self.init(
            count: message.count,
            delay: .milliseconds(Int64(clamping: min(message.delayMilliseconds, 86_400_000)))
        )
    }
}

extension ShimRestartPolicy {
    fileprivate init(_ rule: RestartRule) {
        self.init()
        switch rule {
        case .never: name = "no"
        case .always: name = "always"
        case .unlessStopped: name = "unless-stopped"
        case .onFailure(let maximum):
            name = "on-failure"
            maximumRetries = maximum
        }
    }
}

extension TaskTable {
    /// Takes over the restart policy of a state.
    package mutating func restoreRestart(_ state: ShimRestartState) throws(StateError) {
        restart = try RestartState(state)
    }
}
