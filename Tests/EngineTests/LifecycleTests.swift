import EngineModel
import Kernel
import Testing

/// Every phase against every event, and the runs that matter.
struct LifecycleTests {
    let now = Timestamp(seconds: 1000)

    func made(_ policy: RestartPolicy = .no, autoRemove: Bool = false) -> Lifecycle {
        Lifecycle(policy: policy, autoRemove: autoRemove)
    }

    func running(_ policy: RestartPolicy = .no, autoRemove: Bool = false) throws -> Lifecycle {
        var life = made(policy, autoRemove: autoRemove)
        try life.startRequested()
        _ = life.startSucceeded(pid: 7, at: now)
        return life
    }

    func exit(_ code: UInt8, after: Int64 = 1) -> Lifecycle.Exit {
        Lifecycle.Exit(how: ContainerExit(status: .code(code)), at: Timestamp(seconds: 1000 + after))
    }

    func expectDue(_ life: inout Lifecycle, _ due: Bool = true) {
        let isDue = life.restartDue()
        #expect(isDue == due)
    }

    @Test func startRunsAndExits() throws {
        var life = made()
        #expect(life.status == .created)
        try life.startRequested()
        #expect(life.status == .created && life.pid == nil)
        #expect(life.startSucceeded(pid: 7, at: now) == [.commit(event: "start")])
        #expect(life.status == .running && life.pid == 7)
        #expect(life.exited(exit(42)) == [.commit(event: "die"), .releaseExitWaits(code: 42), .tearDown])
        #expect(life.status == .exited && life.lastExit?.status.number == 42)
        #expect(life.finishedAt == Timestamp(seconds: 1001))
    }

