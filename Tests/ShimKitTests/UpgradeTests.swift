import FoundationEssentials
import Kernel
import ShimKitTesting
import ShimProtocol
import SwiftProtobuf
import Testing

/// A program that takes what comes out of a connection into a file, at its own pace.
final class Collector {
    let path: String
    private let pidfd: SharedDescriptor

    init(_ client: SharedDescriptor, path: String) throws {
        self.path = path
        let file = SharedDescriptor(try File.open(path, [.write, .create, .truncate]))
        var spawn = Spawn(arguments: ["/bin/cat"])
        spawn.descriptors = [0: client.raw, 1: file.raw]
        pidfd = try withExtendedLifetime((file, client)) { try spawn.start("/bin/cat").sharedPidfd() }
    }

    /// What had come when the connection ended.
    func text() throws -> String {
        _ = try pidfd.poll(for: .readable, timeout: .seconds(30))
        #expect(try Pidfd.reapIfEnded(pidfd.raw) != nil, "the connection has not ended")
        return try File.readText(path, limit: 1 << 30)
    }

    deinit {
        _ = try? Pidfd.send(.kill, to: pidfd.raw)
        _ = try? Pidfd.reapIfEnded(pidfd.raw)
    }
}

/// What a process wrote, from the files of its log, oldest first.
func joinedLog(_ paths: [String]) throws -> String {
    var log = ""
    for path in paths {
        for line in try File.readText(path, limit: 1 << 30).split(separator: "\n") {
            // A part of a line is joined with what follows.
            let record = line.dropFirst("2026-01-01T00:00:00.000000000Z stdout ".count)
            log += record.dropFirst(2) + (record.hasPrefix("F") ? "\n" : "")
        }
    }
    return log
}

/// Whether lines are the numbers from 1 on; the last one may be cut.
func isCounting(_ text: some StringProtocol, _ what: Comment) {
    var expected = 1
    for line in text.split(whereSeparator: \.isNewline).dropLast() {
        guard Int(line) == expected else {
            Issue.record("\(what): '\(line)' stands where \(expected) is expected")
            return
        }
        expected += 1
    }
    #expect(expected > 100, what)
}

