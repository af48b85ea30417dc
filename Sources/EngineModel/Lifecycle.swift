package import Kernel

/// The life of one container as a value: every event is one mutating method that returns what must be done, in order.
///
/// No I/O and no clock inside. The container's actor feeds it, performs the actions, and looks again after each await.
package struct Lifecycle: Sendable, Equatable {
    /// Where the container is.
    package enum Phase: Sendable, Equatable {
        /// At rest, never started.
        case created
        /// A start is being made; what overtakes its answer waits here.
        case starting(from: Rest, early: [Report])
        /// Init runs.
        case running(pid: Int32)
        /// Init is frozen.
        case paused(pid: Int32)
        /// Ended; the engine starts it again after the delay.
        case restarting(delay: Duration)
        /// Ended; the shim starts it again, and tells.
        case awaitingRestart
        /// At rest, ended.
        case exited
        /// Being removed.
        case removing
        /// Gone.
        case removed
        /// A removal failed for good.
        case dead
    }

    /// What a container at rest is.
    package enum Rest: Sendable, Equatable {
        case created, exited, restarting
    }

    /// An end of init.
    package struct Exit: Sendable, Equatable {
        package var how: ContainerExit
        package var at: Timestamp

        package init(how: ContainerExit, at: Timestamp) {
            self.how = how
            self.at = at
        }
    }

    /// What must be done, in the order returned.
    package enum Action: Sendable, Equatable {
        /// Write the state and this event in one transaction.
        case commit(event: String)
        /// Release those who wait for an exit.
        case releaseExitWaits(code: Int)
        /// Delete the task, end the shim, remove the bundle.
        case tearDown
        /// Start again after this long.
        case scheduleRestart(after: Duration)
        /// Forget the scheduled restart.
        case cancelRestart
        /// Remove the container.
        case remove
    }

    /// Why an event is refused.
    package enum Refusal: Error, Equatable {
        case alreadyRunning, notRunning, paused, notPaused, alreadyPaused, restarting, removing, starting, runs, dead
    }

    package internal(set) var phase: Phase
    package internal(set) var lastExit: ContainerExit?
    package internal(set) var startedAt: Timestamp?
    package internal(set) var finishedAt: Timestamp?
    package internal(set) var error = ""
    /// Counted when a restart is decided, as Docker does.
    package internal(set) var restartCount = 0
    /// Whether the last stop was the user's: then no policy starts it again by itself.
    package internal(set) var stoppedByUser = false
    package var policy: RestartPolicy
    package let autoRemove: Bool
    private var nextDelay = Lifecycle.firstDelay

    static let firstDelay = Duration.milliseconds(100)
    static let longestDelay = Duration.seconds(60)
    /// How long a restart waits for what it lacks.
    static let postponement = Duration.seconds(1)
    /// A run of this length counts as a success and resets the delay.
    static let steadyRun = Duration.seconds(10)

    package init(policy: RestartPolicy, autoRemove: Bool) {
        phase = .created
        self.policy = policy
        self.autoRemove = autoRemove
    }

    /// The state by Docker's names.
    package var status: ContainerState.Status {
        switch phase {
        case .created: .created
        case .starting(from: .created, _): .created
        case .starting(from: .exited, _): .exited
        case .starting(from: .restarting, _): .restarting
        case .running: .running
        case .paused: .paused
        case .restarting, .awaitingRestart: .restarting
        case .exited: .exited
        case .removing, .removed: .removing
        case .dead: .dead
        }
    }

    /// Pid of init while there is one.
    package var pid: Int32? {
        switch phase {
        case .running(let pid), .paused(let pid): pid
        default: nil
        }
    }

    package var isActive: Bool { pid != nil }

    /// Whether nothing runs and nothing will by itself.
    package var isAtRest: Bool {
        switch phase {
        case .created, .exited, .removing, .removed, .dead: true
        case .starting, .running, .paused, .restarting, .awaitingRestart: false
        }
    }

    // Start -----------------------------------------------------------------------------------------------------------

    /// A user asks for a start.
    package mutating func startRequested() throws(Refusal) {
        switch phase {
        case .created: phase = .starting(from: .created, early: [])
        case .exited: phase = .starting(from: .exited, early: [])
        case .starting, .running, .restarting, .awaitingRestart: throw .alreadyRunning
        case .paused: throw .paused
        case .removing, .removed: throw .removing
        case .dead: throw .dead
        }
        restartCount = 0
        stoppedByUser = false
        nextDelay = Self.firstDelay
        error = ""
    }

    /// The delay of a restart is over.
    ///
    /// False: it was cancelled meanwhile.
    package mutating func restartDue() -> Bool {
        guard case .restarting = phase else { return false }
        phase = .starting(from: .restarting, early: [])
        return true
    }

    /// Init runs.
    package mutating func startSucceeded(pid: Int32, at time: Timestamp) -> [Action] {
        guard case .starting(_, let early) = phase else { return [] }
        phase = .running(pid: pid)
        startedAt = time
        error = ""
        return early.reduce(into: [.commit(event: "start")]) { $0 += reported($1) }
    }

    /// The start failed and is undone.
    ///
    /// One that a policy has made is made again after a delay: it counts as an end, unless it is for want of something that will be
    /// there again (`isShortage`), such as descriptors or space. One that was refused before anything was begun (`isRefused`) leaves the
    /// last end as it is.
    package mutating func startFailed(
        _ message: String,
        exitCode: Int,
        isShortage: Bool = false,
        isRefused: Bool = false
    ) -> [Action] {
        guard case .starting(let rest, _) = phase else { return [] }
        if rest == .restarting, let delay = delay(afterFailure: exitCode, isShortage) {
            phase = .restarting(delay: delay)
            error = message
            return [.commit(event: ""), .scheduleRestart(after: delay)]
        }
        phase = rest == .created ? .created : .exited
        error = message
        if !isRefused { lastExit = ContainerExit(status: .code(UInt8(truncatingIfNeeded: exitCode))) }
        if autoRemove { return [.releaseExitWaits(code: exitCode), .remove] }
        return [.commit(event: ""), .releaseExitWaits(code: exitCode)]
    }

    private mutating func delay(afterFailure exitCode: Int, _ isShortage: Bool) -> Duration? {
        guard isShortage else {
            return restartDelay(after: ContainerExit(status: .code(UInt8(truncatingIfNeeded: exitCode))), ran: .zero)
        }
        return autoRemove || stoppedByUser || policy == .no ? nil : Self.postponement
    }

    // Exit ------------------------------------------------------------------------------------------------------------

    /// Init ended, and the engine's policy decides what follows.
    package mutating func exited(_ exit: Exit) -> [Action] {
        reported(.exited(exit, next: .policy))
    }

    /// The end of what ran.
    mutating func ended(_ exit: Exit, next: Next) -> [Action] {
        let ran = startedAt.map { exit.at - $0 } ?? .zero
        lastExit = exit.how
        finishedAt = exit.at
        let told: [Action] = [.commit(event: "die"), .releaseExitWaits(code: exit.how.status.number)]
        if case .shim(let count?) = next {
            phase = .awaitingRestart
            restartCount = count
            return told
        }
        let done = told + [.tearDown]
        if case .shim = next {
            // A policy without an end ends by the user only.
            if policy == .always || policy == .unlessStopped { stoppedByUser = true }
        } else if let delay = restartDelay(after: exit.how, ran: ran) {
            phase = .restarting(delay: delay)
            return done + [.scheduleRestart(after: delay)]
        }
        phase = .exited
        return autoRemove ? done + [.remove] : done
    }

    private mutating func restartDelay(after exit: ContainerExit, ran: Duration) -> Duration? {
        guard !autoRemove, !stoppedByUser else { return nil }
        switch policy {
        case .no: return nil
        case .always, .unlessStopped: break
        case .onFailure(let maximum):
            guard exit.status != .code(0) else { return nil }
            guard maximum == 0 || restartCount < maximum else { return nil }
        }
        if ran >= Self.steadyRun { nextDelay = Self.firstDelay }
        let delay = nextDelay
        nextDelay = min(nextDelay * 2, Self.longestDelay)
        restartCount += 1
        return delay
    }

    // Stop, kill, pause -----------------------------------------------------------------------------------------------

    /// A user asks for a stop.
    ///
    /// Actions are empty when signals must be sent.
    package mutating func stopRequested() throws(Refusal) -> [Action] {
        switch phase {
        case .running, .paused:
            stoppedByUser = true
            return []
        case .starting, .awaitingRestart:
            stoppedByUser = true
            return []
        case .restarting:
            stoppedByUser = true
            phase = .exited
            return [.cancelRestart, .commit(event: "stop"), .releaseExitWaits(code: lastExit?.status.number ?? 0)]
        case .created, .exited, .dead: throw .notRunning
        case .removing, .removed: throw .removing
        }
    }

    /// A user sends a signal.
    ///
    /// SIGKILL and the stop signal count as a stop by the user.
    package mutating func killRequested(endsContainer: Bool) throws(Refusal) -> [Action] {
        switch phase {
        case .running, .paused:
            if endsContainer { stoppedByUser = true }
            return []
        case .restarting where endsContainer, .awaitingRestart where endsContainer: return try stopRequested()
        case .restarting, .awaitingRestart: throw .restarting
        case .removing, .removed: throw .removing
        case .created, .starting, .exited, .dead: throw .notRunning
        }
    }

    /// A forced removal begins: whatever runs now or is being started is the last run.
    package mutating func lastRunRequested() {
        stoppedByUser = true
    }

    /// What runs is killed, and why; said until the next start.
    package mutating func willEnd(because reason: String) {
        error = reason
    }

    /// A user asks to freeze.
    package func pauseRequested() throws(Refusal) {
        switch phase {
        case .running: return
        case .paused: throw .alreadyPaused
        case .restarting, .awaitingRestart: throw .restarting
        default: throw .notRunning
        }
    }

    /// Frozen.
    package mutating func paused() -> [Action] {
        guard case .running(let pid) = phase else { return [] }
        phase = .paused(pid: pid)
        return [.commit(event: "pause")]
    }

    /// A user asks to thaw.
    package func unpauseRequested() throws(Refusal) {
        guard case .paused = phase else { throw isActive ? .notPaused : .notRunning }
    }

    /// Thawed.
    package mutating func resumed() -> [Action] {
        guard case .paused(let pid) = phase else { return [] }
        phase = .running(pid: pid)
        return [.commit(event: "unpause")]
    }

    // Remove ----------------------------------------------------------------------------------------------------------

    /// Begins a removal.
    ///
    /// The caller has ended the container before.
    package mutating func removeRequested(force: Bool) throws(Refusal) -> [Action] {
        switch phase {
        case .created, .exited, .dead:
            phase = .removing
            return []
        case .restarting, .awaitingRestart:
            guard force else { throw .restarting }
            stoppedByUser = true
            phase = .removing
            return [.cancelRestart]
        case .starting: throw .starting
        case .running: throw .runs
        case .paused: throw .paused
        case .removing, .removed: throw .removing
        }
    }

    /// A removal failed; what is left is shown as dead and can be removed again.
    package mutating func removeFailed(_ message: String) {
        guard case .removing = phase else { return }
        phase = .dead
        error = message
    }

    /// A removal is complete.
    package mutating func removed() {
        phase = .removed
    }

    // Recovery --------------------------------------------------------------------------------------------------------

    /// What an earlier life wrote down.
    package init(restored state: PersistedState, policy: RestartPolicy, autoRemove: Bool) {
        self.policy = policy
        self.autoRemove = autoRemove
        lastExit = state.exit
        startedAt = state.startedAt?.timestamp
        finishedAt = state.finishedAt?.timestamp
        error = state.error
        restartCount = state.restartCount
        stoppedByUser = state.stoppedByUser
        switch state.status {
        case .created: phase = .created
        case .running: phase = .running(pid: state.pid ?? 0)
        case .paused: phase = .paused(pid: state.pid ?? 0)
        case .restarting: phase = .restarting(delay: Self.firstDelay)
        case .exited: phase = .exited
        case .removing: phase = .removing
        case .dead: phase = .dead
        }
    }

    /// The shim says that init runs.
    ///
    /// What the database did not know yet is finished here.
    package mutating func adopted(pid: Int32, paused: Bool, startedAt time: Timestamp) -> [Action] {
        let wasActive = isActive
        phase = paused ? .paused(pid: pid) : .running(pid: pid)
        if wasActive {
            startedAt = startedAt ?? time
            return []
        }
        startedAt = time
        error = ""
        return [.commit(event: "start")]
    }

    /// The container's task was found to have ended although the database did not know that it ran.
    package mutating func adoptedEnded(_ exit: Exit, startedAt time: Timestamp, pid: Int32) -> [Action] {
        let begun = adopted(pid: pid, paused: false, startedAt: time)
        return begun + exited(exit)
    }

    /// Whether the policy starts a container at rest when the engine starts.
    package mutating func engineStarted() -> [Action] {
        switch phase {
        case .restarting(let delay): return [.scheduleRestart(after: delay)]
        case .exited:
            let again: Bool =
                switch policy {
                case .always: true
                case .unlessStopped: !stoppedByUser
                case .no, .onFailure: false
                }
            guard again else { return [] }
            phase = .restarting(delay: .zero)
            (restartCount, stoppedByUser, nextDelay) = (0, false, Self.firstDelay)
            return [.scheduleRestart(after: .zero)]
        default: return []
        }
    }
}
