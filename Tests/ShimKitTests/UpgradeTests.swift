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

@Suite(.serialized, .timeLimit(.minutes(3))) struct UpgradeTests {
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
        var log = ""
        for line in try File.readText(plain.logPath, limit: 1 << 30).split(separator: "\n") {
            // A part of a line is joined with what follows.
            let record = line.dropFirst("2026-01-01T00:00:00.000000000Z stdout ".count)
            log += record.dropFirst(2) + (record.hasPrefix("F") ? "\n" : "")
        }
        isCounting(log, "log")
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
            return try ProcessFacts.privateMemory(of: plain.shim.pid).total
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
        let slow = "#!/bin/sh\nexec sleep 100\n"
        try File.writeAtomically(directory + "/slow", Array(slow.utf8), mode: 0o755, durable: false)
        for program in [directory + "/garbage", directory + "/foreign", directory + "/mute", "/bin/true", native] {
            let answer = try plain.shim.upgrade(to: program)
            #expect(answer.code == StatusCode.failedPrecondition.rawValue, "\(program): \(answer.message)")
            #expect(!answer.message.isEmpty)
            // The same connection as before: nothing has changed.
            #expect(try plain.state().status == .running)
        }
        let answer = try plain.shim.upgrade(to: directory + "/slow")
        print(answer.message)
        #expect(answer.code != 0)
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
