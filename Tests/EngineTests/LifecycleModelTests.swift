import EngineModel
import Kernel
import ModelCheck
import Testing

/// All orders of events, up to a depth, on the life of a container.
///
/// The world around it: a shim with at most one task, whose end lies in a journal until somebody takes it; actions that are
/// performed one by one, with anything in between; users who ask for everything at any time; and a manager that dies at any
/// time, also in the middle of its actions, and recovers from what it had written down.
struct LifecycleModelTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var policy: RestartPolicy
        var autoRemove = false
        var depth: Int

        var testDescription: String { "\(policy)\(autoRemove ? ", removed by itself" : "")" }
    }

    static let cases = [
        Case(policy: .no, depth: 14), Case(policy: .no, autoRemove: true, depth: 14),
        Case(policy: .onFailure(maximum: 1), depth: 11), Case(policy: .unlessStopped, depth: 11),
        Case(policy: .always, depth: 11),
    ]

    @Test(arguments: cases) func nothingIsLostInAnyOrder(of one: Case) {
        let result = explore(ContainerWorld(policy: one.policy, autoRemove: one.autoRemove), depth: one.depth)
        print("life cycle, \(one.testDescription): \(result)")
        #expect(result.violation == nil, "\(result)")
        #expect(result.states > 1000)
    }

    /// The search finds a fault of every kind: each breaks one rule of the code or of its caller.
    @Test(arguments: ContainerWorld.Fault.allCases) func faultIsFound(fault: ContainerWorld.Fault) {
        let world = ContainerWorld(policy: .unlessStopped, autoRemove: false, fault: fault)
        let result = explore(world, depth: 11)
        print("with the fault \(fault): \(result)")
        #expect(result.violation != nil, "\(fault) was not noticed: \(result)")
    }
}

/// One container, its shim, its users and its manager.
struct ContainerWorld: Model {
    /// Rules that can be broken on purpose.
    enum Fault: String, CaseIterable, Sendable {
        /// The wait is answered before the end is written down.
        case releaseBeforeCommit
        /// The second half of the actions after an exit is forgotten.
        case exitIsNotWritten
        /// What the user asked for does not reach the policy.
        case stopIsForgotten
        /// A recovered manager takes an end for new that it has written down already.
        case exitIsTakenTwice
        /// A start takes the journal of the run before away although its end is not on disk.
        case startBeforeWrite
        /// A timer of an earlier restart starts a task whatever the state says.
        case timerIsBelieved
    }

    /// What the container's owner has still to do.
    enum Step: Hashable {
        /// Everything that happened and is not on disk, in one transaction with the state of the moment.
        case write
        case release(Int)
        case tearDown, cancelRestart, scheduleRestart, remove
    }

    /// An event before it is written.
    struct Draft: Hashable {
        var name: String
        var code: Int?
    }

    /// What the shim has.
    enum Task: Hashable {
        case none
        case runs(frozen: Bool)
        case ended(UInt8, taken: Bool)
    }

    enum Event: String, CustomStringConvertible {
        case start, stop, kill, lastRun, remove, removeByForce, pause, unpause
        case taskBegins, startIsAnswered, startFails
        case taskEndsWell, taskEndsBadly, exitArrives
        case timerFires, actionIsPerformed, removalIsDone, removalFails
        case managerDies, recovered

        var description: String { rawValue }
    }

    static let mostRuns = 3
    static let mostDeaths = 1

    let fault: Fault?
    let policy: RestartPolicy
    let autoRemove: Bool
    var life: Lifecycle
    /// What is on disk.
    var stored: PersistedState
    var task = Task.none
    /// Between a request, or a timer, and the answer of the shim.
    var isStarting = false
    var hasBegun = false
    var timers = 0
    var steps: [Step] = []
    /// Events that are not on disk, with the exit code of each end.
    var outbox: [Draft] = []
    /// Exit codes that are on disk, in an event or as the last one.
    var written: Set<Int> = []
    var isRecovering = false
    var deaths = 0
    /// Tasks that began and were not undone, and of those the ones that ended.
    var runs = 0
    var ends = 0
    /// Events on disk.
    var startEvents = 0
    var dieEvents = 0
    /// Whether the user has the last word that the container be stopped.
    var isStoppedByUser = false
    var isGone = false

