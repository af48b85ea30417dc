internal import FoundationEssentials
internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

/// The named pipes of one process and what came out of them.
final class ConformanceStreams {
    let stdin: String
    let stdout: String
    let stderr: String
    private var input: SharedDescriptor?
    private let readers: [SharedDescriptor]
    private(set) var output: [UInt8] = []
    private(set) var errors: [UInt8] = []
    /// When set, output is compared with endless repetitions of this line and only counted.
    var expectedLine: [UInt8] = [] {
        didSet { expected = Array(repeatElement(expectedLine, count: 2 << 20 / expectedLine.count).joined()) }
    }
    private var expected: [UInt8] = []
    private(set) var byteCount = 0
    private(set) var isAsExpected = true
    /// Whether nothing is left to read and nobody writes any more.
    private(set) var hasEnded = false

    init(directory: String, name: String, input wantsInput: Bool, terminal: Bool) throws {
        let root = try RootedDir(directory)
        var paths: [String] = []
        for stream in ["stdin", "stdout", "stderr"] {
            try root.mknod("\(name)-\(stream)", .fifo, permissions: 0o700)
            paths.append("\(directory)/\(name)-\(stream)")
        }
        stdin = wantsInput ? paths[0] : ""
        stdout = paths[1]
        stderr = terminal ? "" : paths[2]
        // A writing end needs a reader; for a moment it is our own.
        input = wantsInput ? SharedDescriptor(try File.open(paths[0], [.readWrite, .nonBlocking])) : nil
        readers = try [paths[1], paths[2]].map { SharedDescriptor(try File.open($0, [.read, .nonBlocking])) }
    }

    var descriptors: [RawDescriptor] { readers.map(\.raw) }
    private var hasErrors: Bool { !stderr.isEmpty }
    var text: String { String(decoding: output, as: UTF8.self) }
    var errorText: String { String(decoding: errors, as: UTF8.self) }

    func receive() throws {
        let out = try readers[0].available()
        hasEnded =
            try out.isEmpty
            && readers.prefix(hasErrors ? 2 : 1).allSatisfy { reader in
                try reader.poll(for: .readable, timeout: .zero) == .hangUp
            }
        if expected.isEmpty {
            output += out
        } else {
            let start = byteCount % expectedLine.count
            isAsExpected = isAsExpected && out == Array(expected[start..<(start + out.count)])
        }
        byteCount += out.count
        errors += try readers[1].available()
    }

    func write(_ text: String) throws {
        try input?.writeAll(text)
    }

    func closeInput() {
        input = nil
    }
}

/// One container in one shim, driven as containerd drives it.
final class ConformanceContainer {
    static let namespace = "conformance"
    /// How long something may take at most; a slow machine has a factor in BERTH_TEST_PATIENCE.
    static let patience = Duration.seconds(
        30 * (CurrentProcess.environment("BERTH_TEST_PATIENCE").flatMap { Int($0) } ?? 1)
    )

    /// The shortest of the deadlines that a shim without an answer meets.
    static let shortestPatience = Duration.seconds(20)

    let program: ShimProgram
    let bundle: ConformanceBundle
    let sink: EventSink
    let client: ShimClient
    let address: ShimAddress
    let streams: ConformanceStreams
    /// The shim's own log, a pipe that the manager keeps open and empties.
    private let log: SharedDescriptor
    private(set) var logText = ""
    private let terminal: Bool
    private let isKept: Bool
    private(set) var shimPid: Int32 = 0

    var id: String { bundle.id }

    convenience init(_ program: ShimProgram, _ script: String, terminal: Bool = false, input: Bool = false) throws {
        try self.init(program, .init(script, terminal: terminal), input: input)
    }

    convenience init(
        _ program: ShimProgram,
        _ process: ConformanceBundle.Process,
        root: ConformanceBundle.Root = .inPlace,
        input: Bool = false
    ) throws {
        try self.init(program, ConformanceBundle(process, root: root), terminal: process.terminal, input: input)
    }

