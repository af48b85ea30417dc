import Cgroups
import Kernel
import NativeContainer
import OCISpec
import Sandbox
import Seccomp

/// A container that this command has created and still holds.
struct CreatedContainer: Sendable {
    let directory: ContainerDirectory
    let container: NativeContainer
    /// The terminal's other end, when the command shows it itself.
    let terminal: SharedDescriptor?
}

extension Runtime {
    func create(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        _ = try create(arguments, showsTerminal: false)
        return 0
    }

    /// Creates a container; when that fails nothing is left of it.
    ///
    /// - Parameters:
    ///   - arguments: Of `create` or `run`.
    ///   - showsTerminal: Whether the command itself can show a terminal that nobody else takes.
    /// - Returns: The container, whose lock is held.
    /// - Throws: The step that failed.
    func create(_ arguments: Arguments, showsTerminal: Bool) throws(RuntimeError) -> CreatedContainer {
        let request = try CreationRequest(arguments, id: id(arguments), showsTerminal: showsTerminal)
        let directory = try store.make(request.id)
        do throws(RuntimeError) {
            return try create(request, directory)
        } catch {
            // The first error is what matters; without a record the directory is nobody's.
            try? directory.remove()
            throw error
        }
    }

    private func create(
        _ request: CreationRequest,
        _ directory: ContainerDirectory
    ) throws(RuntimeError) -> CreatedContainer {
        let filter = try request.filter(store)
        try directory.keep(configuration: request.document, filter: filter?.encoded)
        let defaultCgroup =
            usesSystemd ? "system.slice:berth-runtime:\(request.id)" : "/berth-runtime-\(request.id)"
        var record = request.record(
            cgroup: NativeContainer.cgroupPath(of: request.specification, default: defaultCgroup),
            usesSystemd: usesSystemd
        )
        try directory.write(record)
        let listener = try kernel { () throws(KernelError) in
            try UnixSocket.listen(directory.startSocket, kind: .sequentialPackets, nonBlocking: false)
        }
        var sandbox = SandboxRequest(
            id: request.id,
            specification: request.specification,
            bundle: request.bundle,
            streams: request.streams,
            seccomp: filter
        )
        sandbox.preservedDescriptors = request.descriptors
        sandbox.startListener = SandboxStartListener(socket: listener.raw, token: record.token)
        log.debug("create group \(record.cgroup)")
        let container = try native { [sandbox, record] () throws(NativeError) in
            try NativeContainer.create(
                sandbox,
                defaultCgroup: defaultCgroup,
                owner: record.groupOwner,
                manager: record.manager
            )
        }
        do throws(RuntimeError) {
            try finish(request, directory, &record, container)
        } catch {
            SandboxProcess.abandon(container.process)
            // The first error is what matters.
            try? NativeContainer.removeGroup(
                record.cgroup,
                owner: record.groupOwner,
                helper: usesSystemd ? Self.scopeHelper : nil
            )
            throw error
        }
        return CreatedContainer(
            directory: directory,
            container: container,
            terminal: request.console == nil ? container.process.terminal : nil
        )
    }

    /// Writes down what later commands need, then leaves the process to them.
    private func finish(
        _ request: CreationRequest,
        _ directory: ContainerDirectory,
        _ record: inout ContainerRecord,
        _ container: NativeContainer
    ) throws(RuntimeError) {
        let process = container.process
        for warning in process.warnings { log.warning(warning) }
        record.pid = process.pid
        record.startTime = try kernel { () throws(KernelError) in try ProcessFacts.startTime(of: process.pid) }
        if let console = request.console, let terminal = process.terminal { try console.give(terminal) }
        try directory.write(record)
        if let file = request.pidFile { try PidFile.write(process.pid, to: file) }
        try native { () throws(NativeError) in try container.leave() }
    }

    func start(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        let directory = try store.open(id(arguments))
        try directory.lock()
        try start(directory)
        return 0
    }

    /// Lets a created container's program run; the caller holds the lock.
    func start(_ directory: ContainerDirectory) throws(RuntimeError) {
        let container = try attach(directory, "start", in: [.created])
        try native { () throws(NativeError) in try container.start() }
    }
}

/// What the command line and the bundle say about a new container.
struct CreationRequest {
    let id: String
    let bundle: String
    /// The bytes of `config.json`.
    let document: [UInt8]
    var specification: RuntimeSpec
    let streams: SandboxStreams
    let console: ConsoleSocket?
    let pidFile: String?
    /// How many descriptors from 3 on are passed on.
    let descriptors: Int

    init(_ arguments: Arguments, id: String, showsTerminal: Bool) throws(RuntimeError) {
        self.id = id
        if arguments.has("no-pivot") {
            throw .unsupported("--no-pivot")
        }
        let inherited = try InheritedDescriptors(arguments)
        bundle = try Runtime.absolute(arguments.last("bundle") ?? ".")
        let path = "\(bundle)/config.json"
        let bytes = try kernel { () throws(KernelError) in try File.read(path, limit: 1 << 24) }
        var specification = try OCIDocument.read(path, bytes)
        if var process = specification.process {
            process.env = (process.env ?? []) + inherited.environment
            specification.process = process
        }
        let wantsTerminal = specification.process?.terminal == true
        streams = wantsTerminal ? .terminal : .descriptors(input: 0, output: 1, error: 2)
        console = try ConsoleSocket(arguments, terminal: wantsTerminal, showsTerminal: showsTerminal)
        pidFile = arguments.last("pid-file")
        descriptors = inherited.count
        document = bytes
        self.specification = specification
    }

    /// The compiled filter; an unchanged profile is compiled once.
    func filter(_ store: ContainerStore) throws(RuntimeError) -> SeccompProgram? {
        try native { () throws(NativeError) in
            do throws(SandboxError) {
                return try Sandbox.seccompProgram(
                    for: specification,
                    cache: SeccompCache(directory: store.filterCache)
                )
            } catch {
                throw .sandbox(error)
            }
        }
    }

    func record(cgroup: String, usesSystemd: Bool) -> ContainerRecord {
        let root = specification.root?.path ?? ""
        return ContainerRecord(
            id: id,
            bundle: bundle,
            rootfs: root.hasPrefix("/") ? root : "\(bundle)/\(root)",
            created: Timestamp.now.description,
            ociVersion: specification.ociVersion,
            owner: Credentials.effectiveUser == 0 ? "root" : String(Credentials.effectiveUser),
            annotations: specification.annotations ?? [:],
            cgroup: cgroup,
            groupOwner: "\(id)/\(Random.hex(8))",
            usesSystemd: usesSystemd,
            ownsProcesses: specification.linux?.namespaces?.contains { $0.type == .pid && ($0.path ?? "").isEmpty }
                ?? false,
            token: Random.bytes(SandboxStartListener.tokenSize)
        )
    }
}

enum OCIDocument {
    static func read(_ path: String, _ bytes: [UInt8]) throws(RuntimeError) -> RuntimeSpec {
        try document(path) { () throws(DocumentError) in try RuntimeSpec(parsing: bytes) }
    }
}