    init(policy: RestartPolicy, autoRemove: Bool, fault: Fault? = nil) {
        self.fault = fault
        self.policy = policy
        self.autoRemove = autoRemove
        life = Lifecycle(policy: policy, autoRemove: autoRemove)
        stored = PersistedState(life)
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(task)
        hasher.combine(life.status)
        hasher.combine(timers)
        hasher.combine(steps)
        hasher.combine(outbox)
        hasher.combine(runs)
        hasher.combine(ends)
        hasher.combine(startEvents)
        hasher.combine(dieEvents)
        hasher.combine(deaths)
        hasher.combine(isStarting)
        hasher.combine(isStoppedByUser)
    }

    /// Each run has times of its own, so that a record of an earlier one can be told apart.
    private var startTime: Timestamp { Timestamp(seconds: Int64(runs) * 100) }
    private var endTime: Timestamp { Timestamp(seconds: Int64(runs) * 100 + 1) }

    // What can happen -------------------------------------------------------------------------------------------------

    var possible: [Event] {
        var events: [Event] = []
        if !steps.isEmpty { events.append(.actionIsPerformed) }
        if isRecovering {
            if steps.isEmpty { events.append(.recovered) }
        } else if !isGone {
            events += [.start, .stop, .kill, .lastRun, .remove, .removeByForce, .pause, .unpause]
        }
        if isStarting {
            // The engine writes the end of the run before first: with its bundle goes its journal.
            let isWritten = outbox.isEmpty || fault == .startBeforeWrite
            if !hasBegun, runs < Self.mostRuns, isWritten { events.append(.taskBegins) }
            events.append(hasBegun ? .startIsAnswered : .startFails)
        }
        switch task {
        case .runs(frozen: false): events += [.taskEndsWell, .taskEndsBadly]
        case .ended(_, taken: false) where !isRecovering: events.append(.exitArrives)
        case .none, .runs, .ended: break
        }
        if timers > 0, !isRecovering { events.append(.timerFires) }
        if life.phase == .removing, !isRecovering { events += [.removalIsDone, .removalFails] }
        if deaths < Self.mostDeaths, !isGone { events.append(.managerDies) }
        return events
    }

    mutating func happen(_ event: Event) -> String? {
        switch event {
        case .start, .stop, .kill, .lastRun, .remove, .removeByForce, .pause, .unpause: return ask(event)
        case .taskBegins: return taskBegins()
        case .startIsAnswered:
            isStarting = false
            hasBegun = false
            return follow(life.startSucceeded(pid: Int32(runs), at: startTime))
        case .startFails:
            isStarting = false
            return follow(life.startFailed("failed", exitCode: 125))
        case .taskEndsWell: return taskEnds(0)
        case .taskEndsBadly: return taskEnds(1)
        case .exitArrives: return exitArrives()
        case .timerFires: return timerFires()
        case .actionIsPerformed: return perform()
        case .removalIsDone:
            life.removed()
            isGone = true
            return nil
        case .removalFails:
            life.removeFailed("busy")
            return nil
        case .managerDies: return managerDies()
        case .recovered:
            isRecovering = false
            let again = life.engineStarted()
            // Docker's rule: "always" means always again when the manager starts.
            if !again.isEmpty, policy == .always { isStoppedByUser = false }
            return follow(again)
        }
    }

    // Users -----------------------------------------------------------------------------------------------------------