    /// Starts a shim in a bundle, which goes with the container unless somebody else keeps it.
    init(
        _ program: ShimProgram,
        _ bundle: ConformanceBundle,
        terminal: Bool = false,
        input: Bool = false,
        isKept: Bool = false
    ) throws {
        self.program = program
        self.isKept = isKept
        self.terminal = terminal
        self.bundle = bundle
        sink = try EventSink(path: bundle.directory + "/events.ttrpc")
        streams = try ConformanceStreams(directory: bundle.directory, name: "init", input: input, terminal: terminal)
        try RootedDir(bundle.path).mknod("log", .fifo, permissions: 0o700)
        log = SharedDescriptor(try File.open(bundle.path + "/log", [.readWrite, .nonBlocking]))
        do {
            address = try Self.start(program, bundle)
        } catch {
            // Without an object nobody else cleans up.
            if !isKept { bundle.remove() }
            throw error
        }
        do {
            do { client = try ShimClient(address) } catch {
                throw ConformanceFailure(
                    "start printed '\(Excerpt(address.path))', where nobody listens: \(error.errno)"
                )
            }
        } catch {
            // As above.
            _ = try? program.run(
                "delete",
                flags: Self.flags(bundle) + ["-bundle", bundle.path],
                bundle: bundle.path,
                environment: ["TTRPC_ADDRESS=\(bundle.directory)/events.ttrpc"]
            )
            if !isKept { bundle.remove() }
            throw error
        }
        shimPid = Int32(try connect().shimPid)
    }

    deinit {
        // Clean-up of a check that may have failed anywhere: whatever is still there goes.
        if shimPid > 0, let pidfd = try? Pidfd(pid: shimPid) {
            _ = try? pidfd.send(.kill)
            // Until it has ended it may still start what `delete` has looked for already.
            _ = try? pidfd.poll(for: .readable, timeout: Self.patience)
        }
        _ = try? runDelete()
        if address.path.hasPrefix("/") { _ = try? File.remove(address.path) }
        if !isKept { bundle.remove() }
    }

    // MARK: - The program

    private static func flags(_ bundle: ConformanceBundle) -> [String] {
        [
            "-namespace", namespace, "-address", bundle.directory + "/events", "-publish-binary", "/bin/true", "-id",
            bundle.id,
        ]
    }

    private static func start(_ program: ShimProgram, _ bundle: ConformanceBundle) throws -> ShimAddress {
        let output = try program.run(
            "start",
            flags: flags(bundle),
            bundle: bundle.path,
            environment: ["TTRPC_ADDRESS=\(bundle.directory)/events.ttrpc"]
        )
        let text = Excerpt(output.bytes).description
        let errors = Excerpt(output.errors).description
        let said = [errors, text].filter { !$0.isEmpty }.joined(separator: "; ")
        try require(output.status == .exited(0), "start ended with \(output.status)\(said.isEmpty ? "" : ": \(said)")")
        try require(
            errors.isEmpty,
            "start wrote to its standard error, which containerd takes for the address: \(errors)"
        )
        guard let address = ShimAddress(output.bytes) else {
            throw ConformanceFailure(
                "start printed \(text.isEmpty ? "nothing" : "'\(text)'") instead of its socket, such as unix:///run/s/0123"
            )
        }
        return address
    }

    func startAgain() throws -> ShimAddress {
        try Self.start(program, bundle)
    }

    /// Runs `delete`.
    func runDelete() throws -> TaskDeleteResponse {
        let output = try program.run(
            "delete",
            flags: Self.flags(bundle) + ["-bundle", bundle.path],
            bundle: bundle.path,
            environment: ["TTRPC_ADDRESS=\(bundle.directory)/events.ttrpc"]
        )
        let errors = Excerpt(output.errors)
        try require(output.status == .exited(0), "delete ended with \(output.status): \(errors)")
        return try TaskDeleteResponse(serializedBytes: output.bytes)
    }