    @Test func exitThatOvertakesTheStartIsReportedAfterIt() throws {
        var life = made()
        try life.startRequested()
        #expect(life.exited(exit(3)).isEmpty)
        #expect(
            life.startSucceeded(pid: 7, at: now) == [
                .commit(event: "start"), .commit(event: "die"), .releaseExitWaits(code: 3), .tearDown,
            ]
        )
        #expect(life.phase == .exited)
    }

    @Test func failedStartGoesBackToWhereItWas() throws {
        var life = made()
        try life.startRequested()
        #expect(
            life.startFailed("no such program", exitCode: 127) == [.commit(event: ""), .releaseExitWaits(code: 127)]
        )
        #expect(life.phase == .created && life.error == "no such program" && life.lastExit?.status.number == 127)
        var again = try running()
        _ = again.exited(exit(0))
        try again.startRequested()
        _ = again.startFailed("x", exitCode: 126)
        #expect(again.phase == .exited)
    }

    @Test func failedStartOfAnAutoRemovedContainerRemovesIt() throws {
        var life = made(autoRemove: true)
        try life.startRequested()
        #expect(life.startFailed("x", exitCode: 127) == [.releaseExitWaits(code: 127), .remove])
    }

    @Test func autoRemoveComesAfterTheExit() throws {
        var life = try running(autoRemove: true)
        #expect(life.exited(exit(0)).last == .remove)
    }

    @Test func secondExitIsIgnored() throws {
        var life = try running()
        _ = life.exited(exit(1))
        #expect(life.exited(exit(2)).isEmpty)
        #expect(life.lastExit?.status.number == 1)
    }

    // Policies --------------------------------------------------------------------------------------------------------

    @Test func backOffDoublesAndIsResetByASteadyRun() throws {
        var life = try running(.always)
        var delays: [Duration] = []
        for _ in 0..<12 {
            guard case .scheduleRestart(let delay)? = life.exited(exit(1)).last else { break }
            delays.append(delay)
            #expect(life.status == .restarting)
            expectDue(&life)
            _ = life.startSucceeded(pid: 8, at: now)
        }
        #expect(delays.prefix(3) == [.milliseconds(100), .milliseconds(200), .milliseconds(400)])
        #expect(delays.last == .seconds(60))
        #expect(life.restartCount == 12)
        #expect(life.exited(exit(1, after: 11)).last == .scheduleRestart(after: .milliseconds(100)))
    }

    @Test(arguments: [0, 1] as [UInt8]) func onFailureLooksAtTheCode(code: UInt8) throws {
        var life = try running(.onFailure(maximum: 0))
        let again = life.exited(exit(code)).contains(.scheduleRestart(after: .milliseconds(100)))
        #expect(again == (code != 0))
    }

    @Test func onFailureCounts() throws {
        var life = try running(.onFailure(maximum: 2))
        for _ in 0..<2 {
            _ = life.exited(exit(1))
            expectDue(&life)
            _ = life.startSucceeded(pid: 8, at: now)
        }
        _ = life.exited(exit(1))
        #expect(life.phase == .exited)
    }

    @Test(arguments: [RestartPolicy.always, .unlessStopped, .onFailure(maximum: 0)])
    func stopByTheUserEndsThePolicy(policy: RestartPolicy) throws {
        var life = try running(policy)
        #expect(try life.stopRequested().isEmpty)
        _ = life.exited(exit(1))
        #expect(life.phase == .exited)
    }

    @Test func stopWhileRestartingCancels() throws {
        var life = try running(.always)
        _ = life.exited(exit(1))
        #expect(try life.stopRequested().first == .cancelRestart)
        #expect(life.phase == .exited)
        expectDue(&life, false)
    }

    @Test func forcedRemovalMakesThisTheLastRun() throws {
        var life = try running(.always)
        _ = life.exited(exit(1))
        expectDue(&life)
        life.lastRunRequested()
        _ = life.startSucceeded(pid: 9, at: now)
        _ = life.exited(exit(137))
        #expect(life.phase == .exited)
    }

    // Restarts by the shim --------------------------------------------------------------------------------------------

    func failed(_ reason: String) -> Lifecycle.Exit {
        Lifecycle.Exit(how: ContainerExit(status: .unknown(reason)), at: now)
    }

    /// A container whose shim has told that it will start it again.
    func awaiting(_ policy: RestartPolicy = .always) throws -> Lifecycle {
        var life = try running(policy)
        #expect(
            life.reported(.exited(exit(3), next: .shim(restart: 1)))
                == [.commit(event: "die"), .releaseExitWaits(code: 3)]
        )
        return life
    }

    @Test func shimsRestartIsFollowed() throws {
        var life = try awaiting()
        #expect(life.status == .restarting && life.restartCount == 1 && life.pid == nil && !life.isAtRest)
        expectDue(&life, false)
        #expect(life.reported(.started(pid: 8, at: now)) == [.commit(event: "start")])
        #expect(life.status == .running && life.pid == 8)
        // Told twice is told once.
        #expect(life.reported(.started(pid: 8, at: now)).isEmpty)
    }

    @Test func shimsLastWordIsTheEnd() throws {
        for policy in [RestartPolicy.always, .unlessStopped, .onFailure(maximum: 1), .no] {
            var life = try running(policy)
            #expect(
                life.reported(.exited(exit(3), next: .shim(restart: nil)))
                    == [.commit(event: "die"), .releaseExitWaits(code: 3), .tearDown]
            )
            #expect(life.phase == .exited)
            // Only the user ends what has no other end.
            #expect(life.stoppedByUser == (policy == .always || policy == .unlessStopped))
        }
    }

    @Test func failedRestartIsNoRun() throws {
        var life = try awaiting()
        let actions = life.reported(.exited(failed("no room"), next: .shim(restart: 2)))
        #expect(actions == [.commit(event: "")])
        #expect(life.phase == .awaitingRestart && life.restartCount == 2 && life.error == "no room")
        let last = life.reported(.exited(failed("no room"), next: .shim(restart: nil)))
        #expect(last == [.commit(event: ""), .releaseExitWaits(code: 255), .tearDown])
        #expect(life.phase == .exited)
    }

    @Test func stopDuringTheShimsDelayWaitsForItsWord() throws {
        var life = try awaiting()
        #expect(try life.stopRequested().isEmpty)
        #expect(life.phase == .awaitingRestart)
        var overtaken = life
        #expect(
            life.reported(.restartCancelled) == [.commit(event: ""), .releaseExitWaits(code: 3), .tearDown]
        )
        #expect(life.phase == .exited && life.stoppedByUser)
        // The stop may come a moment too late: then there is one more run to be stopped.
        #expect(overtaken.reported(.started(pid: 9, at: now)) == [.commit(event: "start")])
        #expect(overtaken.reported(.exited(exit(137), next: .shim(restart: nil))).last == .tearDown)
    }

    @Test func everythingThatOvertakesAStartIsAppliedAfterIt() throws {
        var life = made(.always)
        try life.startRequested()
        #expect(life.reported(.started(pid: 7, at: now)).isEmpty)
        #expect(life.reported(.exited(exit(1), next: .shim(restart: 1))).isEmpty)
        #expect(life.reported(.started(pid: 8, at: now)).isEmpty)
        #expect(
            life.startSucceeded(pid: 7, at: now) == [
                .commit(event: "start"), .commit(event: "die"), .releaseExitWaits(code: 1), .commit(event: "start"),
            ]
        )
        #expect(life.phase == .running(pid: 8) && life.restartCount == 1)
    }

    @Test func runsThatNobodySawAreTold() throws {
        var life = made(.always)
        #expect(life.reported(.started(pid: 7, at: now)) == [.commit(event: "start")])
        #expect(life.reported(.exited(exit(1), next: .shim(restart: 1))).first == .commit(event: "die"))
        #expect(life.reported(.started(pid: 8, at: now)) == [.commit(event: "start")])
        #expect(life.adopted(pid: 8, paused: false, startedAt: now).isEmpty)
    }

    @Test func engineTakesOverFromAShimThatIsGone() throws {
        var life = try awaiting()
        #expect(life.restarterLost() == [.scheduleRestart(after: .milliseconds(100))])
        expectDue(&life)
        #expect(life.restartCount == 1)
        var stopped = try awaiting()
        _ = try stopped.stopRequested()
        #expect(stopped.restarterLost() == [.commit(event: ""), .releaseExitWaits(code: 3)])
        #expect(stopped.phase == .exited)
        var running = try running(.always)
        #expect(running.restarterLost().isEmpty)
    }

    @Test func restoredDelayIsTheShimsAgain() throws {
        let life = try awaiting()
        var restored = Lifecycle(restored: PersistedState(life), policy: .always, autoRemove: false)
        #expect(restored.status == .restarting && restored.restartCount == 1)
        restored.adoptedAwaiting()
        #expect(restored.awaitsRestart)
        #expect(restored.engineStarted().isEmpty)
    }

    // What is refused -------------------------------------------------------------------------------------------------

    enum Event: String, CaseIterable, Sendable {
        case start, stop, kill, pause, unpause, remove, removeByForce
    }

    static let phases: [(name: String, refused: [Event: Lifecycle.Refusal])] = [
        ("created", [.stop: .notRunning, .kill: .notRunning, .pause: .notRunning, .unpause: .notRunning]),
        (
            "starting",
            [
                .start: .alreadyRunning, .kill: .notRunning, .pause: .notRunning, .unpause: .notRunning,
                .remove: .starting, .removeByForce: .starting,
            ]
        ),
        ("running", [.start: .alreadyRunning, .unpause: .notPaused, .remove: .runs, .removeByForce: .runs]),
        ("paused", [.start: .paused, .pause: .alreadyPaused, .remove: .paused, .removeByForce: .paused]),
        ("restarting", [.start: .alreadyRunning, .pause: .restarting, .unpause: .notRunning, .remove: .restarting]),
        ("awaiting", [.start: .alreadyRunning, .pause: .restarting, .unpause: .notRunning, .remove: .restarting]),
        ("exited", [.stop: .notRunning, .kill: .notRunning, .pause: .notRunning, .unpause: .notRunning]),
        (
            "removing",
            [
                .start: .removing, .stop: .removing, .kill: .removing, .pause: .notRunning, .unpause: .notRunning,
                .remove: .removing, .removeByForce: .removing,
            ]
        ),
        ("dead", [.start: .dead, .stop: .notRunning, .kill: .notRunning, .pause: .notRunning, .unpause: .notRunning]),
    ]

    func life(in phase: String) throws -> Lifecycle {
        switch phase {
        case "created": return made()
        case "starting":
            var life = made()
            try life.startRequested()
            return life
        case "running": return try running()
        case "paused":
            var life = try running()
            #expect(life.paused() == [.commit(event: "pause")])
            return life
        case "restarting":
            var life = try running(.always)
            _ = life.exited(exit(1))
            return life
        case "awaiting": return try awaiting()
        case "exited":
            var life = try running()
            _ = life.exited(exit(1))
            return life
        case "removing", "dead":
            var life = made()
            _ = try life.removeRequested(force: false)
            if phase == "dead" { life.removeFailed("busy") }
            return life
        default: throw Lifecycle.Refusal.dead
        }
    }

    func feed(_ life: inout Lifecycle, _ event: Event) throws(Lifecycle.Refusal) {
        switch event {
        case .start: try life.startRequested()
        case .stop: _ = try life.stopRequested()
        case .kill: _ = try life.killRequested(endsContainer: true)
        case .pause: try life.pauseRequested()
        case .unpause: try life.unpauseRequested()
        case .remove: _ = try life.removeRequested(force: false)
        case .removeByForce: _ = try life.removeRequested(force: true)
        }
    }

    @Test(arguments: phases.indices, Event.allCases) func refusals(phase: Int, event: Event) throws {
        let (name, refused) = Self.phases[phase]
        var life = try life(in: name)
        var refusal: Lifecycle.Refusal?
        do throws(Lifecycle.Refusal) { try feed(&life, event) } catch { refusal = error }
        #expect(refusal == refused[event], "\(name) \(event)")
    }

    // Persistence -----------------------------------------------------------------------------------------------------

    @Test(arguments: phases.indices) func statusSurvivesTheDatabase(phase: Int) throws {
        let life = try life(in: Self.phases[phase].name)
        let again = Lifecycle(restored: PersistedState(life), policy: .no, autoRemove: false)
        #expect(again.status == life.status && again.lastExit == life.lastExit && again.error == life.error)
    }

    @Test func policiesAtEngineStart() throws {
        let policies: [(RestartPolicy, stopped: Bool, again: Bool)] = [
            (.no, false, false), (.onFailure(maximum: 0), false, false), (.always, false, true), (.always, true, true),
            (.unlessStopped, false, true), (.unlessStopped, true, false),
        ]
        for (policy, stopped, again) in policies {
            var life = try running(.no)
            if stopped { _ = try life.stopRequested() }
            _ = life.exited(exit(1))
            var restored = Lifecycle(restored: PersistedState(life), policy: policy, autoRemove: false)
            #expect((restored.engineStarted() == [.scheduleRestart(after: .zero)]) == again, "\(policy) \(stopped)")
            // What the engine has started is under its policy like anything that a user has.
            #expect(!again || !restored.stoppedByUser)
        }
    }

    @Test func adoptionFinishesAStartThatTheDatabaseDoesNotKnow() {
        var life = made()
        #expect(life.adopted(pid: 5, paused: false, startedAt: now) == [.commit(event: "start")])
        #expect(life.adopted(pid: 5, paused: true, startedAt: now).isEmpty)
        #expect(life.status == .paused)
    }
}
