import EngineModel
import Kernel
import ModelCheck
import Testing

/// All orders of events, up to a depth, on a container whose shim restarts it, falls silent and dies, on a disk that may be full,
/// under a manager that dies.
struct SupervisionModelTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var policy: RestartPolicy
        var death = ShimDeath.adopt
        var depth = 10

        var testDescription: String { "\(policy), \(death.rawValue)" }
    }

    static let cases = [
        Case(policy: .no, depth: 12), Case(policy: .no, death: .kill, depth: 12), Case(policy: .onFailure(maximum: 1)),
        Case(policy: .unlessStopped), Case(policy: .unlessStopped, death: .kill), Case(policy: .always),
    ]

    @Test(arguments: cases) func nothingIsLostInAnyOrder(of one: Case) {
        let result = explore(SupervisedWorld(policy: one.policy, death: one.death), depth: one.depth)
        print("supervision, \(one.testDescription): \(result)")
        #expect(result.violation == nil, "\(result)")
        #expect(result.states > 1000)
    }

    /// The search finds a fault of every kind: each breaks one rule of the code or of its caller.
    @Test(arguments: SupervisedWorld.Fault.allCases) func faultIsFound(fault: SupervisedWorld.Fault) {
        let result = explore(SupervisedWorld(policy: .unlessStopped, death: .adopt, fault: fault), depth: 11)
        print("supervision with the fault \(fault): \(result)")
        #expect(result.violation != nil, "\(fault) was not noticed: \(result)")
    }
}

/// One container, its shim with a journal, its disk, its user and its manager.
struct SupervisedWorld: Model {
    /// Rules that can be broken on purpose.
    enum Fault: String, CaseIterable, Sendable {
        /// A tear-down takes the journal away although something of it is not in the database.
        case tearDownBeforeWrite
        /// A removal as well.
        case removeBeforeWrite
        /// A state says that a line of the journal is in it when its event is not.
        case cursorRunsAhead
        /// A shim that is silent is taken for dead.
        case silenceIsDeath
        /// The user's stop does not reach the shim.
        case stopIsForgotten
        /// What a dead shim has written down is not looked at.
        case journalIsNotRead
        /// What cannot be seen is taken for what the database says.
        case unseenIsBelieved
    }

    enum Event: String, CustomStringConvertible {
        case start, stop, remove
        case taskBegins, startIsAnswered, startFails
        case taskEndsWell, taskEndsBadly, shimStartsItAgain, shimCannotStartIt
        case lineArrives, shimDies, deathIsSeen, shimFallsSilent, shimSpeaks, lookAgain
        case timerFires, actionIsPerformed, diskIsFull, diskHasRoom, writeAgain
        case managerDies, recovered

        var description: String { rawValue }
    }

    enum Shim: Hashable { case none, alive, silent, dead }
    enum Task: Hashable { case none, runs, waits(Int), over }
    /// A line of the journal.
    enum Line: Hashable {
        case began(run: Int)
        case ended(UInt8?, restart: Int?)
        case cancelled
    }
    enum Step: Hashable { case write, tearDown, scheduleRestart }

    static let mostRuns = 3

    let policy: RestartPolicy
    let death: ShimDeath
    let fault: Fault?
    var life: Lifecycle
    var shim = Shim.none
    var task = Task.none
    /// What the shim has written down of its run, and how much of it the manager has taken in.
    var journal: [Line] = []
    var taken = 0
    /// The first line that waits for the answer to the start.
    var overtaking: Int?
    /// Restarts before this run's shim.
    var firstCount = 0
    /// Counts the shims that were started for a run; the database knows one of them.
    var run = 0
    var stored: PersistedState
    var storedRun = 0
    var storedTaken = 0
    var outbox: [String] = []
    var steps: [Step] = []
    /// What is done as soon as the outbox is written.
    var deferred: [Step] = []
    var isFull = false
    var isStarting = false
    var hasBegun = false
    var isRecovering = false
    /// Whether a silent shim is asked again later.
    var isLooking = false
    /// Whether this manager has heard from the shim what it can.
    var knowsShim = false
    var timers = 0
    var deaths = 0
    var silences = 0
    /// Whether the user's stop was heard, and nobody has started the container since.
    var isStopped = false
    /// What really happened, and what was told of it.
    var runs = 0
    var ends = 0
    var startEvents = 0
    var dieEvents = 0
    var isGone = false

    init(policy: RestartPolicy, death: ShimDeath, fault: Fault? = nil) {
        (self.policy, self.death, self.fault) = (policy, death, fault)
        life = Lifecycle(policy: policy, autoRemove: false)
        stored = PersistedState(life)
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(shim)
        hasher.combine(task)
        hasher.combine(journal)
        hasher.combine(taken)
        hasher.combine(life.status)
        hasher.combine(outbox)
        hasher.combine(steps)
        hasher.combine(deferred)
        hasher.combine([runs, ends, startEvents, dieEvents, timers, deaths, silences, storedTaken, storedRun])
        hasher.combine([isFull, isStarting, isRecovering, isLooking, isStopped])
    }

