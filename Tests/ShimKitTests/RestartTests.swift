import Kernel
import ShimKit
import ShimKitTesting
import ShimModel
import ShimProtocol
import SwiftProtobuf
import Testing

@Suite struct RestartStateTests {
    static let rules: [RestartRule] = [
        .never, .always, .unlessStopped, .onFailure(maximum: 0), .onFailure(maximum: 1), .onFailure(maximum: 3),
    ]
    static let statuses: [ProcessExit.Status] = [.code(0), .code(1), .code(255), .signal(9), .unknown("lost")]

    static func exit(_ status: ProcessExit.Status, ran: Duration = .seconds(1), count: UInt32 = 0) -> ProcessExit {
        let begin = Timestamp(seconds: 1_700_000_000, nanoseconds: 0)
        var exit = ProcessExit(status: status, startedAt: begin, exitedAt: begin + ran)
        exit.restartCount = count
        return exit
    }

    static func running(_ rule: RestartRule, count: UInt32 = 0) -> RestartState {
        var state = RestartState(rule: rule, count: count)
        state.started()
        return state
    }

    /// The policy's table, every rule with every end and every count that matters.
    @Test(arguments: rules)
    func ruleDecidesByEndAndCount(rule: RestartRule) {
        for status in Self.statuses {
            for count: UInt32 in 0...4 {
                var state = Self.running(rule, count: count)
                let wanted: Bool =
                    switch rule {
                    case .never: false
                    case .always, .unlessStopped: true
                    case .onFailure(let maximum): status != .code(0) && (maximum == 0 || count < maximum)
                    }
                let planned = state.ended(Self.exit(status))
                #expect(planned == (wanted ? PlannedRestart(count: count + 1, delay: .milliseconds(100)) : nil))
                #expect(state.due() == wanted)
                #expect(state.count == (wanted ? count + 1 : count))
            }
        }
    }

    @Test(arguments: rules)
    func stoppedByTheUserIsNeverStartedAgain(rule: RestartRule) {
        for status in Self.statuses {
            var before = Self.running(rule)
            #expect(before.stop() == false)
            #expect(before.ended(Self.exit(status)) == nil)
            var after = Self.running(rule)
            let wasPlanned = after.ended(Self.exit(status)) != nil
            #expect(after.stop() == wasPlanned)
            #expect(after.due() == false)
            #expect(after.stop() == false)
        }
    }

    @Test(arguments: rules)
    func containerThatWasNeverRunIsNotStartedAgain(rule: RestartRule) {
        for status in Self.statuses {
            var state = RestartState(rule: rule)
            #expect(state.ended(Self.exit(status)) == nil)
        }
    }

    @Test func delaysDoubleToAMinuteAndStartOverAfterASteadyRun() {
        var state = Self.running(.always)
        var delays: [Duration] = []
        for _ in 0..<12 {
            delays.append(state.ended(Self.exit(.code(1)))?.delay ?? .zero)
            #expect(state.due() == true)
            state.started()
        }
        let doubling = (0..<10).map { Duration.milliseconds(100 << $0) }
        #expect(delays == doubling + [.seconds(60), .seconds(60)])
        // What the clocks of start and end say is no run: they may have been set in between.
        let jumped = state.ended(Self.exit(.code(1), ran: .seconds(3600)))
        #expect(jumped?.delay == .seconds(60))
        _ = state.due()
        state.started()
        state.ranSteadily()
        let steady = state.ended(Self.exit(.code(1)))
        #expect(steady == PlannedRestart(count: 14, delay: .milliseconds(100)))
    }

    @Test func failedStartOfARestartIsCountedAndTriedAgain() {
        var state = Self.running(.onFailure(maximum: 2))
        #expect(state.ended(Self.exit(.code(1)))?.count == 1)
        #expect(state.due() == true)
        // No `started`: the program never ran.
        let failed = ProcessExit(
            status: .unknown("no"),
            startedAt: nil,
            exitedAt: Timestamp(seconds: 9, nanoseconds: 0)
        )
        #expect(state.ended(failed) == PlannedRestart(count: 2, delay: .milliseconds(200)))
        #expect(state.due() == true)
        #expect(state.ended(failed) == nil)
    }

    @Test func delaysEndWhereTheManagerSays() throws {
        var state = RestartState()
        try state.set(.with { ($0.name, $0.longestDelayMilliseconds) = ("always", 150) })
        state.started()
        var delays: [Duration] = []
        for _ in 0..<3 {
            delays.append(state.ended(Self.exit(.code(1)))?.delay ?? .zero)
            _ = state.due()
            state.started()
        }
        #expect(delays == [.milliseconds(100), .milliseconds(150), .milliseconds(150)])
    }

