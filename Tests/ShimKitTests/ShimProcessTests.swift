import FoundationEssentials
import Kernel
import ShimKitTesting
import ShimProtocol
import SwiftProtobuf
import Testing

@Suite(.timeLimit(.minutes(2))) struct ShimProcessTests {
    @Test func lifeOfAContainer() throws {
        let plain = try PlainShim("echo out; echo err >&2; exit 42")
        let created = try plain.create()
        #expect(created.pid > 0)
        #expect(try plain.state().status == .created)
        let waiting = try plain.beginWait()
        #expect(try plain.start().pid == created.pid)
        let end = try plain.client.finish(waiting, TaskWaitResponse.self)
        #expect(end.exitStatus == 42)
        #expect(end.exitedAt.seconds > 1_600_000_000)
        #expect(try plain.wait().exitStatus == 42)
        #expect(try plain.state().status == .stopped)
        #expect(try Set(plain.logTexts()) == ["stdout F out", "stderr F err"])
        let record = try File.readText(plain.recordPath)
        #expect(record.contains(#""status":{"code":42}"#))
        let deleted = try plain.delete()
        #expect(deleted.exitStatus == 42)
        #expect(deleted.pid == created.pid)
        #expect(File.exists(plain.shim.bundle + "/deleted"))
        try plain.shutdown()
        #expect(try plain.shim.waitForEnd() == .exited(0))
    }

    @Test func versionThreeIsTheSameService() throws {
        let plain = try PlainShim("exit 3")
        plain.client.taskService = ServiceName.taskV3
        try plain.create()
        try plain.start()
        #expect(try plain.wait().exitStatus == 3)
    }

    @Test func exitRecordIsOnDiskBeforeWaitIsAnswered() throws {
        let plain = try PlainShim("read line; exit 7")
        try plain.create { $0.openStdin = true }
        let waiting = try plain.beginWait()
        try plain.start()
        #expect(try plain.client.isPending(waiting))
        #expect(!File.exists(plain.recordPath))
        try plain.closeInput()
        _ = try plain.client.finish(waiting, TaskWaitResponse.self)
        #expect(try File.readText(plain.recordPath).contains(#""code":7"#))
    }

    @Test func signalsReachTheProcessAndAreReported() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        #expect(code { try plain.kill(0) } == .invalidArgument)
        try plain.kill(9)
        #expect(try plain.wait().exitStatus == 137)
        #expect(code { try plain.kill(9) } == .notFound)
        #expect(try File.readText(plain.recordPath).contains(#""status":{"signal":9}"#))
    }

    @Test func execRunsBesideTheContainer() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        try plain.addExec("e1", "exit 5")
        #expect(try plain.state("e1").status == .created)
        let waiting = try plain.beginWait("e1")
        let started = try plain.start("e1")
        #expect(started.pid > 0)
        #expect(try plain.client.finish(waiting, TaskWaitResponse.self).exitStatus == 5)
        #expect(code { try plain.addExec("e1", "true") } == .alreadyExists)
        #expect(try plain.delete("e1").exitStatus == 5)
        #expect(code { _ = try plain.state("e1") } == .notFound)
        #expect(try plain.state().status == .running)
        try plain.kill(9)
        _ = try plain.wait()
    }

    @Test func exitOfInitIsPublishedAfterExecs() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        for name in ["e1", "e2"] {
            try plain.addExec(name, "exec sleep 1000")
            try plain.start(name)
        }
        try plain.kill(9)
        _ = try plain.wait()
        let exits = try plain.events().filter { $0.topic == EventTopic.exit }
        #expect(exits.count == 3)
        #expect(exits.last?.execID == "")
        #expect(Set(exits.dropLast().map(\.execID)) == ["e1", "e2"])
        #expect(exits.allSatisfy { $0.exit.signal == 9 })
    }

    @Test func programThatDoesNotExistFailsStartWithItsErrno() throws {
        let plain = try PlainShim("")
        let config = #"{"ociVersion":"1.2.0","process":{"args":["/no/such/program"],"cwd":"/"}}"#
        try File.writeAtomically(plain.shim.bundle + "/config.json", Array(config.utf8), durable: false)
        try plain.create()
        #expect {
            try plain.start()
        } throws: { error in
            let failure = (error as? RPCError)?.failure
            return failure?.errno == 2 && failure?.stage == "exec"
        }
        #expect(try plain.wait().exitStatus == 255)
        #expect(try File.readText(plain.recordPath).contains("unknown"))
        _ = try plain.delete()
    }

    @Test func createdContainerCanBeDeleted() throws {
        let plain = try PlainShim("true")
        try plain.create()
        let waiting = try plain.beginWait()
        _ = try plain.delete()
        #expect(try plain.client.finish(waiting, TaskWaitResponse.self).exitStatus == 255)
        #expect(code { _ = try plain.state() } == .notFound)
    }

    @Test func runningContainerCannotBeDeletedAndKeepsTheShim() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        #expect(code { _ = try plain.delete() } == .failedPrecondition)
        try plain.shutdown()
        #expect(try plain.state().status == .running)
        try plain.kill(9)
        _ = try plain.wait()
    }

    @Test func pausedContainerSaysSo() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        #expect(
            code { try plain.client.task(.pause, TaskPauseRequest.with { $0.id = plain.id }) } == .failedPrecondition
        )
        try plain.start()
        try plain.client.task(.pause, TaskPauseRequest.with { $0.id = plain.id })
        #expect(try plain.state().status == .paused)
        #expect(code { try plain.addExec("e", "true") } == .failedPrecondition)
        try plain.client.task(.resume, TaskResumeRequest.with { $0.id = plain.id })
        #expect(try plain.state().status == .running)
        try plain.kill(9)
        _ = try plain.wait()
    }

    @Test func terminalIsOneStreamAndCanBeResized() throws {
        let plain = try PlainShim("read line; stty size; exit 0", terminal: true)
        try plain.create(terminal: true)
        try plain.client.task(
            .resizePty,
            TaskResizePtyRequest.with { ($0.id, $0.width, $0.height) = (plain.id, 97, 31) }
        )
        let attached = try plain.shim.attach(.with { ($0.stdin, $0.stdout) = (true, true) })
        #expect(attached.answer.code == 0)
        try plain.start()
        try attached.client.writeAll("go\n")
        #expect(try plain.wait().exitStatus == 0)
        #expect(try plain.logTexts().contains { $0.contains("31 97") })
    }

    @Test func attachedClientWritesAndReads() throws {
        let plain = try PlainShim("cat; echo done >&2")
        try plain.create {
            $0.openStdin = true
            $0.stdinOnce = true
        }
        let attached = try plain.shim.attach(
            .with { request in
                (request.stdin, request.stdout, request.stderr) = (true, true, true)
                request.multiplexed = true
                request.leftover = .init("left".utf8)
            }
        )
        #expect(attached.answer.code == 0)
        try plain.start()
        try attached.client.writeAll("over\n")
        try UnixSocket.shutdownWriting(attached.client.raw)
        let output = try attached.client.readToEnd(limit: 1 << 20)
        let frames: [UInt8] =
            [1, 0, 0, 0, 0, 0, 0, 9] + Array("leftover\n".utf8) + [2, 0, 0, 0, 0, 0, 0, 5] + Array("done\n".utf8)
        #expect(output == frames || output.count == frames.count + 8)
        #expect(try plain.wait().exitStatus == 0)
    }

    @Test func attachToAnExecBeforeItStarts() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        try plain.addExec("e", "tr a-z A-Z")
        let attached = try plain.shim.attach(.with { ($0.execID, $0.stdin, $0.stdout) = ("e", true, true) })
        #expect(attached.answer.code == 0)
        try plain.start("e")
        try attached.client.writeAll("text")
        try UnixSocket.shutdownWriting(attached.client.raw)
        #expect(try attached.client.readToEnd(limit: 1 << 20) == Array("TEXT".utf8))
        #expect(try plain.wait("e").exitStatus == 0)
        try plain.kill(9)
        _ = try plain.wait()
    }

    @Test func grandchildThatHoldsTheOutputDelaysTheEndOnlyForAWhile() throws {
        let plain = try PlainShim("setsid sleep 30 & echo first; exit 0")
        try plain.create()
        try plain.start()
        let before = Clock.monotonic.now
        #expect(try plain.wait().exitStatus == 0)
        #expect(Clock.monotonic.now - before < .seconds(6))
        #expect(try plain.logTexts() == ["stdout F first"])
    }

    @Test func eventsAreNumberedJournaledAndAcknowledged() throws {
        let plain = try PlainShim("exit 1")
        try plain.create()
        try plain.start()
        _ = try plain.wait()
        let events = try plain.events()
        #expect(events.map(\.topic) == [EventTopic.create, EventTopic.start, EventTopic.exit])
        #expect(events.map(\.seq) == [1, 2, 3])
        #expect(events.last?.exit.code == 1)
        #expect(try plain.events(after: 2).count == 1)
        let lines = try File.readText(plain.shim.bundle + "/journal").split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.last?.contains(#""exit":{"code":1,"#) == true)
        _ = try plain.client.supervisor(
            .acknowledge,
            ShimAcknowledgeRequest.with { $0.seq = 2 },
            ShimAcknowledgeResponse.self
        )
        #expect(try plain.events().map(\.seq) == [3])
    }

    @Test func pollForEventsIsAnsweredWhenOneComes() throws {
        let plain = try PlainShim("exec sleep 1000")
        let poll = try plain.client.begin(
            ServiceName.supervisor,
            "Events",
            ShimEventsRequest.with { $0.waitMilliseconds = 30_000 }
        )
        #expect(try plain.client.isPending(poll))
        try plain.create()
        let answer = try plain.client.finish(poll, ShimEventsResponse.self)
        #expect(answer.events.map(\.topic) == [EventTopic.create])
        #expect(try plain.events(after: 1, wait: 50).isEmpty)
        _ = try plain.delete()
    }

    @Test func connectionWithoutTheTokenIsRefused() throws {
        let plain = try PlainShim("true")
        let stranger = try plain.shim.connectWithoutToken()
        #expect(code { try stranger.task(.shutdown, TaskShutdownRequest()) } == .permissionDenied)
        let liar = try plain.shim.connect(token: String(repeating: "0", count: 64))
        #expect(code { try liar.task(.shutdown, TaskShutdownRequest()) } == .permissionDenied)
        let attached = try plain.shim.attach(ShimAttachRequest(), token: "wrong")
        #expect(attached.answer.code == StatusCode.permissionDenied.rawValue)
        let info = try plain.client.supervisor(.info, ShimInfoRequest(), ShimInfoResponse.self)
        #expect(info.backend == "plain")
        #expect(info.pid == UInt32(plain.shim.pid))
    }

    @Test func waitIsGivenUpWhenItsCallerDoes() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        let request = TaskWaitRequest.with { $0.id = plain.id }
        let wait = try plain.client.begin(ServiceName.taskV2, "Wait", request, timeout: .milliseconds(100))
        #expect(code { _ = try plain.client.finish(wait, TaskWaitResponse.self) } == .timedOut)
        try plain.kill(9)
        #expect(try plain.wait().exitStatus == 137)
    }

    @Test func slowClientGetsItsOutputAfterDeleteAndShutdown() throws {
        let size = 400_000
        let plain = try PlainShim("head -c \(size) /dev/zero")
        try plain.create()
        let attached = try plain.shim.attach(.with { $0.stdout = true })
        try plain.start()
        // The pipe, the queue and the socket do not hold everything: the end comes when the client reads.
        var output: [UInt8] = []
        while output.count < size / 2 { output += try attached.client.read(upTo: 64 << 10) }
        #expect(try plain.wait().exitStatus == 0)
        _ = try plain.delete()
        try plain.shutdown()
        output += try attached.client.readToEnd(limit: 1 << 20)
        #expect(output.count == size)
        #expect(try plain.shim.waitForEnd() == .exited(0))
    }

    @Test func unknownServicesAndMethodsAreUnimplemented() throws {
        let plain = try PlainShim("true")
        #expect(
            code {
                _ = try plain.client.finish(
                    plain.client.begin("no.such.Service", "X", ShimInfoRequest()),
                    ShimInfoResponse.self
                )
            } == .unsupported
        )
        #expect(
            code { try plain.client.task(.checkpoint, TaskCheckpointRequest.with { $0.id = plain.id }) } == .unsupported
        )
    }

    @Test func garbageOnOneConnectionDoesNotDisturbAnother() throws {
        let plain = try PlainShim("exit 0")
        let garbage = try UnixSocket.connect(plain.shim.bundle + "/shim.sock")
        try garbage.writeAll([UInt8](repeating: 0xff, count: 4096))
        let more = try UnixSocket.connect(plain.shim.bundle + "/fd.sock")
        try more.writeAll([UInt8](repeating: 0xff, count: 64))
        try plain.create()
        try plain.start()
        #expect(try plain.wait().exitStatus == 0)
    }

    @Test func nothingIsLeftOfClientsAndSessionsThatHaveGone() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        func descriptors() throws -> Int {
            // An answer on the connection that stays proves that the loop has seen what was closed before.
            _ = try plain.state()
            return try File.open("/proc/\(plain.shim.pid)/fd", .directory).readDirectory().count
        }
        var before = 0
        for round in 0..<40 {
            // The first round brings what stays.
            if round == 1 { before = try descriptors() }
            let other = try plain.shim.connect()
            _ = try other.begin(ServiceName.taskV2, "Wait", TaskWaitRequest.with { $0.id = plain.id })
            _ = try plain.shim.attach(.with { ($0.stdout, $0.stderr) = (true, true) })
            try plain.addExec("e\(round)", "true")
            _ = try plain.shim.attach(.with { ($0.execID, $0.stdout) = ("e\(round)", true) })
            try plain.start("e\(round)")
            _ = try plain.wait("e\(round)")
            _ = try plain.delete("e\(round)")
        }
        let deadline = Clock.monotonic.now + .seconds(10)
        while try descriptors() > before, Clock.monotonic.now < deadline {}
        #expect(try descriptors() <= before)
        try plain.kill(9)
        _ = try plain.wait()
    }

    @Test func shimIsOneThreadAndItsOwnSession() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        #expect(try ProcessFacts(plain.shim.pid).threads == 1)
        let session = try File.readText("/proc/\(plain.shim.pid)/stat").split(separator: " ")[5]
        #expect(session == "\(plain.shim.pid)")
        try plain.kill(9)
        _ = try plain.wait()
    }
}