    /// What nobody could see is neither started nor removed.
    private var isUnseen: Bool { isLooking && fault != .unseenIsBelieved }
    private var now: Timestamp { Timestamp(seconds: Int64(runs) * 100 + 1) }
    private var listens: Bool { shim == .alive && !isRecovering }

    // What can happen -------------------------------------------------------------------------------------------------

    var possible: [Event] {
        guard !isGone else { return [] }
        var events: [Event] = isFull ? [.diskHasRoom] : [.diskIsFull]
        if !steps.isEmpty { events.append(.actionIsPerformed) }
        if !isFull, !outbox.isEmpty, !steps.contains(.write) { events.append(.writeAgain) }
        if isRecovering, steps.isEmpty { events.append(.recovered) }
        if !isRecovering {
            if !isStarting { events += isUnseen ? [.stop] : [.start, .stop, .remove] }
            if timers > 0 { events.append(.timerFires) }
            if shim == .dead, !isStarting, life.isActive || life.awaitsRestart { events.append(.deathIsSeen) }
            if isLooking { events.append(.lookAgain) }
        }
        events += startEventsPossible
        if task == .runs, shim != .dead { events += [.taskEndsWell, .taskEndsBadly] }
        if case .waits = task, shim == .alive || shim == .silent {
            events.append(.shimCannotStartIt)
            if runs < Self.mostRuns { events.append(.shimStartsItAgain) }
        }
        if listens, taken < journal.count { events.append(.lineArrives) }
        if deaths == 0 { events.append(.managerDies) }
        if deaths + silences < 2, shim == .alive { events += isStarting ? [.shimDies] : [.shimDies, .shimFallsSilent] }
        if shim == .silent { events.append(.shimSpeaks) }
        return events
    }

    private var startEventsPossible: [Event] {
        guard isStarting else { return [] }
        if hasBegun { return [.startIsAnswered] }
        return outbox.isEmpty && runs < Self.mostRuns ? [.taskBegins, .startFails] : [.startFails]
    }

    mutating func happen(_ event: Event) -> String? {
        switch event {
        case .start: return start()
        case .stop: return stop()
        case .remove: return remove()
        case .taskBegins: return taskBegins()
        case .startIsAnswered: return startIsAnswered()
        case .startFails:
            isStarting = false
            return follow(life.startFailed("failed", exitCode: 125, isShortage: isFull))
        case .taskEndsWell: return taskEnds(0)
        case .taskEndsBadly: return taskEnds(1)
        case .shimStartsItAgain: return begins()
        case .shimCannotStartIt: return noteEnd(nil)
        case .lineArrives:
            knowsShim = true
            return take(journal[taken])
        case .shimDies, .shimFallsSilent:
            silences += 1
            shim = event == .shimDies ? .dead : .silent
            // Who asks while it is silent learns nothing.
            if event == .shimFallsSilent, fault == .silenceIsDeath { return adoptOnce() }
        case .shimSpeaks: shim = .alive
        case .deathIsSeen, .lookAgain:
            isLooking = false
            return adoptOnce()
        case .timerFires: return timerFires()
        case .actionIsPerformed: return perform(steps.removeFirst())
        case .diskIsFull: isFull = true
        case .diskHasRoom: isFull = false
        case .writeAgain: return write()
        case .managerDies: return managerDies()
        case .recovered:
            isRecovering = false
            let again = life.engineStarted()
            // Docker's rule: "always" means always again when the manager starts.
            if !again.isEmpty, policy == .always { isStopped = false }
            return follow(again)
        }
        return nil
    }

    // Users -----------------------------------------------------------------------------------------------------------

    private mutating func start() -> String? {
        do throws(Lifecycle.Refusal) { try life.startRequested() } catch { return nil }
        (isStarting, isStopped) = (true, false)
        return nil
    }

    private mutating func stop() -> String? {
        let actions: [Lifecycle.Action]
        do throws(Lifecycle.Refusal) { actions = try life.stopRequested() } catch { return nil }
        if shim == .alive || shim == .none {
            isStopped = true
            if fault != .stopIsForgotten { tellStop() }
        }
        return follow(actions)
    }

    /// The shim hears that the user has stopped the container: what it planned does not take place.
    private mutating func tellStop() {
        guard case .waits = task else { return }
        task = .over
        journal.append(.cancelled)
    }