    func killShim() throws {
        let pidfd = try Pidfd(pid: shimPid)
        _ = try pidfd.send(.kill)
        _ = try pidfd.poll(for: .readable, timeout: Self.patience)
    }

    /// Waits until the shim has closed the connection.
    func waitForShimToEnd() throws {
        try wait("the shim to end") { try !self.client.receive() }
    }

    // MARK: - Waiting

    /// Waits for a condition while output and events flow.
    func wait(_ what: String, also others: [ConformanceStreams] = [], until condition: () throws -> Bool) throws {
        let deadline = Clock.monotonic.now + Self.patience
        while try !condition() {
            logText += String(decoding: try log.available(), as: UTF8.self)
            try require(
                Clock.monotonic.now < deadline,
                "waited for \(what) in vain; output: \(streams.text.suffix(200)); log: \(logText.suffix(500))"
            )
            var set = PollSet()
            let all = [streams] + others
            // A pipe that its writers have closed stays readable: it is looked at, not waited for.
            for number in sink.descriptors + [client.descriptor] + all.flatMap(\.descriptors) {
                set.add(number, .readable)
            }
            let ready = try set.wait(timeout: .milliseconds(20))
            try sink.receive()
            for stream in all { try stream.receive() }
            if !ready.isEmpty, ready.allSatisfy({ $0.events.isDisjoint(with: .readable) }) { try letTimePass() }
        }
    }

    /// Lets a moment pass; an event counter that nobody signals is a clock.
    private func letTimePass() throws {
        _ = try EventFd().poll(for: .readable, timeout: .milliseconds(2))
    }

    /// Takes what is left of the output, as containerd's clients do: until the pipes end.
    func endOfOutput(_ exec: ConformanceStreams? = nil) throws {
        let wanted = exec ?? streams
        try wait("the end of the output", also: exec.map { [$0] } ?? []) { wanted.hasEnded }
    }

    func finish<R: Message>(_ stream: UInt32, _ type: R.Type, also others: [ConformanceStreams] = []) throws -> R {
        try wait("an answer", also: others) {
            try client.receive()
            return client.hasAnswer(stream)
        }
        return try client.finish(stream, type)
    }

    // MARK: - Calls

    private func call<R: Message>(_ method: TaskMethod, _ request: some Message, _ type: R.Type) throws -> R {
        try finish(client.begin(client.taskService, method.rawValue, request), type)
    }

    private func call(_ method: TaskMethod, _ request: some Message) throws {
        _ = try call(method, request, Google_Protobuf_Empty.self)
    }

    func connect(_ id: String? = nil) throws -> TaskConnectResponse {
        try client.task(.connect, TaskConnectRequest.with { $0.id = id ?? self.id }, TaskConnectResponse.self)
    }

    @discardableResult
    func create() throws -> UInt32 {
        let request = TaskCreateRequest.with { request in
            request.id = id
            request.bundle = bundle.path
            request.terminal = terminal
            request.stdin = streams.stdin
            request.stdout = streams.stdout
            request.stderr = streams.stderr
            if let options = program.createOptions { request.options = options }
            if let mount = bundle.mount {
                request.rootfs = [
                    ContainerdMount.with {
                        ($0.type, $0.source, $0.options) = (mount.type, mount.source, mount.options)
                    }
                ]
            }
        }
        return try call(.create, request, TaskCreateResponse.self).pid
    }

    @discardableResult
    func start(_ exec: String = "", id: String? = nil) throws -> UInt32 {
        try call(.start, TaskStartRequest.with { ($0.id, $0.execID) = (id ?? self.id, exec) }, TaskStartResponse.self)
            .pid
    }

    @discardableResult
    func run() throws -> UInt32 {
        try create()
        return try start()
    }

    func state(_ exec: String = "", id: String? = nil) throws -> TaskStateResponse {
        try call(.state, TaskStateRequest.with { ($0.id, $0.execID) = (id ?? self.id, exec) }, TaskStateResponse.self)
    }

