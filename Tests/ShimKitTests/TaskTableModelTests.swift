import Kernel
import ModelCheck
import ShimKit
import ShimModel
import ShimProtocol
import Testing

/// All orders of events, up to a depth, on a shim's table: a container with one exec session, calls of Wait, a restart policy,
/// and a user who stops and deletes at any time.
struct TaskTableModelTests {
    static let rules: [RestartRule] = [.never, .onFailure(maximum: 1), .always]

    @Test(arguments: rules) func everyEndIsToldOnceInAnyOrder(rule: RestartRule) {
        let result = explore(ShimWorld(rule: rule), depth: 13)
        print("task table, \(rule): \(result)")
        #expect(result.violation == nil, "\(result)")
        #expect(result.states > 100)
    }

    /// The search finds a fault of every kind.
    @Test(arguments: ShimWorld.Fault.allCases) func faultIsFound(fault: ShimWorld.Fault) {
        let result = explore(ShimWorld(rule: .always, fault: fault), depth: 12)
        print("task table with the fault \(fault): \(result)")
        #expect(result.violation != nil, "\(fault) was not noticed: \(result)")
    }
}

/// The table and the loop around it.
struct ShimWorld: Model {
    /// Rules of the loop that can be broken on purpose.
    enum Fault: String, CaseIterable, Sendable {
        /// A session's process is not reaped before the container's.
        case sessionIsNeverReaped
        /// The user's stop does not reach the table.
        case stopIsForgotten
        /// A timer fires although its restart was cancelled, and is believed.
        case timerIsBelieved
        /// The output of one process is reported complete for the other.
        case drainsAreMixedUp
    }

    enum Event: String, CustomStringConvertible {
        case create, start, startFails, initEnds, initFails, initIsDrained
        case addExec, startExec, execEnds, execIsDrained, execsAreAbandoned
        case wait, timerFires, restartCannotBeCreated, stop, delete
        var description: String { rawValue }
    }

    static let session = ProcessKey.exec("e")
    static let mostRuns = 3

    let rule: RestartRule
    let fault: Fault?
    var table = TaskTable()
    /// What is alive.
    var initLives = false
    var execLives = false
    /// What the loop has still to report.
    var draining: Set<ProcessKey> = []
    var awaitsExecs = false
    var timers = 0
    var isStopped = false
    var waiting = 0
    /// Runs whose program ran, ends of the init process that were told, and of those the ones of failed restarts.
    var runs = 0
    var told = 0
    var failures = 0
    var records = 0
    var execStarts = 0
    var execEnds = 0
    var isDeleted = false

    init(rule: RestartRule, fault: Fault? = nil) {
        self.rule = rule
        self.fault = fault
    }

    /// The table itself has no equality: two are the same when they look the same.
    private var look: String { "\(table)" }

    static func == (left: ShimWorld, right: ShimWorld) -> Bool {
        left.numbers == right.numbers && left.draining == right.draining && left.look == right.look
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(numbers)
        hasher.combine(draining)
    }

    private var numbers: [Int] {
        [
            initLives ? 1 : 0, execLives ? 1 : 0, awaitsExecs ? 1 : 0, timers, isStopped ? 1 : 0, waiting, runs, told,
            failures, records, execStarts, execEnds, isDeleted ? 1 : 0,
        ]
    }

    // What can happen -------------------------------------------------------------------------------------------------

    var possible: [Event] {
        var events: [Event] = []
        if table.initial == nil, !isDeleted { events.append(.create) }
        if let initial = table.initial {
            if initial.phase == .created, initLives { events += [.start, .startFails] }
            if initial.phase == .running, initLives { events += [.initEnds, .initFails] }
            if case .stopped = initial.phase, timers == 0 || isStopped { events.append(.delete) }
            if !isStopped { events.append(.stop) }
            if waiting < 1 { events.append(.wait) }
        }
        if execStarts == 0, table.execs.isEmpty { events.append(.addExec) }
        if table.execs["e"]?.phase == .created { events.append(.startExec) }
        if execLives { events.append(.execEnds) }
        if draining.contains(.initial) { events.append(.initIsDrained) }
        if draining.contains(Self.session) { events.append(.execIsDrained) }
        if awaitsExecs { events.append(.execsAreAbandoned) }
        if timers > 0, runs < Self.mostRuns { events += [.timerFires, .restartCannotBeCreated] }
        return events
    }