    private mutating func remove() -> String? {
        guard [.created, .exited, .dead].contains(life.phase) else { return nil }
        if fault != .removeBeforeWrite, !outbox.isEmpty {
            guard !isFull else { return nil }
            if let problem = write() { return problem }
        }
        guard !isFull else { return nil }
        isGone = true
        guard task != .runs else { return "a running task is removed" }
        if taken == journal.count, startEvents != runs || dieEvents != ends {
            return "removed with \(startEvents) of \(runs) starts and \(dieEvents) of \(ends) ends told"
        }
        return nil
    }

    // The shim --------------------------------------------------------------------------------------------------------

    private mutating func taskBegins() -> String? {
        // A new shim with a new journal; the last one was torn down.
        (shim, journal, taken, overtaking) = (.alive, [], 0, nil)
        (task, hasBegun, knowsShim) = (.none, true, true)
        deferred.removeAll { $0 == .tearDown }
        run += 1
        firstCount = life.restartCount
        return begins()
    }

    private mutating func begins() -> String? {
        if task == .runs { return "two instances run" }
        if isStopped { return "what the user has stopped is started" }
        runs += 1
        task = .runs
        journal.append(.began(run: runs))
        return nil
    }

    private mutating func taskEnds(_ code: UInt8) -> String? {
        ends += 1
        return noteEnd(code)
    }

    /// The shim writes an end down, and what its policy makes of it.
    private mutating func noteEnd(_ code: UInt8?) -> String? {
        let count = journal.reduce(firstCount) { if case .ended(_, let restart?) = $1 { max($0, restart) } else { $0 } }
        let wants: Bool =
            switch policy {
            case .no: false
            case .always, .unlessStopped: true
            case .onFailure(let maximum): code != 0 && count < maximum
            }
        let next = wants && (!isStopped || fault == .stopIsForgotten) ? count + 1 : nil
        journal.append(.ended(code, restart: next))
        task = next.map { .waits($0) } ?? .over
        return nil
    }

    private func exit(_ code: UInt8?) -> Lifecycle.Exit {
        Lifecycle.Exit(how: ContainerExit(status: code.map { .code($0) } ?? .unknown("x")), at: now)
    }

    // The manager -----------------------------------------------------------------------------------------------------

    /// Takes a line of the journal in, as the container's owner does.
    private mutating func take(_ line: Line) -> String? {
        taken += 1
        let report: Lifecycle.Report =
            switch line {
            case .began(let run): .started(pid: Int32(run), at: now)
            case .ended(let code, let restart?): .exited(exit(code), next: .shim(restart: restart))
            case .ended(let code, nil): .exited(exit(code), next: knowsShim ? .shim(restart: nil) : .policy)
            case .cancelled: .restartCancelled
            }
        if isStarting, overtaking == nil, fault != .cursorRunsAhead { overtaking = taken }
        return follow(life.reported(report))
    }

    private mutating func startIsAnswered() -> String? {
        (isStarting, hasBegun, overtaking) = (false, false, nil)
        return follow(life.startSucceeded(pid: Int32(runs), at: now))
    }

    private mutating func timerFires() -> String? {
        // Later again; the search sees each moment anyway.
        if isUnseen { return nil }
        timers -= 1
        guard life.restartDue() else { return nil }
        if isStopped { return "the policy starts what the user has stopped" }
        if isStarting { return "two starts at a time" }
        isStarting = true
        return nil
    }

    private mutating func follow(_ actions: [Lifecycle.Action]) -> String? {
        let names = actions.compactMap { if case .commit(let name) = $0 { name } else { nil } }
        if !names.isEmpty {
            outbox += names
            steps.append(.write)
        }
        for action in actions {
            switch action {
            case .tearDown: steps.append(.tearDown)
            case .scheduleRestart: steps.append(.scheduleRestart)
            case .commit, .releaseExitWaits, .cancelRestart, .remove: break
            }
        }
        return nil
    }

    private mutating func perform(_ step: Step) -> String? {
        switch step {
        case .write: return isFull ? nil : write()
        case .scheduleRestart:
            timers += 1
            return nil
        case .tearDown:
            // Somebody may have started it anew, or the shim is about to.
            if life.isActive || isStarting || life.awaitsRestart { return nil }
            return tearDown()
        }
    }

    /// State and events in one transaction, and then what has waited for it.
    private mutating func write() -> String? {
        stored = PersistedState(life)
        (storedRun, storedTaken) = (run, min(taken, overtaking.map { $0 - 1 } ?? taken))
        startEvents += outbox.count { $0 == "start" }
        dieEvents += outbox.count { $0 == "die" }
        outbox = []
        steps += deferred
        deferred = []
        if dieEvents > ends { return "more ends are told than there were" }
        return startEvents > runs ? "more starts are told than there were" : nil
    }

