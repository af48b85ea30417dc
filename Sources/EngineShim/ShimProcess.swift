package import EngineModel
package import Kernel

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

    /// Binds the sockets, writes the token, starts the shim and records it.
    ///
    /// The sockets are the engine's: a shim that dies at once leaves a refused connection, not a missing file.
    /// - Returns: the process, its pidfd and the token.
    package static func launch(
        backend: String,
        id: ContainerID,
        paths: ContainerPaths,
        faults: FaultPoints
    ) throws -> (process: ShimProcess, pidfd: SharedDescriptor, token: String) {
        let token = Random.hex(32)
        try File.writeAtomically(paths.token, Array(token.utf8), mode: 0o600, durable: false)
        let rpc = try UnixSocket.listen(paths.shimSocket)
        let passing = try UnixSocket.listen(paths.descriptorSocket)
        try File.writeAtomically(paths.address, Array("unix://\(paths.shimSocket)".utf8), durable: false)
        let tokenFile = try File.open(paths.token)
        let log = try File.open(paths.shimLog, [.write, .create, .append], mode: 0o600)
        let bundle = try File.open(paths.bundle, [.directory, .path])
        faults.reached(.startSockets)

        let program = try SealedExecutable(backend)
        var spawn = Spawn(
            arguments: [
                backend, "-namespace", "berth", "-id", id.description, "-bundle", paths.bundle, "serve",
            ],
            environment: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
        )
        spawn.descriptors = [2: log.raw, 3: rpc.raw, 4: passing.raw, 5: tokenFile.raw]
        spawn.directory = bundle.raw
        spawn.umask = 0o077
        spawn.oomScoreAdjustment = oomScoreAdjustment
        let child = try startLowering(&spawn, program.descriptor.raw)
        faults.reached(.startSpawned)
        let process = ShimProcess(pid: child.pid, startTime: try ProcessFacts.startTime(of: child.pid))
        let pidfd = child.sharedPidfd()
        try File.writeAtomically(
            paths.shimPid,
            try JSON.bytes(Record(pid: process.pid, startTime: process.startTime)),
            durable: false
        )
        faults.reached(.startRecorded)
        return (process, pidfd, token)
    }

    /// A shim should be among the last to go when memory runs out: it holds the exit code.
    private static let oomScoreAdjustment = -998

    /// Lowering the score needs a capability that a confined engine may lack; then the shim keeps ours.
    private static func startLowering(_ spawn: inout Spawn, _ program: RawDescriptor) throws -> Child {
        do throws(KernelError) {
            return try spawn.start(program)
        } catch {
            guard error.code == .permissionDenied else { throw error }
            spawn.oomScoreAdjustment = nil
            return try spawn.start(program)
        }
    }

    /// The process that an earlier life recorded; nil when there is no record or it cannot be read.
    package static func recorded(_ paths: ContainerPaths) -> ShimProcess? {
        guard
            let bytes = try? File.read(paths.shimPid, limit: 4096),  // absent and unreadable are both "no record"
            let record = try? JSON.decode(Record.self, bytes)
        else { return nil }
        return ShimProcess(pid: record.pid, startTime: record.startTime)
    }

    package static func token(_ paths: ContainerPaths) -> String? {
        try? File.readText(paths.token, limit: 4096)  // absent and unreadable are both "no token"
    }

    /// A pidfd of exactly this process, or nil when it is gone.
    package func open() -> SharedDescriptor? {
        guard
            let pidfd = try? Pidfd(pid: pid),  // gone: that is the answer
            let now = try? ProcessFacts.startTime(of: pid), now == startTime,
            // The pidfd was opened first: if it still is alive now, the start time that was read is its own.
            (try? pidfd.send(nil)) == true
        else { return nil }
        return SharedDescriptor(pidfd.intoDescriptor())
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
            return arguments.last == "serve" && arguments.contains(paths.bundle)
        }
    }
}
