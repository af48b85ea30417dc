package import Kernel

// What the shim does by itself: it is told in the order in which it happened, and nothing of it is decided here.
extension Lifecycle {
    /// What the shim tells of init.
    package enum Report: Sendable, Equatable {
        /// It ended.
        case exited(Exit, next: Next)
        /// It runs.
        case started(pid: Int32, at: Timestamp)
        /// The restart that was told of does not take place.
        case restartCancelled
    }

    /// What follows an end.
    package enum Next: Sendable, Equatable {
        /// What the engine's policy decides: the shim has none.
        case policy
        /// What the shim has decided: the count of the next run, or nil when there is none.
        case shim(restart: Int?)
    }

    /// Whether the shim will start the container again.
    package var awaitsRestart: Bool { phase == .awaitingRestart }

    /// The shim tells of something.
    package mutating func reported(_ report: Report) -> [Action] {
        if case .starting(let rest, let early) = phase {
            phase = .starting(from: rest, early: early + [report])
            return []
        }
        switch report {
        case .started(let pid, let time): return startedByShim(pid: pid, at: time)
        case .restartCancelled: return restartCancelled()
        case .exited(let exit, let next):
            switch phase {
            case .running, .paused: return ended(exit, next: next)
            case .restarting, .awaitingRestart: return restartFailed(exit, next)
            default: return []
            }
        }
    }

    private mutating func startedByShim(pid: Int32, at time: Timestamp) -> [Action] {
        switch phase {
        case .created, .exited, .restarting, .awaitingRestart:
            phase = .running(pid: pid)
            startedAt = time
            error = ""
            return [.commit(event: "start")]
        case .starting, .running, .paused, .removing, .removed, .dead:
            return []
        }
    }

    /// An end without a start is that of a restart that failed.
    private mutating func restartFailed(_ exit: Exit, _ next: Next) -> [Action] {
        guard case .shim(let count) = next else { return [] }
        lastExit = exit.how
        finishedAt = exit.at
        if case .unknown(let reason) = exit.how.status { error = reason }
        if let count {
            phase = .awaitingRestart
            restartCount = count
            return [.commit(event: "")]
        }
        phase = .exited
        return [.commit(event: ""), .releaseExitWaits(code: exit.how.status.number), .tearDown]
    }

    private mutating func restartCancelled() -> [Action] {
        switch phase {
        case .restarting, .awaitingRestart:
            stoppedByUser = true
            phase = .exited
            return [.commit(event: ""), .releaseExitWaits(code: lastExit?.status.number ?? 0), .tearDown]
        default:
            return []
        }
    }

    /// The shim was found to wait for the time of a restart.
    package mutating func adoptedAwaiting() {
        if case .restarting = phase { phase = .awaitingRestart }
    }

    /// The shim that would have started the container again is gone: the engine does it.
    package mutating func restarterLost() -> [Action] {
        guard phase == .awaitingRestart else { return [] }
        guard !stoppedByUser else {
            phase = .exited
            return [.commit(event: ""), .releaseExitWaits(code: lastExit?.status.number ?? 0)]
        }
        phase = .restarting(delay: Self.firstDelay)
        return [.scheduleRestart(after: Self.firstDelay)]
    }
}