    private mutating func ask(_ event: Event) -> String? {
        let before = life
        do throws(Lifecycle.Refusal) {
            switch event {
            case .start:
                try life.startRequested()
                if isStarting { return "two starts at a time" }
                isStarting = true
                isStoppedByUser = false
            case .stop:
                let actions = try life.stopRequested()
                noteStop()
                return follow(actions)
            case .kill:
                let actions = try life.killRequested(endsContainer: true)
                noteStop()
                return follow(actions)
            case .lastRun:
                life.lastRunRequested()
                // It is about what runs or is being started; a restart that waits is the removal's to cancel.
                if !life.isAtRest, life.status != .restarting || isStarting { noteStop() }
            case .remove: return follow(try life.removeRequested(force: false))
            case .removeByForce: return follow(try life.removeRequested(force: true))
            case .pause:
                try life.pauseRequested()
                // The shim refuses for a task that has ended meanwhile.
                guard task == .runs(frozen: false) else { break }
                task = .runs(frozen: true)
                return follow(life.paused())
            default:
                try life.unpauseRequested()
                guard task == .runs(frozen: true) else { break }
                task = .runs(frozen: false)
                return follow(life.resumed())
            }
        } catch {
            return life == before ? nil : "\(event) was refused (\(error)) and changed something"
        }
        return nil
    }

    private mutating func noteStop() {
        isStoppedByUser = true
        guard fault == .stopIsForgotten, case .running = life.phase else { return }
        life = Lifecycle(restored: stored, policy: policy, autoRemove: autoRemove)
    }

    // The shim --------------------------------------------------------------------------------------------------------

    private mutating func taskBegins() -> String? {
        if case .runs = task { return "two instances run" }
        runs += 1
        task = .runs(frozen: false)
        hasBegun = true
        return nil
    }

    private mutating func taskEnds(_ code: UInt8) -> String? {
        ends += 1
        task = .ended(code, taken: false)
        return nil
    }

    private func exit(_ code: UInt8) -> Lifecycle.Exit {
        Lifecycle.Exit(how: ContainerExit(status: .code(code)), at: endTime)
    }

    private mutating func exitArrives() -> String? {
        guard case .ended(let code, _) = task else { return "an exit without an end" }
        task = .ended(code, taken: true)
        let wasStarting = isStarting
        let actions = life.exited(exit(code))
        if actions.isEmpty { return wasStarting ? nil : "an exit is ignored" }
        return told(actions, of: code) ?? follow(actions)
    }

    /// An exit is told completely: written, answered and torn down, in this order, once each.
    private func told(_ actions: [Lifecycle.Action], of code: UInt8) -> String? {
        let die = actions.firstIndex(of: .commit(event: "die"))
        let release = actions.firstIndex(of: .releaseExitWaits(code: Int(code)))
        let tearDown = actions.firstIndex(of: .tearDown)
        guard let die, let release, let tearDown, die < release, release < tearDown else {
            return "an exit is followed by \(actions)"
        }
        let releases = actions.count { if case .releaseExitWaits = $0 { true } else { false } }
        return releases == 1 ? nil : "an exit is answered \(releases) times"
    }

    private mutating func timerFires() -> String? {
        timers -= 1
        let isDue = fault == .timerIsBelieved ? life.restartDue() || life.phase == .exited : life.restartDue()
        guard isDue else { return nil }
        if isStoppedByUser { return "the policy starts what the user has stopped" }
        if case .runs = task { return "a restart beside a task" }
        if isStarting { return "two starts at a time" }
        isStarting = true
        return nil
    }

    // The manager -----------------------------------------------------------------------------------------------------

    private mutating func follow(_ actions: [Lifecycle.Action]) -> String? {
        var names: [String] = []
        var more: [Step] = []
        for action in actions {
            switch action {
            case .commit(let name): names.append(name)
            case .releaseExitWaits(let code): more.append(.release(code))
            case .tearDown: more.append(.tearDown)
            case .scheduleRestart: more.append(.scheduleRestart)
            case .cancelRestart: more.append(.cancelRestart)
            case .remove: more.append(.remove)
            }
        }
        if fault == .exitIsNotWritten { names.removeAll { $0 == "die" } }
        if !names.isEmpty { more.insert(.write, at: fault == .releaseBeforeCommit ? more.count : 0) }
        outbox += names.map { Draft(name: $0, code: $0 == "start" ? nil : life.lastExit?.status.number) }
        steps += more
        return nil
    }