@Suite(.serialized, .timeLimit(.minutes(5))) struct UpgradeTests {
    static let counting = "i=1; while :; do echo $i; i=$((i+1)); done"

    @Test func processChildrenAndSocketsStay() throws {
        let plain = try PlainShim("read line; exit 5")
        try plain.create { $0.openStdin = true }
        let pid = try plain.start().pid
        let shim = plain.shim.pid
        #expect(try plain.shim.upgrade().code == 0)
        let client = try plain.shim.connect()
        let info = try client.supervisor(.info, ShimInfoRequest(), ShimInfoResponse.self)
        #expect(info.pid == UInt32(shim))
        #expect(info.capabilities.contains("upgrade"))
        #expect(info.lastSeq == 2)
        let state = try client.task(.state, TaskStateRequest.with { $0.id = plain.id }, TaskStateResponse.self)
        #expect(state.pid == pid)
        #expect(state.status == .running)
        let wait = try client.begin(ServiceName.taskV2, "Wait", TaskWaitRequest.with { $0.id = plain.id })
        try client.task(.closeIO, TaskCloseIORequest.with { ($0.id, $0.stdin) = (plain.id, true) })
        #expect(try client.finish(wait, TaskWaitResponse.self).exitStatus == 5)
        #expect(try File.readText(plain.recordPath).contains(#""code":5"#))
        let events = try client.supervisor(.events, ShimEventsRequest(), ShimEventsResponse.self).events
        #expect(events.map(\.seq) == [1, 2, 3])
        _ = try client.task(.delete, TaskDeleteRequest.with { $0.id = plain.id }, TaskDeleteResponse.self)
        try client.task(.shutdown, TaskShutdownRequest.with { $0.id = plain.id })
        #expect(try plain.shim.waitForEnd() == .exited(0))
    }

    @Test func createdContainerIsStartedByTheNextProgram() throws {
        let plain = try PlainShim("echo here; exit 3")
        try plain.create()
        #expect(try plain.shim.upgrade().code == 0)
        let again = try PlainClient(plain)
        try again.start()
        #expect(try again.wait().exitStatus == 3)
        #expect(try plain.logTexts() == ["stdout F here"])
    }

    @Test func noByteIsLostDoubledOrMovedInFiftyUpgrades() throws {
        let plain = try PlainShim(Self.counting)
        try plain.create { $0.log.maxSizeInBytes = 1 << 30 }
        let attached = try plain.shim.attach(.with { $0.stdout = true })
        let client = try Collector(attached.client, path: plain.shim.directory + "/client")
        try plain.start()
        try plain.addExec("e", Self.counting)
        let exec = try plain.shim.attach(.with { ($0.execID, $0.stdout) = ("e", true) })
        let execClient = try Collector(exec.client, path: plain.shim.directory + "/exec")
        try plain.start("e")
        try plain.addExec("t", Self.counting, terminal: true)
        let terminal = try plain.shim.attach(.with { ($0.execID, $0.stdout, $0.stdin) = ("t", true, true) })
        let terminalClient = try Collector(terminal.client, path: plain.shim.directory + "/terminal")
        try plain.start("t")
        for round in 0..<50 {
            #expect(try plain.shim.upgrade().code == 0, "upgrade \(round)")
        }
        let again = try PlainClient(plain)
        try again.kill(9)
        #expect(try again.wait().exitStatus == 137)
        _ = try again.delete()
        isCounting(try joinedLog([plain.logPath]), "log")
        isCounting(try client.text(), "client")
        isCounting(try execClient.text(), "exec session")
        isCounting(try terminalClient.text(), "terminal session")
    }

    @Test func memoryDoesNotGrowWithUpgrades() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        func idle() throws -> Int {
            // It gives memory back when it has been quiet for half a second.
            Clock.sleep(.milliseconds(800))
            // Written pages alone: pages of a file count as private whenever no other shim has them, so they tell of other tests.
            let rollup = try File.readText("/proc/\(plain.shim.pid)/smaps_rollup", limit: 1 << 16)
            let line = try #require(rollup.split(separator: "\n").first { $0.hasPrefix("Private_Dirty:") })
            return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) }) << 10
        }
        #expect(try plain.shim.upgrade().code == 0)
        let before = try idle()
        for _ in 0..<20 { #expect(try plain.shim.upgrade().code == 0) }
        let after = try idle()
        print("private memory before 20 upgrades: \(before >> 10) KiB, after: \(after >> 10) KiB")
        #expect(after <= before + 64 << 10)
        let again = try PlainClient(plain)
        try again.kill(9)
        _ = try again.wait()
    }

    @Test func programThatFailsHalfWayGivesBack() throws {
        let plain = try PlainShim(Self.counting)
        try plain.create { $0.log.maxSizeInBytes = 1 << 30 }
        try plain.start()
        for _ in 0..<5 {
            try File.writeAtomically(plain.shim.bundle + "/fail-restore", [], durable: false)
            let answer = try plain.shim.upgrade()
            #expect(answer.code == StatusCode.failedPrecondition.rawValue)
            #expect(answer.message.contains("as was asked for"))
        }
        let again = try PlainClient(plain)
        #expect(try again.state().status == .running)
        try again.kill(9)
        #expect(try again.wait().exitStatus == 137)
        isCounting(try joinedLog([plain.logPath]), "log")
    }

    @Test func onlyOneUpgradeAtATime() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        let file = try File.open(PlainShim.program)
        let request = ShimDescriptorRequest.with { message in
            message.token = plain.shim.token
            message.upgrade.program = "hangs"
        }
        let first = try plain.shim.send(request, file.raw)
        #expect(try plain.shim.upgrade().code == StatusCode.failedPrecondition.rawValue)
        _ = try first.readToEnd(limit: 4096)
        #expect(try plain.shim.upgrade().code == 0)
        let again = try PlainClient(plain)
        try again.kill(9)
        _ = try again.wait()
    }

    @Test func logIsRotatedAcrossUpgrades() throws {
        let plain = try PlainShim(Self.counting)
        try plain.create { ($0.log.maxSizeInBytes, $0.log.maxFiles) = (300_000, 900) }
        try plain.start()
        for _ in 0..<20 { #expect(try plain.shim.upgrade().code == 0) }
        let again = try PlainClient(plain)
        try again.kill(9)
        #expect(try again.wait().exitStatus == 137)
        let older = (1..<900).map { plain.logPath + ".\($0)" }.prefix { File.exists($0) }
        #expect(older.count > 1)
        for path in older { #expect(try File.status(path).size <= 300_000) }
        isCounting(try joinedLog(older.reversed() + [plain.logPath]), "log")
    }

    @Test func whatASlowClientHasNotTakenGoesOver() throws {
        let size = 400_000
        let plain = try PlainShim("head -c \(size) /dev/zero; exit 2")
        try plain.create()
        let attached = try plain.shim.attach(.with { $0.stdout = true })
        try plain.start()
        var output: [UInt8] = []
        for _ in 0..<5 {
            #expect(try plain.shim.upgrade().code == 0)
            output += try attached.client.read(upTo: 10_000)
        }
        while output.count < size / 2 { output += try attached.client.read(upTo: 64 << 10) }
        let again = try PlainClient(plain)
        #expect(try again.wait().exitStatus == 2)
        _ = try again.delete()
        #expect(try plain.shim.upgrade().code == 0)
        output += try attached.client.readToEnd(limit: 1 << 20)
        #expect(output.count == size)
    }

    @Test func inputThatIsNotReadYetGoesOver() throws {
        let plain = try PlainShim("sleep 1; wc -c")
        try plain.create { ($0.openStdin, $0.stdinOnce) = (true, true) }
        let attached = try plain.shim.attach(.with { ($0.stdin, $0.stdout) = (true, true) })
        try plain.start()
        // More than the pipe holds: the rest waits in the shim.
        try attached.client.writeAll([UInt8](repeating: 0x61, count: 120_000))
        try UnixSocket.shutdownWriting(attached.client.raw)
        for _ in 0..<3 { #expect(try plain.shim.upgrade().code == 0) }
        let text = String(decoding: try attached.client.readToEnd(limit: 1000), as: UTF8.self)
        #expect(text.contains("120000"))
        #expect(try PlainClient(plain).wait().exitStatus == 0)
    }

    @Test func halfOfTheDetachKeysGoesOver() throws {
        let plain = try PlainShim("cat", terminal: true)
        try plain.create(terminal: true)
        let attached = try plain.shim.attach(
            .with { ($0.stdin, $0.stdout, $0.detachKeys) = (true, true, "ctrl-p,ctrl-q") }
        )
        try plain.start()
        try attached.client.writeAll([0x10])
        // An answer proves that the byte before it was taken.
        _ = try plain.state()
        #expect(try plain.shim.upgrade().code == 0)
        try attached.client.writeAll([0x11])
        #expect(try attached.client.readToEnd(limit: 1000) == [])
        let again = try PlainClient(plain)
        #expect(try again.state().status == .running)
        try again.kill(9)
        _ = try again.wait()
    }

    @Test func endInTheMiddleOfAnUpgradeIsSeen() throws {
        for round in 0..<20 {
            let plain = try PlainShim("read line; exit 9")
            try plain.create { $0.openStdin = true }
            let attached = try plain.shim.attach(.with { $0.stdin = true })
            try plain.start()
            let file = try File.open(PlainShim.program)
            let request = ShimDescriptorRequest.with { message in
                message.token = plain.shim.token
                message.upgrade = ShimUpgradeRequest()
            }
            let answer = try plain.shim.send(request, file.raw)
            Clock.sleep(.milliseconds(round))
            try attached.client.writeAll("go\n")
            _ = try answer.readToEnd(limit: 4096)
            let again = try PlainClient(plain)
            #expect(try again.wait().exitStatus == 9)
            #expect(try again.events().map(\.seq) == [1, 2, 3])
            _ = try again.delete()
        }
    }

    @Test func programsThatAreNoneLeaveTheOldOne() throws {
        let plain = try PlainShim("exec sleep 1000")
        try plain.create()
        try plain.start()
        let directory = plain.shim.directory
        try File.writeAtomically(directory + "/garbage", Random.bytes(5000), mode: 0o755, durable: false)
        // An ELF header for another machine.
        var foreign = try File.read(PlainShim.program, limit: 1 << 28)
        (foreign[18], foreign[19]) = (0xf3, 0)
        try File.writeAtomically(directory + "/foreign", foreign, mode: 0o755, durable: false)
        try File.writeAtomically(directory + "/mute", Array("#!/bin/sh\nexit 0\n".utf8), mode: 0o755, durable: false)
        let native = PlainShim.program.replacing("berth-shim-plain", with: "berth-shim-native")
        for program in [directory + "/garbage", directory + "/foreign", directory + "/mute", "/bin/true", native] {
            let answer = try plain.shim.upgrade(to: program)
            #expect(answer.code == StatusCode.failedPrecondition.rawValue, "\(program): \(answer.message)")
            #expect(!answer.message.isEmpty)
            // The same connection as before: nothing has changed.
            #expect(try plain.state().status == .running)
        }
        let before = Clock.monotonic.now
        let answer = try plain.shim.upgrade(name: "hangs")
        #expect(answer.code == StatusCode.deadlineExceeded.rawValue)
        #expect(Clock.monotonic.now - before < .seconds(10))
        #expect(try plain.state().status == .running)
        #expect(try plain.shim.upgrade().code == 0)
        let again = try PlainClient(plain)
        try again.kill(9)
        #expect(try again.wait().exitStatus == 137)
    }
}

/// The calls of `PlainShim` on a new connection: an upgrade ends the ones before it.
struct PlainClient {
    let plain: PlainShim
    let client: ShimClient

    init(_ plain: PlainShim) throws {
        self.plain = plain
        client = try plain.shim.connect()
    }

    func start(_ exec: String = "") throws {
        try client.task(.start, TaskStartRequest.with { ($0.id, $0.execID) = (plain.id, exec) })
    }

    func wait(_ exec: String = "") throws -> TaskWaitResponse {
        try client.task(.wait, TaskWaitRequest.with { ($0.id, $0.execID) = (plain.id, exec) }, TaskWaitResponse.self)
    }

    func kill(_ signal: UInt32, _ exec: String = "") throws {
        try client.task(.kill, TaskKillRequest.with { ($0.id, $0.execID, $0.signal) = (plain.id, exec, signal) })
    }

    func delete(_ exec: String = "") throws -> TaskDeleteResponse {
        let request = TaskDeleteRequest.with { ($0.id, $0.execID) = (plain.id, exec) }
        return try client.task(.delete, request, TaskDeleteResponse.self)
    }

    func state(_ exec: String = "") throws -> TaskStateResponse {
        let request = TaskStateRequest.with { ($0.id, $0.execID) = (plain.id, exec) }
        return try client.task(.state, request, TaskStateResponse.self)
    }

    func events(after seq: UInt64 = 0) throws -> [ShimEvent] {
        try client.supervisor(.events, ShimEventsRequest.with { $0.afterSeq = seq }, ShimEventsResponse.self).events
    }
}
