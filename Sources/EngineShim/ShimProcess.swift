import DocumentTexts
package import EngineModel
package import Kernel
import ShimProtocol
import SwiftProtobuf

/// A shim as a process: how it is started, recorded, found again and, if need be, ended.
///
/// Everything here blocks for a bounded time and runs on the blocking pool.
package struct ShimProcess: Sendable, Equatable {
    package let pid: Int32
    /// Clock ticks since boot: with the pid it names one process of this boot for ever.
    package let startTime: UInt64

    /// What `shim.pid` holds.
    private struct Record: Codable {
        var pid: Int32
        var startTime: UInt64
    }

    /// What a shim is started for.
    package struct Launch: Sendable {
        /// Its executable.
        package var backend: String
        package var id: ContainerID
        package var paths: ContainerPaths
        /// The name of the run.
        package var run: String
        package var faults: FaultPoints

        package init(backend: String, id: ContainerID, paths: ContainerPaths, run: String, faults: FaultPoints) {
            (self.backend, self.id, self.paths, self.run, self.faults) = (backend, id, paths, run, faults)
        }
    }

    /// A shim that was started just now.
    package struct Launched: Sendable {
        package let process: ShimProcess
        package let pidfd: SharedDescriptor
        package let token: String
    }

    /// Binds the sockets, writes the token, starts the shim and records it.
    ///
    /// The sockets are the engine's: a shim that dies at once leaves a refused connection, not a missing file.
    package static func launch(_ launch: Launch) throws -> Launched {
        let paths = launch.paths
        let token = Random.hex(32)
        try File.writeAtomically(paths.token, Array(token.utf8), mode: 0o600, durable: false)
        try File.writeAtomically(paths.run, Array(launch.run.utf8), mode: 0o600, durable: false)
        let rpc = try UnixSocket.listen(paths.shimSocket)
        let passing = try UnixSocket.listen(paths.descriptorSocket)
        try File.writeAtomically(paths.address, Array("unix://\(paths.shimSocket)".utf8), durable: false)
        launch.faults.reached(.startSockets)
        let secret = try File.open(paths.token)
        let (process, pidfd) = try spawn(launch, ["serve"], [3: rpc.raw, 4: passing.raw, 5: secret.raw])
        launch.faults.reached(.startSpawned)
        try record(process, paths)
        launch.faults.reached(.startRecorded)
        return Launched(process: process, pidfd: pidfd, token: token)
    }

    /// Starts a shim that takes over what another one has left.
    ///
    /// `held` is what is held of the dead one, by name. What it listened on is used again, so that nobody who connects meanwhile is
    /// refused; without that, the sockets are made anew.
    ///
    /// - Returns: nil when one is there already, which another one would be refused by.
    package static func adopt(_ launch: Launch, held: [String: SharedDescriptor]) throws -> Launched? {
        let paths = launch.paths
        if case .held = try lock(paths) { return nil }
        // The dead one's is of no use to anybody.
        let token = Random.hex(32)
        try File.writeAtomically(paths.token, Array(token.utf8), mode: 0o600, durable: false)
        var held = held
        let rpc = try held.removeValue(forKey: "listener") ?? SharedDescriptor(UnixSocket.listen(paths.shimSocket))
        let passing =
            try held.removeValue(forKey: "fd-listener") ?? SharedDescriptor(UnixSocket.listen(paths.descriptorSocket))
        let names = held.keys.sorted()
        let adoption = ShimAdoption.with { $0.names = names }
        let memory = try SealedMemory.make("adoption", adoption.bytes)
        try memory.seek(to: 0)
        let secret = try File.open(paths.token)
        var descriptors: [Int32: RawDescriptor] = [3: rpc.raw, 4: passing.raw, 5: secret.raw, 6: memory.raw]
        for (index, name) in names.enumerated() { descriptors[7 + Int32(index)] = held[name]?.raw }
        let (process, pidfd) = try withExtendedLifetime(held) { try spawn(launch, ["serve", "-adopt"], descriptors) }
        try record(process, paths)
        return Launched(process: process, pidfd: pidfd, token: token)
    }

    /// Starts the backend's own `delete`, which removes what a dead shim has left.
    ///
    /// - Returns: its session, and the process, which ends by itself or has to be ended.
    package static func startDelete(_ launch: Launch) throws -> (session: ProcessSession, pidfd: SharedDescriptor) {
        let (process, pidfd) = try spawn(launch, ["delete"], [:])
        return (ProcessSession(of: process.pid), pidfd)
    }

    private static func spawn(
        _ launch: Launch,
        _ command: [String],
        _ descriptors: [Int32: RawDescriptor]
    ) throws -> (ShimProcess, SharedDescriptor) {
        let paths = launch.paths
        let log = try File.open(paths.shimLog, [.write, .create, .append], mode: 0o600)
        let bundle = try File.open(paths.bundle, [.directory, .path])
        var spawn = Spawn(
            arguments: [
                launch.backend, "-namespace", "berth", "-id", launch.id.description, "-bundle", paths.bundle,
            ] + command,
            environment: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        )
        spawn.descriptors = descriptors.merging([2: log.raw]) { own, _ in own }
        spawn.directory = bundle.raw
        spawn.umask = 0o077
        spawn.oomScoreAdjustment = oomScoreAdjustment
        let child: Child
        do throws(KernelError) {
            let program = try SealedExecutable(launch.backend)
            child = try startLowering(&spawn, program.descriptor.raw, launch.backend)
        } catch {
            let isProgram = error.operation == "execute" || error.object == launch.backend
            guard isProgram, !error.isShortage else { throw error }
            throw unusable(launch.backend, error)
        }
        // Its number is its own until it is reaped, which nobody does before it is known here.
        let process = ShimProcess(pid: child.pid, startTime: try ProcessFacts.startTime(of: child.pid))
        return (process, child.sharedPidfd())
    }

    /// Writes down which process is the shim of a bundle.
    package static func record(_ process: ShimProcess, _ paths: ContainerPaths) throws {
        try File.writeAtomically(
            paths.shimPid,
            CheckedObject.sealed(try JSON.bytes(Record(pid: process.pid, startTime: process.startTime))),
            durable: false
        )
    }

    /// A shim should be among the last to go when memory runs out: it holds the exit code.
    private static let oomScoreAdjustment = -998

    /// Lowering the score needs a capability that a confined engine may lack; then the shim keeps ours.
    private static func startLowering(
        _ spawn: inout Spawn,
        _ program: RawDescriptor,
        _ path: String
    ) throws(KernelError) -> Child {
        do throws(KernelError) {
            return try start(spawn, program, path)
        } catch {
            guard error.code == .permissionDenied, error.operation != "execute" else { throw error }
            spawn.oomScoreAdjustment = nil
            return try start(spawn, program, path)
        }
    }

    /// A script is started by its path: its interpreter cannot open a descriptor that exec closes.
    private static func start(
        _ spawn: Spawn,
        _ program: RawDescriptor,
        _ path: String
    ) throws(KernelError) -> Child {
        do throws(KernelError) { return try spawn.start(program) } catch {
            guard error.operation == "execute", error.errno == .noEntry else { throw error }
            return try spawn.start(path)
        }
    }

    /// Whose fault it is, in words that no client takes for those of a missing command of the container.
    private static func unusable(_ path: String, _ error: KernelError) -> EngineError {
        let reason =
            switch error.errno {
            case .noEntry: "it, or the interpreter that it names, is missing"
            case .accessDenied: "it may not be executed"
            case .execFormat: "it is no executable file"
            default: "\(error)"
            }
        let failure = EngineError.Failure(stage: "shim", operation: error.operation, object: path, errno: error.errno)
        return EngineError(.internal, "the backend's program '\(path)' cannot be started: \(reason)", failure: failure)
    }

    /// The process that an earlier life recorded; nil when there is no record or it cannot be read.
    ///
    /// - Throws: `KernelError` when that cannot be known now.
    package static func recorded(_ paths: ContainerPaths) throws(KernelError) -> ShimProcess? {
        // Absent and unreadable are both "no record".
        guard let bytes = try content(paths.shimPid) else { return nil }
        return parse(bytes)
    }

    private static func parse(_ bytes: [UInt8]) -> ShimProcess? {
        guard CheckedObject.isSound(bytes), let record = try? JSON.decode(Record.self, bytes) else { return nil }
        return ShimProcess(pid: record.pid, startTime: record.startTime)
    }

    /// Whether there is a record that cannot be read.
    ///
    /// - Throws: `KernelError` when that cannot be known now.
    package static func hasDamagedRecord(_ paths: ContainerPaths) throws(KernelError) -> Bool {
        guard let bytes = try content(paths.shimPid) else { return false }
        return parse(bytes) == nil
    }

    /// The name of the run that a bundle is for; nil where nothing says it.
    ///
    /// - Throws: `KernelError` when that cannot be known now.
    package static func run(_ paths: ContainerPaths) throws(KernelError) -> String? {
        try content(paths.run).map { String(decoding: $0, as: UTF8.self) }
    }

    /// What a shim wants to hear from who connects; nil where nothing says it.
    ///
    /// - Throws: `KernelError` when that cannot be known now.
    package static func token(_ paths: ContainerPaths) throws(KernelError) -> String? {
        try content(paths.token).map { String(decoding: $0, as: UTF8.self) }
    }

    /// A small file; nil when there is none, and when it is none that can be read.
    private static func content(_ path: String) throws(KernelError) -> [UInt8]? {
        do throws(KernelError) { return try File.read(path, limit: 4096) } catch {
            if error.isShortage { throw error }
            return nil
        }
    }

    /// A pidfd of exactly this process, or nil when it is gone.
    ///
    /// - Throws: `KernelError` when that cannot be known now.
    package func open() throws(KernelError) -> SharedDescriptor? {
        // No number of a process.
        guard pid > 0 else { return nil }
        do throws(KernelError) {
            let pidfd = try Pidfd(pid: pid)
            // The pidfd was opened first: if it still is alive now, the start time that was read is its own.
            guard try ProcessFacts.startTime(of: pid) == startTime, try pidfd.send(nil) else { return nil }
            return SharedDescriptor(pidfd.intoDescriptor())
        } catch  where [.noProcess, .noEntry, .invalid].contains(error.errno) {
            return nil  // gone; the last is the answer for the number of a thread
        }
    }
}

extension ShimProcess {
    /// The shim of a bundle that was started and not recorded, found by its command line; nil when there is none.
    package static func listening(on paths: ContainerPaths) -> Int32? {
        guard
            File.exists(paths.token), !File.exists(paths.shimPid),
            let directory = try? File.open("/proc", [.directory]),  // without procfs nothing can be found
            let entries = try? directory.readDirectory()
        else { return nil }
        return entries.lazy.compactMap { Int32($0.name) }.first { pid in
            // A process that ends meanwhile is not the one.
            guard let arguments = try? ProcessFacts.commandLine(of: pid) else { return false }
            return arguments.contains("serve") && arguments.contains(paths.bundle)
        }
    }
}