    private mutating func perform() -> String? {
        switch steps.removeFirst() {
        case .write:
            stored = PersistedState(life)
            startEvents += outbox.count { $0.name == "start" }
            dieEvents += outbox.count { $0.name == "die" }
            written.formUnion(outbox.compactMap(\.code))
            outbox = []
            if dieEvents > startEvents { return "an end is told before its beginning" }
        case .release(let code):
            // A container that goes with its end needs no record of a start that failed.
            if !written.contains(code), !autoRemove { return "an end is told that is not on disk" }
        case .tearDown:
            guard !life.isActive, !isStarting else { break }
            if case .runs = task { return "a running task is torn down" }
            task = .none
        case .scheduleRestart:
            timers += 1
        case .cancelRestart: break
        case .remove:
            // As the container's owner does it; somebody else may have begun.
            do throws(Lifecycle.Refusal) { _ = try life.removeRequested(force: false) } catch { return nil }
        }
        return nil
    }

    private mutating func managerDies() -> String? {
        deaths += 1
        steps = []
        outbox = []
        timers = 0
        isStarting = false
        hasBegun = false
        // A request that was not answered may be lost; what is on disk is not.
        isStoppedByUser = stored.stoppedByUser && stored.status != .restarting
        life = Lifecycle(restored: stored, policy: policy, autoRemove: autoRemove)
        isRecovering = true
        let finding = finding()
        switch Recovery.decide(life.phase, finding, now: endTime) {
        case .leave, .finishRemoval, .retry: return nil
        case .succeedShim, .awaitRestart: return "a shim that lives and restarts nothing is \(life.phase)"
        case .cleanUp:
            if case .runs = task { return "a running task is torn down in recovery" }
            task = .none
            return nil
        case .adopt(let pid, let paused, let startedAt):
            return follow(life.adopted(pid: pid, paused: paused, startedAt: startedAt))
        case .recordExit(let exit): return follow(life.exited(exit))
        case .recordStartAndExit(let exit, let pid, let startedAt):
            return follow(life.adoptedEnded(exit, startedAt: startedAt, pid: pid))
        }
    }

    /// What a new manager finds; the journal's numbers say what is in the database.
    private mutating func finding() -> Recovery.Finding {
        switch task {
        case .none: return .nothing(record: nil)
        case .runs(let frozen): return .running(pid: Int32(runs), paused: frozen, startedAt: startTime)
        case .ended(let code, _):
            let isWritten = dieEvents == ends && stored.pid == nil
            if isWritten, fault != .exitIsTakenTwice { return .finished }
            task = .ended(code, taken: true)
            // The journal tells of the beginning first, where that is not on disk either.
            if startEvents < runs {
                _ = follow(life.adopted(pid: Int32(runs), paused: false, startedAt: startTime))
            }
            return .stopped(exit(code), pid: Int32(runs), startedAt: startTime)
        }
    }

    // What must always hold ---------------------------------------------------------------------------------------------

    var violation: String? {
        if isGone, life.phase != .removed { return "removed, and still \(life.phase)" }
        if (life.pid != nil) != life.isActive { return "a pid without a task" }
        if dieEvents > ends { return "more ends are told than there were" }
        if startEvents > runs { return "more beginnings are told than there were" }
        guard steps.isEmpty, !isStarting, !isRecovering, !isGone, life.phase != .removing else { return nil }
        return whenQuiet
    }

    /// With nothing on its way the books agree.
    private var whenQuiet: String? {
        switch task {
        case .runs:
            if !life.isActive { return "a task runs, and the state is \(life.phase)" }
            if startEvents != runs || dieEvents != ends {
                return "a running task, \(startEvents) of \(runs) starts told"
            }
        case .ended(_, taken: false): break
        case .ended(_, taken: true), .none:
            if life.isActive { return "no task, and the state is \(life.phase)" }
            if startEvents != runs { return "\(runs) runs, and \(startEvents) starts are told" }
            if dieEvents != ends { return "\(ends) ends, and \(dieEvents) are told" }
        }
        if stored.status != life.status, ![.restarting, .dead].contains(life.status), !isPaused {
            return "on disk \(stored.status), in memory \(life.status)"
        }
        return nil
    }

    /// Freezing is the shim's to know: a recovered manager asks it.
    private var isPaused: Bool { life.status == .paused || stored.status == .paused }
}