    @Test func ruleNamesAreDockers() throws {
        #expect(try RestartRule(nil) == .never)
        #expect(try RestartRule(.with { $0.name = "no" }) == .never)
        #expect(try RestartRule(.with { $0.name = "always" }) == .always)
        #expect(try RestartRule(.with { $0.name = "unless-stopped" }) == .unlessStopped)
        #expect(
            try RestartRule(.with { ($0.name, $0.maximumRetries) = ("on-failure", 4) }) == .onFailure(maximum: 4)
        )
        #expect(TaskTableTests.refused { _ = try RestartRule(.with { $0.name = "sometimes" }) } == .invalidArgument)
    }
}

@Suite struct TaskTableRestartTests {
    static let time = TaskTableTests.time

    static func running(_ rule: RestartRule) -> TaskTable {
        var table = TaskTable()
        _ = table.created(id: "c", bundle: "/b", pid: 10, stdio: StdioPaths(), restart: RestartState(rule: rule))
        _ = table.started(.initial, pid: 10, at: time)
        return table
    }

    static func ended(_ rule: RestartRule, _ status: ProcessExit.Status = .code(1)) -> TaskTable {
        var table = running(rule)
        _ = table.reaped(.initial, status, at: time, oomOwner: nil)
        _ = table.drained(.initial)
        return table
    }

    @Test func endWithARestartIsRecordedPublishedAnsweredThenPlanned() throws {
        var table = Self.running(.always)
        let waiter = WaiterID(connection: 1, stream: 3)
        _ = try table.wait(.initial, waiter)
        _ = table.reaped(.initial, .code(0), at: Self.time, oomOwner: nil)
        let exit = TaskTableTests.exit(.code(0))
        let planned = PlannedRestart(count: 1, delay: .milliseconds(100))
        #expect(
            table.drained(.initial) == [
                .writeExitRecord(exit, pid: 10), .publish(TaskEvent(.exited(exit), pid: 10, restart: planned)),
                .answer([waiter], exit), .planRestart(after: .milliseconds(100)),
            ]
        )
        // containerd's Wait knows no policy: the run has ended.
        #expect(try table.wait(.initial, waiter) == exit)
        #expect(try table.status(.initial) == .stopped)
    }

    @Test func nextRunIsCreatedStartedAndCounted() throws {
        var table = Self.ended(.always)
        #expect(table.restartDue() == true)
        #expect(table.restartDue() == false)
        #expect(table.recreated(pid: 11) == [.publish(TaskEvent(.created, pid: 11))])
        #expect(try table.status(.initial) == .created)
        #expect(table.started(.initial, pid: 11, at: Self.time) == [.publish(TaskEvent(.started, pid: 11))])
        _ = table.reaped(.initial, .signal(6), at: Self.time, oomOwner: nil)
        var exit = TaskTableTests.exit(.signal(6))
        exit.restartCount = 1
        #expect(
            table.drained(.initial) == [
                .writeExitRecord(exit, pid: 11),
                .publish(
                    TaskEvent(
                        .exited(exit),
                        pid: 11,
                        restart: PlannedRestart(count: 2, delay: .milliseconds(200))
                    )
                ),
                .planRestart(after: .milliseconds(200)),
            ]
        )
    }

    @Test func restartThatMakesNoProcessEndsWithItsReasonAndIsTriedAgain() throws {
        var table = Self.ended(.always)
        #expect(table.restartDue() == true)
        let effects = table.restartFailed("no room", at: Self.time)
        var exit = TaskTableTests.exit(.unknown("restart failed: no room"), started: false)
        exit.restartCount = 1
        #expect(
            effects == [
                .writeExitRecord(exit, pid: 0),
                .publish(
                    TaskEvent(.exited(exit), pid: 0, restart: PlannedRestart(count: 2, delay: .milliseconds(200)))
                ),
                .planRestart(after: .milliseconds(200)),
            ]
        )
        #expect(table.restartDue() == true)
    }

    @Test func usersStopCancelsAPlannedRestartAndSaysSo() throws {
        var table = Self.ended(.always)
        #expect(
            try table.setPolicy(nil, stopped: true)
                == [.cancelRestart, .publish(TaskEvent(.restartCancelled, pid: 10))]
        )
        #expect(table.restartDue() == false)
        #expect(try table.setPolicy(nil, stopped: true).isEmpty)
    }

    @Test func changedRuleHoldsFromTheNextEndOn() throws {
        var table = Self.ended(.always)
        #expect(try table.setPolicy(.with { $0.name = "no" }, stopped: false).isEmpty)
        #expect(table.restartDue() == true)
        _ = table.recreated(pid: 11)
        _ = table.started(.initial, pid: 11, at: Self.time)
        _ = table.reaped(.initial, .code(1), at: Self.time, oomOwner: nil)
        #expect(!table.drained(.initial).contains(.planRestart(after: .milliseconds(200))))
        var later = Self.running(.never)
        #expect(try later.setPolicy(.with { $0.name = "always" }, stopped: false).isEmpty)
        _ = later.reaped(.initial, .code(1), at: Self.time, oomOwner: nil)
        #expect(later.drained(.initial).contains(.planRestart(after: .milliseconds(100))))
    }

    @Test func deletionCancelsTheRestart() throws {
        var table = Self.ended(.always)
        let effects = try table.deleted(.initial, at: Self.time).effects
        #expect(effects.first == .cancelRestart)
        #expect(table.restartDue() == false)
        #expect(table.isEmpty)
        #expect(TaskTableTests.refused { _ = try table.setPolicy(nil, stopped: true) } == .notFound)
    }

    @Test func execSessionsOfTheOldRunEndBeforeItIsStartedAgain() throws {
        var table = Self.running(.always)
        _ = try table.addExec("a", stdio: StdioPaths())
        _ = table.started(.exec("a"), pid: 20, at: Self.time)
        _ = table.reaped(.initial, .code(1), at: Self.time, oomOwner: nil)
        #expect(table.drained(.initial) == [.awaitExecs])
        #expect(table.restartDue() == false)
        _ = table.reaped(.exec("a"), .signal(9), at: Self.time, oomOwner: nil)
        let effects = table.drained(.exec("a"))
        guard case .publish(let first) = effects.first else {
            Issue.record("the end of the session does not come first: \(effects)")
            return
        }
        #expect(first.key == .exec("a"))
        #expect(effects.last == .planRestart(after: .milliseconds(100)))
        #expect(TaskTableTests.refused { _ = try table.addExec("b", stdio: StdioPaths()) } == .failedPrecondition)
    }

    @Test func freezeEndsWithTheRun() throws {
        var table = Self.running(.always)
        _ = table.paused()
        _ = table.reaped(.initial, .signal(9), at: Self.time, oomOwner: nil)
        _ = table.drained(.initial)
        #expect(table.restartDue() == true)
        _ = table.recreated(pid: 11)
        _ = table.started(.initial, pid: 11, at: Self.time)
        #expect(try table.status(.initial) == .running)
    }
}

