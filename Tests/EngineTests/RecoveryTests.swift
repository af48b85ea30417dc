import EngineModel
import Kernel
import Testing

/// What recovery decides, as values: each finding against what the database believes.
struct RecoveryTests {
    let now = Timestamp(seconds: 2000)
    let exit = Lifecycle.Exit(how: ContainerExit(status: .code(42)), at: Timestamp(seconds: 1500))

    let other = OtherProtocol(program: "9.0", version: 9, known: 1...3)

    func decide(_ phase: Lifecycle.Phase, _ finding: Recovery.Finding) -> Recovery.Decision {
        Recovery.decide(phase, finding, now: now)
    }

    static let atRest: [Lifecycle.Phase] = [.created, .exited, .restarting(delay: .zero), .dead]
    static let active: [Lifecycle.Phase] = [.running(pid: 5), .paused(pid: 5)]

    @Test(arguments: atRest) func atRestNothingIsInvented(phase: Lifecycle.Phase) {
        #expect(decide(phase, .nothing(record: nil)) == .leave)
        #expect(decide(phase, .nothing(record: exit)) == .leave)
        #expect(decide(phase, .shimGone(record: nil)) == .cleanUp)
        #expect(decide(phase, .noTask) == .cleanUp)
        #expect(decide(phase, .created) == .cleanUp)
        #expect(decide(phase, .silent) == .retry)
    }

    @Test(arguments: atRest) func aStartThatWasNotWrittenDownIsFinished(phase: Lifecycle.Phase) {
        #expect(
            decide(phase, .running(pid: 9, paused: false, startedAt: now))
                == .adopt(pid: 9, paused: false, startedAt: now)
        )
        #expect(
            decide(phase, .stopped(exit, pid: 9, startedAt: now))
                == .recordStartAndExit(exit, pid: 9, startedAt: now)
        )
    }

    @Test func theNumberOfUnknownEndsIsNoKnownCode() {
        guard case .unknown = ProcessExit(told: 255, byOurs: true) else {
            Issue.record("255 of a shim of ours was taken for a code")
            return
        }
        #expect(ProcessExit(told: 255, byOurs: false) == .code(255))
        #expect(ProcessExit(told: 3, byOurs: true) == .code(3))
    }

    @Test(arguments: active) func trueExitsAreKept(phase: Lifecycle.Phase) {
        #expect(decide(phase, .stopped(exit, pid: 5, startedAt: now)) == .recordExit(exit))
        #expect(decide(phase, .shimGone(record: exit)) == .recordExit(exit))
        #expect(decide(phase, .nothing(record: exit)) == .recordExit(exit))
    }

    @Test(arguments: active) func anUnknownExitIsUnknown(phase: Lifecycle.Phase) {
        for finding in [Recovery.Finding.nothing(record: nil), .finished, .noTask, .created] {
            guard case .recordExit(let exit) = decide(phase, finding), case .unknown = exit.how.status else {
                Issue.record("\(finding)")
                continue
            }
            #expect(exit.how.status.number == 255)
        }
    }

    @Test(arguments: active) func aDeadShimThatToldNothingIsSucceeded(phase: Lifecycle.Phase) {
        #expect(decide(phase, .shimGone(record: nil)) == .succeedShim)
    }

    /// Killed behind the step `exit.committed`: the shim still has the task, and nothing is told again.
    @Test(arguments: atRest) func anEndThatTheDatabaseKnowsIsNotToldAgain(phase: Lifecycle.Phase) {
        #expect(decide(phase, .finished) == .cleanUp)
    }

    @Test(arguments: active + atRest) func silenceDecidesNothing(phase: Lifecycle.Phase) {
        #expect(decide(phase, .silent) == .retry)
        #expect(decide(phase, .incompatible(other)) == .retry)
    }

    @Test(arguments: active + atRest + [.awaitingRestart])
    func theShimsRestartIsWaitedFor(phase: Lifecycle.Phase) {
        #expect(decide(phase, .awaitingRestart) == .awaitRestart)
        #expect(decide(phase, .settled) == .leave)
    }

    @Test func aRemovalGoesOnWhateverIsFound() {
        for finding in [Recovery.Finding.nothing(record: nil), .shimGone(record: exit), .noTask, .created] {
            #expect(decide(.removing, finding) == .finishRemoval)
        }
        #expect(decide(.removing, .silent) == .retry)
        #expect(decide(.removing, .incompatible(other)) == .retry)
    }

    // Exit records ----------------------------------------------------------------------------------------------------

    func record(_ text: String) throws -> ExitRecord { try ExitRecord(parsing: Array(text.utf8)) }

    @Test func exitRecordOfACode() throws {
        let found = try record(
            #"{"version":1,"id":"x","pid":7,"status":{"code":42},"startedAt":"2026-01-01T00:00:00Z","#
                + #""exitedAt":"2026-01-01T00:00:01.5Z","oomKilled":false,"oomOwner":"","restartCount":0}"#
        )
        #expect(found.pid == 7 && found.exit.how.status == .code(42))
        #expect(found.exit.at.nanoseconds == 500_000_000)
    }

    @Test func exitRecordOfASignalAndOfNothing() throws {
        let signal = try record(
            #"{"version":1,"pid":7,"status":{"signal":9},"exitedAt":"2026-01-01T00:00:01Z","oomKilled":true}"#
        )
        #expect(signal.exit.how == ContainerExit(status: .signal(9), oomKilled: true))
        let unknown = try record(
            #"{"version":1,"pid":7,"status":{"unknown":"lost"},"exitedAt":"2026-01-01T00:00:01Z"}"#
        )
        #expect(unknown.exit.how.status == .unknown("lost"))
        #expect(unknown.exit.how.status.number == 255)
    }

    @Test func noByteOfARecordIsChangedUnnoticed() throws {
        let id = try #require(ContainerID(String(repeating: "a", count: 64)))
        let end = Lifecycle.Exit(how: ContainerExit(status: .code(1)), at: Timestamp(seconds: 1500))
        let bytes = try ExitRecord(pid: 7, exit: end, startedAt: nil).document(of: id, restartCount: 2)
        #expect(try ExitRecord(parsing: bytes).exit == end)
        for (index, byte) in bytes.enumerated() {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] = byte ^ (1 << bit)
                // Either it is refused, or nothing that counts was changed.
                guard let found = try? ExitRecord(parsing: changed) else { continue }
                #expect(found.exit == end && found.pid == 7, "byte \(index)")
            }
        }
    }

    @Test(arguments: ["", "{}", "[]", "\u{0}\u{1}", #"{"version":2,"pid":7,"status":{"code":0},"exitedAt":"x"}"#])
    func whatIsNoRecordIsRefused(text: String) {
        #expect(throws: (any Error).self) { try record(text) }
    }
}
