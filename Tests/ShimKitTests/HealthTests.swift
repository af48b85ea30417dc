import FoundationEssentials
import Kernel
import ShimKit
import ShimKitTesting
import ShimModel
import ShimProtocol
import SwiftProtobuf
import Testing

@Suite struct HealthStateTests {
    static func state(_ change: (inout ShimHealthCheck) -> Void = { _ in }) -> HealthState {
        HealthState(HealthSettings(ShimHealthCheck.with(change)))
    }

    static func result(_ code: Int32) -> HealthState.Result {
        let time = Timestamp(seconds: 1_700_000_000, nanoseconds: 0)
        return HealthState.Result(startedAt: time, endedAt: time, exitCode: code, output: [])
    }

    @Test func defaultsAreDockers() {
        let settings = Self.state().settings
        #expect(settings.interval == .seconds(30) && settings.timeout == .seconds(30))
        #expect(settings.startPeriod == .zero && settings.startInterval == .seconds(5) && settings.retries == 3)
    }

    @Test func failuresInARowMakeUnhealthyAndOneSuccessHealthy() {
        var state = Self.state()
        #expect(state.status == .starting)
        for code: Int32 in [1, 2] { #expect(!state.ended(Self.result(code), age: .seconds(60)).changed) }
        #expect(state.failingStreak == 2)
        #expect(state.ended(Self.result(-1), age: .seconds(90)).changed == true)
        #expect(state.status == .unhealthy)
        #expect(state.ended(Self.result(0), age: .seconds(120)).changed == true)
        #expect(state.status == .healthy && state.failingStreak == 0)
        // One failure of a healthy container is counted and changes nothing yet.
        #expect(state.ended(Self.result(1), age: .seconds(150)).changed == false)
        #expect(state.status == .healthy && state.failingStreak == 1)
    }

    @Test func failuresOfTheStartPeriodCountOnlyAfterASuccess() {
        var state = Self.state {
            ($0.startPeriodMilliseconds, $0.startIntervalMilliseconds, $0.retries) = (10_000, 700, 1)
        }
        #expect(state.pause(age: .zero) == .milliseconds(700))
        #expect(state.ended(Self.result(1), age: .seconds(1)).changed == false)
        #expect(state.failingStreak == 0)
        var late = state
        #expect(late.ended(Self.result(1), age: .seconds(10)).changed == true)
        #expect(late.status == .unhealthy)
        #expect(state.ended(Self.result(0), age: .seconds(2)).changed == true)
        #expect(state.pause(age: .seconds(2)) == .seconds(30))
        #expect(state.ended(Self.result(1), age: .seconds(3)).changed == true)
        #expect(state.status == .unhealthy)
        #expect(late.pause(age: .seconds(11)) == .seconds(30))
    }

    @Test func fiveResultsAreKeptAndCountedOn() {
        var state = Self.state()
        for code: Int32 in 1...7 { _ = state.ended(Self.result(code), age: .seconds(1)) }
        #expect(state.results.map(\.exitCode) == [3, 4, 5, 6, 7])
        #expect(state.probes == 7)
        state.began()
        #expect(state.status == .starting && state.failingStreak == 0 && state.probes == 7)
    }
}

@Suite(.timeLimit(.minutes(2))) struct HealthProcessTests {
    static func check(_ script: String, _ change: (inout ShimHealthCheck) -> Void = { _ in }) -> ShimHealthCheck {
        .with { check in
            check.process = .init(PlainShim.process(script).utf8)
            (check.intervalMilliseconds, check.timeoutMilliseconds, check.retries) = (50, 5000, 2)
            change(&check)
        }
    }

    /// Waits for a change of the health, which is also the report's by then.
    static func change(_ plain: PlainShim, to status: String, after seq: UInt64 = 0) throws -> ShimEvent {
        try RestartProcessTests.event(plain) {
            $0.seq > seq && $0.topic == EventTopic.health && $0.health.status == status
        }
    }

    static func report(_ plain: PlainShim, probes: UInt64) throws -> ShimHealthReport {
        let request = ShimEventsRequest.with { request in
            (request.afterSeq, request.waitMilliseconds, request.knownProbes) = (1 << 40, 10_000, probes)
        }
        return try plain.client.supervisor(.events, request, ShimEventsResponse.self).health
    }

    @Test func changesAreEventsAndProbesAreReported() throws {
        let plain = try PlainShim("exec sleep 1000")
        let mark = plain.shim.directory + "/sick"
        try plain.create { $0.health = Self.check("echo looked; test ! -e \(mark)") }
        try plain.start()
        let healthy = try Self.change(plain, to: "healthy")
        #expect(healthy.health.exitCode == 0 && healthy.health.output == .init("looked\n".utf8))
        try File.writeAtomically(mark, [], durable: false)
        let unhealthy = try Self.change(plain, to: "unhealthy", after: healthy.seq)
        #expect(unhealthy.health.failingStreak == 2 && unhealthy.health.exitCode == 1)
        let report = try Self.report(plain, probes: 0)
        #expect(report.status == "unhealthy" && report.results.count <= 5 && report.probes >= 3)
        // A poll that knows all is answered by the next probe, which is no event.
        #expect(try Self.report(plain, probes: report.probes).probes > report.probes)
        let journal = try File.readText(plain.shim.bundle + "/journal")
        #expect(
            journal.contains(#""topic":"/berth/health""#)
                && journal.contains(#""status":"unhealthy","failingStreak":2"#)
        )
        try plain.kill(9)
        _ = try plain.wait()
    }

    @Test func probeThatTakesTooLongIsKilledAndItsOutputIsCut() throws {
        let plain = try PlainShim("exec sleep 1000")
        let script = "head -c 9000 /dev/zero | tr '\\\\0' x; exec sleep 1000"
        try plain.create { options in
            options.health = Self.check(script) { ($0.timeoutMilliseconds, $0.retries) = (300, 1) }
        }
        try plain.start()
        let event = try Self.change(plain, to: "unhealthy")
        #expect(event.health.exitCode == -1)
        #expect(event.health.output.count == 4096)
        #expect(event.health.output.starts(with: Array("Health check exceeded timeout".utf8)))
        try plain.kill(9)
        _ = try plain.wait()
    }

    @Test func probeThatCannotBeStartedHasFailed() throws {
        let plain = try PlainShim("exec sleep 1000")
        let process = #"{"args":["/no/such/program"],"cwd":"/"}"#
        try plain.create { options in
            options.health = Self.check("") { ($0.process, $0.retries) = (.init(process.utf8), 1) }
        }
        try plain.start()
        #expect(try Self.change(plain, to: "unhealthy").health.exitCode == -1)
        try plain.kill(9)
        _ = try plain.wait()
    }

    @Test func healthBeginsAnewWithARestart() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create { options in
            options.health = Self.check("true")
            options.restart = RestartProcessTests.policy("always")
        }
        try plain.start()
        let first = try Self.change(plain, to: "healthy")
        try plain.kill(9)
        _ = try Self.change(plain, to: "healthy", after: first.seq)
        try RestartProcessTests.setPolicy(plain) { $0.stopped = true }
        try plain.kill(9)
        _ = try plain.wait()
    }

    // Exec sessions -----------------------------------------------------------------------------------------------------

    static func exec(_ plain: PlainShim, _ id: String, _ script: String, timeout: UInt64 = 0, ring: UInt64 = 0) throws {
        let options = ShimExecOptions.with { options in
            options.process = .init(PlainShim.process(script).utf8)
            (options.timeoutMilliseconds, options.ringSizeInBytes) = (timeout, ring)
        }
        let request = TaskExecRequest.with { request in
            (request.id, request.execID) = (plain.id, id)
            request.spec = Google_Protobuf_Any(packed: options)
        }
        try plain.client.task(.exec, request)
    }

    @Test func sessionIsKilledWhenItsTimeIsOver() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        try Self.exec(plain, "slow", "exec sleep 1000", timeout: 200)
        try Self.exec(plain, "quick", "exit 4", timeout: 60_000)
        try plain.start("slow")
        try plain.start("quick")
        #expect(try plain.wait("slow").exitStatus == 137)
        #expect(try plain.wait("quick").exitStatus == 4)
        let exits = try plain.events().filter { $0.topic == EventTopic.exit }
        #expect(exits.first { $0.execID == "slow" }?.exit.timedOut == true)
        #expect(exits.first { $0.execID == "quick" }?.exit.timedOut == false)
        try plain.kill(9)
        _ = try plain.wait()
    }

    @Test func laterClientGetsTheRingFirst() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        try Self.exec(plain, "e", "echo one; echo two; read line; echo $line", ring: 8)
        let first = try plain.shim.attach(.with { ($0.execID, $0.stdin, $0.stdout) = ("e", true, true) })
        #expect(first.answer.code == 0)
        try plain.start("e")
        var got: [UInt8] = []
        while got.count < 8 { got += try first.client.read(upTo: 64) }
        #expect(got == Array("one\ntwo\n".utf8))
        let second = try plain.shim.attach(.with { ($0.execID, $0.stdout, $0.replay) = ("e", true, true) })
        #expect(second.answer.code == 0)
        try first.client.writeAll("three\n")
        #expect(try second.client.readToEnd(limit: 1 << 16) == Array("one\ntwo\nthree\n".utf8))
        #expect(try plain.wait("e").exitStatus == 0)
        try plain.kill(9)
        _ = try plain.wait()
    }
}