    /// Ends the shim and removes the bundle with the journal.
    private mutating func tearDown() -> String? {
        if !outbox.isEmpty, fault != .tearDownBeforeWrite {
            guard !isFull else {
                deferred.append(.tearDown)
                return nil
            }
            if let problem = write() { return problem }
        }
        if task == .runs { return "a running task is torn down" }
        (shim, task, journal, taken, overtaking) = (.none, .none, [], 0, nil)
        isLooking = false
        return nil
    }

    // Recovery --------------------------------------------------------------------------------------------------------

    private mutating func managerDies() -> String? {
        deaths += 1
        (steps, deferred, outbox, timers) = ([], [], [], 0)
        (isStarting, hasBegun, overtaking, isLooking, knowsShim) = (false, false, nil, false, false)
        taken = storedRun == run ? storedTaken : 0
        // A stop that was heard and not written down is known to the shim alone, as long as there is one.
        if shim == .none { isStopped = isStopped && stored.stoppedByUser }
        life = Lifecycle(restored: stored, policy: policy, autoRemove: false)
        isRecovering = true
        return adoptOnce()
    }

    /// One look at what there is, and what follows from it.
    private mutating func adoptOnce() -> String? {
        let (finding, problem) = look()
        if let problem { return problem }
        switch Recovery.decide(life.phase, finding, now: now) {
        case .leave: return follow(life.restarterLost())
        case .cleanUp: return tearDown() ?? follow(life.restarterLost())
        case .awaitRestart:
            life.adoptedAwaiting()
            if life.stoppedByUser { tellStop() }
            return nil
        case .adopt(let pid, let paused, let startedAt):
            return follow(life.adopted(pid: pid, paused: paused, startedAt: startedAt))
        case .recordExit(let exit): return follow(life.exited(exit))
        case .recordStartAndExit(let exit, let pid, let startedAt):
            return follow(life.adoptedEnded(exit, startedAt: startedAt, pid: pid))
        case .retry:
            isLooking = true
            return nil
        case .succeedShim: return succeedShim()
        case .finishRemoval: return "a removal that nobody asked for"
        }
    }

    private mutating func look() -> (Recovery.Finding, String?) {
        switch shim {
        case .none: return (.nothing(record: nil), nil)
        case .silent: return (fault == .silenceIsDeath ? .shimGone(record: nil) : .silent, nil)
        case .dead:
            if fault == .journalIsNotRead { taken = journal.count }
            let (end, problem) = takeIn()
            return (end ?? .shimGone(record: nil), problem)
        case .alive:
            knowsShim = true
            let (end, problem) = takeIn()
            if let end { return (end, problem) }
            switch task {
            case .runs: return (.running(pid: Int32(runs), paused: false, startedAt: now), problem)
            case .waits where life.status == .restarting: return (.awaitingRestart, problem)
            default: return (life.isActive ? .stopped(exit(nil), pid: 0, startedAt: now) : .finished, problem)
            }
        }
    }

    /// Lines that the database does not have, up to the end that is the last of the run.
    private mutating func takeIn() -> (Recovery.Finding?, String?) {
        let last = journal[taken...].lastIndex { $0 != .cancelled }
        guard let last, case .ended(let code, nil) = journal[last] else {
            while taken < journal.count { if let problem = take(journal[taken]) { return (nil, problem) } }
            return (nil, nil)
        }
        while taken < last { if let problem = take(journal[taken]) { return (nil, problem) } }
        if knowsShim, life.isActive || life.status == .restarting { return (.settled, take(journal[last])) }
        taken = last + 1
        guard life.isActive else { return (.finished, nil) }
        return (.stopped(exit(code), pid: Int32(runs), startedAt: now), nil)
    }

    private mutating func succeedShim() -> String? {
        guard death == .kill else {
            (shim, knowsShim) = (.alive, true)
            return nil
        }
        if task == .runs { ends += 1 }
        task = .over
        return follow(life.exited(exit(nil)))
    }

    // What must always hold -------------------------------------------------------------------------------------------

    var violation: String? {
        if (life.pid != nil) != life.isActive { return "a pid without a task" }
        let isBusy = isStarting || isRecovering || isLooking || !steps.isEmpty || !outbox.isEmpty
        guard !isGone, !isBusy, shim == .alive || shim == .none, taken == journal.count else { return nil }
        // With nothing on its way the books agree.
        if startEvents != runs { return "\(runs) runs, and \(startEvents) starts are told" }
        if dieEvents != ends { return "\(ends) ends, and \(dieEvents) are told" }
        if (task == .runs) != life.isActive { return "the task is \(task), and the state \(life.phase)" }
        if case .waits(let count) = task {
            if !life.awaitsRestart { return "the shim waits for a restart, and the state is \(life.phase)" }
            if life.restartCount != count { return "restart \(count) is planned, and \(life.restartCount) is told" }
        } else if life.awaitsRestart {
            return "a restart is waited for that nobody makes"
        }
        return nil
    }
}