    mutating func happen(_ event: Event) -> String? {
        do throws(RPCError) {
            switch event {
            case .addExec: return carryOut(try table.addExec("e", stdio: StdioPaths()))
            case .startExec:
                try table.checkStart(Self.session)
                (execLives, execStarts) = (true, execStarts + 1)
                return carryOut(table.started(Self.session, pid: 50, at: Timestamp(seconds: 1)))
            case .wait:
                if try table.wait(.initial, WaiterID(connection: 1, stream: 1)) == nil { waiting += 1 }
                return nil
            case .stop:
                isStopped = true
                return fault == .stopIsForgotten ? nil : carryOut(try table.setPolicy(nil, stopped: true))
            case .delete:
                _ = try table.checkDelete(.initial)
                isDeleted = true
                return carryOut(try table.deleted(.initial, at: Timestamp(seconds: 9)).effects)
            default: return happenInside(event)
            }
        } catch {
            // Refused; that it changed nothing is what the rest of the search sees.
            return nil
        }
    }

    /// What nobody asks for.
    private mutating func happenInside(_ event: Event) -> String? {
        switch event {
        case .create:
            initLives = true
            let stdio = StdioPaths()
            return carryOut(
                table.created(id: "c", bundle: "/b", pid: 10, stdio: stdio, restart: RestartState(rule: rule))
            )
        case .start:
            runs += 1
            return carryOut(table.started(.initial, pid: 10, at: Timestamp(seconds: 1)))
        case .startFails, .initFails, .initEnds:
            initLives = false
            if event == .startFails { failures += 1 }
            let status: ProcessExit.Status =
                event == .initEnds ? .code(0) : event == .initFails ? .code(1) : .unknown("start failed")
            return carryOut(table.reaped(.initial, status, at: Timestamp(seconds: 2), oomOwner: nil))
        case .execEnds:
            execLives = false
            if fault == .sessionIsNeverReaped { return nil }
            return carryOut(table.reaped(Self.session, .code(3), at: Timestamp(seconds: 2), oomOwner: nil))
        case .initIsDrained, .execIsDrained: return drained(event == .initIsDrained ? .initial : Self.session)
        case .execsAreAbandoned:
            awaitsExecs = false
            if fault == .sessionIsNeverReaped { return nil }
            // The loop has killed them before; their end may still be on its way.
            return carryOut(table.abandonExecs(at: Timestamp(seconds: 3)))
        default: return timerFires(canBeCreated: event == .timerFires)
        }
    }

    private mutating func drained(_ key: ProcessKey) -> String? {
        draining.remove(key)
        let meant = fault == .drainsAreMixedUp ? (key == .initial ? Self.session : .initial) : key
        return carryOut(table.drained(meant))
    }

    private mutating func timerFires(canBeCreated: Bool) -> String? {
        timers -= 1
        guard table.restartDue() || fault == .timerIsBelieved else { return nil }
        if isStopped { return "what the user has stopped is started again" }
        if initLives { return "two instances" }
        guard canBeCreated else {
            failures += 1
            return carryOut(table.restartFailed("no memory", at: Timestamp(seconds: 4)))
        }
        initLives = true
        return carryOut(table.recreated(pid: 10))
    }

    // What the table asks for -----------------------------------------------------------------------------------------

    private mutating func carryOut(_ effects: [TaskTable.Effect]) -> String? {
        var isRecorded = false
        for effect in effects {
            switch effect {
            case .killAll: continue
            case .drain(let key): draining.insert(key)
            case .awaitExecs: awaitsExecs = true
            case .writeExitRecord:
                records += 1
                isRecorded = true
            case .publish(let event):
                if let problem = published(event, isRecorded) { return problem }
            case .answer(let waiters, _):
                waiting -= waiters.count
                if told == 0 { return "a wait is answered before the end is told" }
            case .planRestart:
                timers += 1
                if isStopped { return "a restart is planned of what the user has stopped" }
                if timers > 1 { return "two restarts are planned" }
            case .cancelRestart: timers = fault == .timerIsBelieved ? timers : 0
            }
        }
        return nil
    }

    private mutating func published(_ event: TaskEvent, _ isRecorded: Bool) -> String? {
        guard case .exited = event.kind else { return nil }
        if event.key == .initial {
            told += 1
            if !isRecorded { return "an end is told before it is on disk" }
            if initLives { return "an end is told of what lives" }
            if execStarts > execEnds { return "the end of the container is told before that of its session" }
        } else {
            execEnds += 1
        }
        return nil
    }

    // What must always hold ---------------------------------------------------------------------------------------------

    var violation: String? {
        if told > runs + failures { return "\(told) ends are told of \(runs) runs and \(failures) failures" }
        if execEnds > execStarts { return "the end of a session is told \(execEnds) times" }
        if records != told { return "\(records) records, \(told) ends told" }
        guard !initLives, draining.isEmpty, !awaitsExecs, !isDeleted, table.initial != nil else { return nil }
        if told < runs + failures { return "\(runs) runs and \(failures) failures, and \(told) ends are told" }
        if execStarts > execEnds { return "the end of a session is not told" }
        if waiting > 0, timers == 0 { return "a wait is never answered" }
        return nil
    }
}
