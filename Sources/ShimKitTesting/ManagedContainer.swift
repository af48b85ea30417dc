internal import FoundationEssentials
internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

/// One container in one shim, driven as berthd drives it.
final class ManagedContainer {
    let program: ShimProgram
    let shim: RunningShim
    private(set) var client: ShimClient
    let logPath: String

    var id: String { shim.id }

    /// Starts a shim and creates the container.
    convenience init(_ program: ShimProgram, _ script: String, input: Bool = false) throws {
        try self.init(program, .init(script), input: input)
    }

    /// The same for any process; `prepare` is called with the root.
    init(
        _ program: ShimProgram,
        _ process: ConformanceBundle.Process,
        input: Bool = false,
        prepare: (String) throws -> Void = { _ in }
    ) throws {
        self.program = program
        let id = Conformance.place.makeID()
        shim = try RunningShim(
            program: program.path,
            config: ConformanceBundle.config(process, cgroupPath: "/berth-\(id)"),
            id: id,
            prefix: program.prefix,
            prepare: {
                try ConformanceBundle.makeRoot($0 + "/rootfs")
                try prepare($0 + "/rootfs")
            }
        )
        client = try shim.connect()
        logPath = shim.directory + "/container.log"
        let options = ShimCreateOptions.with { options in
            options.log.path = shim.directory + "/container.log"
            options.log.maxFiles = 1
            options.openStdin = input
            options.exitRecordPath = shim.directory + "/exit.json"
            if let runtime = program.runtime { options.backendOptions = ["runtime": runtime] }
        }
        let request = TaskCreateRequest.with { request in
            request.id = id
            request.bundle = shim.bundle
            request.options = Google_Protobuf_Any(packed: options)
        }
        _ = try client.task(.create, request, TaskCreateResponse.self)
    }

    deinit {
        // Clean-up of a check that may have failed anywhere: whatever is still there goes.
        try? shim.kill()
        _ = try? shim.waitForEnd()
        _ = try? program.run(
            ["-namespace", "test", "-id", id, "-bundle", shim.bundle, "delete"],
            bundle: shim.bundle
        )
    }

    /// Connects again after an upgrade or adoption.
    func reconnect() throws { client = try shim.connect() }

    func upgrade(to path: String? = nil) throws {
        let answer = try shim.upgrade(to: path)
        try require(answer.code == 0, "upgrade: \(answer.message)")
        try reconnect()
    }

    /// Kills the shim and has another one take over.
    func succeed(holding names: (String) -> Bool = { _ in true }, meanwhile body: () throws -> Void = {}) throws {
        let held = try hold(names)
        try shim.kill()
        try require(try shim.waitForEnd() != nil, "the shim was not killed")
        try body()
        try shim.adopt(held)
        try reconnect()
    }

    /// Duplicates of the descriptors with these names; no others are left open.
    private func hold(_ names: (String) -> Bool) throws -> [(name: String, descriptor: SharedDescriptor)] {
        let (answer, descriptors) = try shim.hold()
        return zip(answer.names, descriptors).filter { names($0.0) }.map { (name: $0.0, descriptor: $0.1) }
    }

    @discardableResult
    func start(_ exec: String = "") throws -> UInt32 {
        let request = TaskStartRequest.with { ($0.id, $0.execID) = (id, exec) }
        return try client.task(.start, request, TaskStartResponse.self).pid
    }

    func state(_ exec: String = "") throws -> TaskStateResponse {
        try client.task(.state, TaskStateRequest.with { ($0.id, $0.execID) = (id, exec) }, TaskStateResponse.self)
    }

    func addExec(_ exec: String, _ script: String) throws { try addExec(exec, .init(script)) }

    func addExec(_ exec: String, _ process: ConformanceBundle.Process) throws {
        let request = TaskExecRequest.with { request in
            (request.id, request.execID) = (id, exec)
            request.spec = Google_Protobuf_Any(typeURL: TypeURL.process, json: Array(process.json.utf8))
        }
        try client.task(.exec, request)
    }

    func kill(_ signal: Signal, _ exec: String = "", all: Bool = false) throws {
        let request = TaskKillRequest.with { request in
            (request.id, request.execID) = (id, exec)
            (request.signal, request.all) = (UInt32(signal.rawValue), all)
        }
        try client.task(.kill, request)
    }

    func waitForExit(_ exec: String = "") throws -> UInt32 {
        let request = TaskWaitRequest.with { ($0.id, $0.execID) = (id, exec) }
        let stream = try client.begin(client.taskService, TaskMethod.wait.rawValue, request)
        return try client.finish(stream, TaskWaitResponse.self, timeout: ConformanceContainer.patience).exitStatus
    }

    func delete(_ exec: String = "") throws {
        let request = TaskDeleteRequest.with { ($0.id, $0.execID) = (id, exec) }
        _ = try client.task(.delete, request, TaskDeleteResponse.self)
    }

    func pids() throws -> [UInt32] {
        try client.task(.pids, TaskPidsRequest.with { $0.id = id }, TaskPidsResponse.self).processes.map(\.pid)
    }

    func call(_ method: TaskMethod, _ request: some Message) throws { try client.task(method, request) }

    func events() throws -> [ShimEvent] {
        try client.supervisor(.events, ShimEventsRequest(), ShimEventsResponse.self).events
    }

    /// The container's output so far, parts of lines joined.
    func output() throws -> String {
        var text = ""
        for line in try File.readText(logPath, limit: 1 << 30).split(separator: "\n") {
            let record = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false)
            guard record.count == 4 else { throw ConformanceFailure("line of the log: \(line)") }
            text += record[3] + (record[2] == "F" ? "\n" : "")
        }
        return text
    }

    /// Waits until the log is so long.
    func waitForLog(_ length: Int64) throws {
        let deadline = Clock.monotonic.now + ConformanceContainer.patience
        while try File.status(logPath).size < length {
            try require(Clock.monotonic.now < deadline, "the log does not grow to \(length) bytes")
            Clock.sleep(.milliseconds(2))
        }
    }
}