/// A shim with a policy, at work.
@Suite(.timeLimit(.minutes(2))) struct RestartProcessTests {
    /// Waits for an event that satisfies `isWanted`, within a bound.
    static func event(_ plain: PlainShim, _ isWanted: (ShimEvent) -> Bool) throws -> ShimEvent {
        let deadline = Clock.monotonic.now + .seconds(30)
        var seen: UInt64 = 0
        while Clock.monotonic.now < deadline {
            let events = try plain.events(after: seen, wait: 5000)
            if let found = events.first(where: isWanted) { return found }
            seen = events.last?.seq ?? seen
        }
        throw RPCError.timedOut("the event did not come")
    }

    static func policy(_ name: String, _ maximum: UInt32 = 0) -> ShimRestartPolicy {
        .with { ($0.name, $0.maximumRetries) = (name, maximum) }
    }

    static func setPolicy(_ plain: PlainShim, _ change: (inout ShimSetPolicyRequest) -> Void) throws {
        _ = try plain.client.supervisor(.setPolicy, ShimSetPolicyRequest.with(change), ShimSetPolicyResponse.self)
    }

    @Test func failingContainerIsStartedAgainAsOftenAsItsPolicySays() throws {
        let plain = try PlainShim("echo run; exit 3")
        try plain.create { $0.restart = Self.policy("on-failure", 3) }
        try plain.start()
        let last = try Self.event(plain) { $0.topic == EventTopic.exit && !$0.hasRestart }
        #expect(last.exit.restartCount == 3)
        #expect(last.exit.code == 3)
        let events = try plain.events()
        let run = [EventTopic.create, EventTopic.start, EventTopic.exit]
        #expect(events.map(\.topic) == run + run + run + run)
        let exits = events.filter { $0.topic == EventTopic.exit }
        #expect(exits.map(\.exit.restartCount) == [0, 1, 2, 3])
        #expect(exits.dropLast().map(\.restart.count) == [1, 2, 3])
        #expect(exits.dropLast().map(\.restart.delayMilliseconds) == [100, 200, 400])
        #expect(Set(events.filter { $0.topic == EventTopic.start }.map(\.pid)).count == 4)
        #expect(try plain.logTexts() == Array(repeating: "stdout F run", count: 4))
        #expect(try File.readText(plain.recordPath).contains(#""restartCount":3"#))
        let journal = try File.readText(plain.shim.bundle + "/journal").split(separator: "\n")
        #expect(journal.count == 12)
        #expect(journal[2].contains(#""restart":{"count":1,"delayMilliseconds":100},"check":""#))
        _ = try plain.delete()
        try plain.shutdown()
        #expect(try plain.shim.waitForEnd() == .exited(0))
    }

    @Test func usersStopDuringTheDelayIsTheEnd() throws {
        let plain = try PlainShim("exit 1")
        try plain.create { $0.restart = Self.policy("always") }
        try plain.start()
        // The third delay is long enough to be met.
        let third = try Self.event(plain) { $0.topic == EventTopic.exit && $0.restart.count == 4 }
        try Self.setPolicy(plain) { $0.stopped = true }
        let cancelled = try plain.events(after: third.seq, wait: 5000)
        #expect(cancelled.map(\.topic) == [EventTopic.restartCancelled])
        #expect(try plain.state().status == .stopped)
        _ = try plain.delete()
    }

    @Test func killAfterAStopIsTheEnd() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create { $0.restart = Self.policy("unless-stopped") }
        try plain.start()
        try Self.setPolicy(plain) { $0.stopped = true }
        try plain.kill(9)
        let exit = try Self.event(plain) { $0.topic == EventTopic.exit }
        #expect(!exit.hasRestart)
    }

    @Test func policyGivenLaterHolds() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        #expect(code { try Self.setPolicy(plain) { $0.restart = Self.policy("often") } } == .invalidArgument)
        try Self.setPolicy(plain) { $0.restart = Self.policy("always") }
        try plain.kill(9)
        let started = try Self.event(plain) { $0.topic == EventTopic.start && $0.seq > 3 }
        #expect(try plain.state().pid == started.pid)
        #expect(try plain.state().status == .running)
        try Self.setPolicy(plain) { $0.stopped = true }
        try plain.kill(9)
        #expect(try plain.wait().exitStatus == 137)
    }

    @Test func restartThatFailsSaysWhyAndIsTriedAgain() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create { $0.restart = Self.policy("always") }
        try plain.start()
        let config = plain.shim.bundle + "/config.json"
        let good = try File.read(config, limit: 1 << 20)
        let bad = #"{"ociVersion":"1.2.0","process":{"args":["/no/such/program"],"cwd":"/"}}"#
        try File.writeAtomically(config, Array(bad.utf8), durable: false)
        try plain.kill(9)
        // The process is made, and its program is not there.
        let failed = try Self.event(plain) { $0.topic == EventTopic.exit && $0.restart.count == 2 }
        #expect(failed.exit.unknown.contains("start failed"))
        #expect(failed.pid > 0)
        // No process is made at all.
        try File.writeAtomically(config, Array("{}".utf8), durable: false)
        let impossible = try Self.event(plain) { $0.topic == EventTopic.exit && $0.pid == 0 }
        #expect(impossible.exit.unknown.contains("restart failed"))
        #expect(impossible.hasRestart)
        try File.writeAtomically(config, good, durable: false)
        let again = try Self.event(plain) { $0.topic == EventTopic.start && $0.seq > impossible.seq }
        #expect(try plain.state().pid == again.pid)
        try Self.setPolicy(plain) { $0.stopped = true }
        try plain.kill(9)
        _ = try plain.wait()
    }

    @Test func failedFirstStartIsTheCallers() throws {
        let plain = try PlainShim("")
        let bad = #"{"ociVersion":"1.2.0","process":{"args":["/no/such/program"],"cwd":"/"}}"#
        try File.writeAtomically(plain.shim.bundle + "/config.json", Array(bad.utf8), durable: false)
        try plain.create { $0.restart = Self.policy("always") }
        #expect(code { try plain.start() } == .notFound)
        let exit = try Self.event(plain) { $0.topic == EventTopic.exit }
        #expect(!exit.hasRestart)
        _ = try plain.delete()
    }

    @Test func clientOfOneRunEndsWithIt() throws {
        let plain = try PlainShim("echo hello; read line; exit 1")
        try plain.create {
            $0.openStdin = true
            $0.restart = Self.policy("on-failure", 1)
        }
        let attached = try plain.shim.attach(.with { ($0.stdin, $0.stdout) = (true, true) })
        #expect(attached.answer.code == 0)
        try plain.start()
        try attached.client.writeAll("go\n")
        #expect(try attached.client.readToEnd(limit: 1 << 20) == Array("hello\n".utf8))
        _ = try Self.event(plain) { $0.topic == EventTopic.start && $0.seq > 3 }
        let second = try plain.shim.attach(.with { ($0.stdin, $0.stdout) = (true, true) })
        #expect(second.answer.code == 0)
        try second.client.writeAll("go\n")
        let last = try Self.event(plain) { $0.topic == EventTopic.exit && !$0.hasRestart }
        #expect(last.exit.restartCount == 1)
        #expect(try plain.logTexts() == ["stdout F hello", "stdout F hello"])
    }
}
