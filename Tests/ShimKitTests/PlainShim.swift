import FoundationEssentials
import Kernel
import ShimKitTesting
import ShimProtocol
import SwiftProtobuf
import Testing

/// A running shim with the plain backend and one client.
struct PlainShim {
    let shim: RunningShim
    let client: ShimClient

    /// Starts a shim for a container that runs a shell script.
    init(_ script: String, terminal: Bool = false) throws {
        shim = try RunningShim(program: Self.program, config: Self.config(script, terminal: terminal))
        client = try shim.connect()
    }

    /// The executable beside the test bundle.
    static var program: String {
        // The test runs from the build directory's own executable or bundle.
        let own = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
        let directory = own.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        return directory + "/berth-shim-plain"
    }

    static func config(_ script: String, terminal: Bool = false) -> String {
        """
        {"ociVersion":"1.2.0","process":\(process(script, terminal: terminal)),"root":{"path":"rootfs"}}
        """
    }

    static func process(_ script: String, terminal: Bool = false) -> String {
        let escaped = script.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : "\($0)" }.joined()
        return """
            {"args":["/bin/sh","-c","\(escaped)"],"env":["PATH=/usr/bin:/bin","A=b"],"cwd":"/","terminal":\(terminal)}
            """
    }

    var id: String { shim.id }
    var logPath: String { shim.directory + "/container.log" }
    var recordPath: String { shim.directory + "/exit.json" }

    @discardableResult
    func create(
        terminal: Bool = false,
        _ change: (inout ShimCreateOptions) -> Void = { _ in }
    ) throws -> TaskCreateResponse {
        var options = ShimCreateOptions()
        options.log.path = logPath
        options.log.maxFiles = 1
        options.exitRecordPath = recordPath
        change(&options)
        let request = TaskCreateRequest.with { request in
            request.id = id
            request.bundle = shim.bundle
            request.terminal = terminal
            request.options = Google_Protobuf_Any(packed: options)
        }
        return try client.task(.create, request, TaskCreateResponse.self)
    }

    @discardableResult
    func start(_ exec: String = "") throws -> TaskStartResponse {
        try client.task(.start, TaskStartRequest.with { ($0.id, $0.execID) = (id, exec) }, TaskStartResponse.self)
    }

    func addExec(_ exec: String, _ script: String, terminal: Bool = false) throws {
        let request = TaskExecRequest.with { request in
            request.id = id
            request.execID = exec
            request.terminal = terminal
            request.spec = Google_Protobuf_Any(
                typeURL: TypeURL.process,
                json: Array(Self.process(script, terminal: terminal).utf8)
            )
        }
        try client.task(.exec, request)
    }

    func beginWait(_ exec: String = "") throws -> UInt32 {
        try client.begin(ServiceName.taskV2, "Wait", TaskWaitRequest.with { ($0.id, $0.execID) = (id, exec) })
    }

    func wait(_ exec: String = "") throws -> TaskWaitResponse {
        try client.finish(beginWait(exec), TaskWaitResponse.self)
    }

    func kill(_ signal: UInt32, _ exec: String = "", all: Bool = false) throws {
        let request = TaskKillRequest.with { request in
            request.id = id
            request.execID = exec
            request.signal = signal
            request.all = all
        }
        try client.task(.kill, request)
    }

    func delete(_ exec: String = "") throws -> TaskDeleteResponse {
        try client.task(.delete, TaskDeleteRequest.with { ($0.id, $0.execID) = (id, exec) }, TaskDeleteResponse.self)
    }

    func state(_ exec: String = "") throws -> TaskStateResponse {
        try client.task(.state, TaskStateRequest.with { ($0.id, $0.execID) = (id, exec) }, TaskStateResponse.self)
    }

    func shutdown() throws {
        try client.task(.shutdown, TaskShutdownRequest.with { $0.id = id })
    }

    func closeInput(_ exec: String = "") throws {
        let request = TaskCloseIORequest.with { request in
            request.id = id
            request.execID = exec
            request.stdin = true
        }
        try client.task(.closeIO, request)
    }

    func events(after seq: UInt64 = 0, wait: UInt32 = 0) throws -> [ShimEvent] {
        let request = ShimEventsRequest.with { ($0.afterSeq, $0.waitMilliseconds) = (seq, wait) }
        return try client.supervisor(.events, request, ShimEventsResponse.self).events
    }

    /// The texts of the container's log, without times.
    func logTexts() throws -> [String] {
        try File.readText(logPath, limit: 1 << 30).split(separator: "\n").map { line in
            line.split(separator: " ", maxSplits: 1).last.map(String.init) ?? ""
        }
    }
}

/// The code of an error of the shim.
func code(_ body: () throws -> Void) -> ErrorCode? {
    do {
        try body()
        return nil
    } catch {
        return (error as? RPCError)?.code
    }
}