    func beginWait(_ exec: String = "") throws -> UInt32 {
        let request = TaskWaitRequest.with { ($0.id, $0.execID) = (id, exec) }
        return try client.begin(client.taskService, TaskMethod.wait.rawValue, request)
    }

    /// Asks for the exit on a connection that closes at once.
    func beginWaitOnAnotherConnection() throws {
        let other = try ShimClient(address)
        _ = try other.begin(other.taskService, TaskMethod.wait.rawValue, TaskWaitRequest.with { $0.id = id })
    }

    func waitForExit(_ exec: String = "", also others: [ConformanceStreams] = []) throws -> UInt32 {
        try finish(beginWait(exec), TaskWaitResponse.self, also: others).exitStatus
    }

    func kill(_ signal: Signal, _ exec: String = "", all: Bool = false, id: String? = nil) throws {
        let request = TaskKillRequest.with { request in
            (request.id, request.execID) = (id ?? self.id, exec)
            (request.signal, request.all) = (UInt32(signal.rawValue), all)
        }
        try call(.kill, request)
    }

    @discardableResult
    func delete(_ exec: String = "") throws -> TaskDeleteResponse {
        try call(.delete, TaskDeleteRequest.with { ($0.id, $0.execID) = (id, exec) }, TaskDeleteResponse.self)
    }

    func addExec(_ exec: String, _ process: ConformanceBundle.Process, _ streams: ConformanceStreams? = nil) throws {
        let request = TaskExecRequest.with { request in
            (request.id, request.execID) = (id, exec)
            request.terminal = process.terminal
            request.stdin = streams?.stdin ?? ""
            request.stdout = streams?.stdout ?? ""
            request.stderr = streams?.stderr ?? ""
            request.spec = Google_Protobuf_Any(typeURL: TypeURL.process, json: Array(process.json.utf8))
        }
        try call(.exec, request)
    }

    func makeStreams(_ name: String, input: Bool = false, terminal: Bool = false) throws -> ConformanceStreams {
        try ConformanceStreams(directory: bundle.directory, name: name, input: input, terminal: terminal)
    }

    /// Adds and starts an exec, and waits for its end.
    func runExec(_ exec: String, _ script: String) throws -> (status: UInt32, output: String) {
        let streams = try makeStreams(exec)
        try addExec(exec, .init(script), streams)
        try start(exec)
        let status = try waitForExit(exec, also: [streams])
        try delete(exec)
        try endOfOutput(streams)
        return (status, streams.text)
    }

    func pause() throws { try call(.pause, TaskPauseRequest.with { $0.id = id }) }
    func resume() throws { try call(.resume, TaskResumeRequest.with { $0.id = id }) }

    func resize(width: UInt32, height: UInt32) throws {
        try call(.resizePty, TaskResizePtyRequest.with { ($0.id, $0.width, $0.height) = (id, width, height) })
    }

    func closeInput(_ exec: String = "") throws {
        try call(.closeIO, TaskCloseIORequest.with { ($0.id, $0.execID, $0.stdin) = (id, exec, true) })
    }

    func pids() throws -> [UInt32] {
        try call(.pids, TaskPidsRequest.with { $0.id = id }, TaskPidsResponse.self).processes.map(\.pid)
    }

    func stats() throws -> Google_Protobuf_Any {
        try call(.stats, TaskStatsRequest.with { $0.id = id }, TaskStatsResponse.self).stats
    }

    func update(_ resources: String) throws {
        let request = TaskUpdateRequest.with { request in
            request.id = id
            request.resources = Google_Protobuf_Any(typeURL: TypeURL.linuxResources, json: Array(resources.utf8))
        }
        try call(.update, request)
    }

    /// Asks the shim to end; the end of the connection is an answer too.
    func shutdown() throws {
        do {
            try call(.shutdown, TaskShutdownRequest.with { $0.id = id })
        } catch let error as RPCError where error == .connectionClosed {}
    }
}
