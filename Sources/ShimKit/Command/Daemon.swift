import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

/// The shim proper: takes its descriptors, becomes what a shim must be, and serves.
struct Daemon {
    /// Descriptors that the starter hands over, by number.
    enum Number {
        static let listener: RawDescriptor = 3
        static let descriptorListener: RawDescriptor = 4
        static let token: RawDescriptor = 5
        static let adoption: RawDescriptor = 6
        static let firstHeld: RawDescriptor = 7
    }

    let arguments: ShimArguments

    init(_ arguments: ShimArguments) {
        self.arguments = arguments
    }

    func run<B: Backend>(_ backend: B.Type) throws(ShimFault) {
        try seal()
        if let memory = arguments.resumed {
            return try Resumption(arguments, memory: memory).run(backend)
        }
        var configuration = try configuration()
        configuration.lock = configuration.hasJournal ? try takeLock(configuration.context.bundle) : nil
        try becomeDaemon()
        if arguments.adopts {
            return try adopt(backend, configuration)
        }
        let server: ShimServer
        do throws(BackendError) {
            server = try Self.server(configuration, B.information, try B(configuration.context))
        } catch {
            throw ShimFault("start", error)
        }
        do throws(StateError) {
            try Self.serve(server)
        } catch {
            throw ShimFault("shim", error)
        }
    }

    /// Goes on with the container of a shim that died.
    private func adopt<B: Backend>(_ backend: B.Type, _ configuration: ShimConfiguration) throws(ShimFault) {
        do throws(StateError) {
            let server = try takeOver(backend, configuration)
            ShimLog.write("container adopted", ("container", configuration.context.id))
            try Self.serve(server)
        } catch {
            throw ShimFault("adopt", error)
        }
    }

    private func takeOver<B: Backend>(
        _ backend: B.Type,
        _ configuration: ShimConfiguration
    ) throws(StateError) -> ShimServer {
        let restored = try RestoredState(.adoption, try writtenState(configuration.context), try heldDescriptors())
        try restored.check(configuration.context, B.information)
        return try Self.restore(backend, restored, configuration)
    }

    private func writtenState(_ context: BackendContext) throws(StateError) -> ShimState {
        let path = context.bundle + "/" + StateFile.name
        let bytes: [UInt8]
        do throws(KernelError) {
            bytes = try File.read(path, limit: StateDocument.maximumByteCount)
        } catch {
            throw .failed(error.code, error.description)
        }
        return try StateDocument.decode(bytes)
    }

    /// What the manager has held.
    private func heldDescriptors() throws(StateError) -> NamedDescriptors {
        var names = NamedDescriptors()
        do throws(KernelError) {
            let memory = try take(Number.adoption)
            let bytes = try SealedMemory.read(memory.raw, limit: 1 << 24)
            guard let adoption = try? ShimAdoption(serializedBytes: bytes) else {
                throw .failed("read names of descriptors", .badProtocol)
            }
            for (index, name) in adoption.names.enumerated() {
                names.add(name, try take(Number.firstHeld + Int32(index)))
            }
        } catch {
            throw .failed(error.code, "take over descriptors: \(error)")
        }
        return names
    }

    /// A server that goes on with a state; it does not run yet.
    static func restore<B: Backend>(
        _ backend: B.Type,
        _ restored: RestoredState,
        _ configuration: ShimConfiguration
    ) throws(StateError) -> ShimServer {
        let server: ShimServer
        do throws(BackendError) {
            let backend = try restored.backend(B.self, configuration.context)
            server = try Self.server(configuration, B.information, backend)
        } catch {
            throw .failed(error.code, error.description)
        }
        try server.restore(restored)
        return server
    }

    private static func server(
        _ configuration: ShimConfiguration,
        _ information: BackendInformation,
        _ backend: any Backend
    ) throws(BackendError) -> ShimServer {
        do throws(KernelError) {
            return try ShimServer(
                configuration: configuration,
                information: information,
                backend: backend,
                loop: try EventLoop()
            )
        } catch {
            throw .failed(stage: "shim", error)
        }
    }

    /// Serves until Shutdown.
    static func serve(_ server: ShimServer) throws(StateError) {
        do throws(KernelError) {
            try server.run()
        } catch {
            throw .failed(error.code, "serve: \(error)")
        }
        if let path = server.configuration.socketPath {
            // Left for `delete` when it cannot be removed.
            _ = try? File.remove(path)
        }
    }

    /// Keeps every other shim of this bundle away for as long as this process lives.
    private func takeLock(_ bundle: String) throws(ShimFault) -> SharedDescriptor {
        let file: SharedDescriptor
        let holder: Int32?
        do throws(KernelError) {
            file = SharedDescriptor(try File.open(bundle + "/lock", [.readWrite, .create, .noFollow]))
            holder = try RecordLock.take(file.raw)
        } catch {
            throw ShimFault("lock bundle", error)
        }
        guard holder == nil else {
            throw ShimFault(
                "bundle '\(bundle)': process \(holder ?? 0) is its shim",
                exitCode: ShimFault.failedPrecondition
            )
        }
        return file
    }

    /// Replaces this program by itself on a read-only mount, so that nothing in a container can write to its file.
    private func seal() throws(ShimFault) {
        guard !arguments.isSealed, !SealedExecutable.isRunningSealed() else {
            return
        }
        do throws(KernelError) {
            let program = try SealedExecutable()
            guard program.isSealed else {
                ShimLog.write("program not sealed: the kernel has no mount_setattr")
                return
            }
            let name = CommandLine.arguments.first ?? "shim"
            let rest = Array(CommandLine.arguments.dropFirst())
            try Exec.replace(
                program.descriptor.raw,
                arguments: ArgumentVector([name, "-sealed"] + rest),
                environment: ArgumentVector(Daemon.environment())
            )
        } catch {
            throw ShimFault("seal program", error)
        }
    }

    /// What of the environment a shim keeps.
    static func environment() -> [String] {
        ["TTRPC_ADDRESS", "BERTH_SCOPE"].compactMap { name in Environment.value(name).map { "\(name)=\($0)" } }
    }

    private func configuration() throws(ShimFault) -> ShimConfiguration {
        do throws(KernelError) {
            let bundle = try absoluteBundle()
            let isManaged = arguments.action == .serve
            let listener = try take(Number.listener)
            try listener.setNonBlocking()
            return ShimConfiguration(
                context: BackendContext(namespace: arguments.namespace, id: arguments.id, bundle: bundle),
                listener: listener,
                descriptorListener: isManaged ? try adoptListener() : nil,
                token: isManaged ? try readToken() : nil,
                eventAddress: isManaged ? nil : Environment.value("TTRPC_ADDRESS"),
                socketPath: isManaged || arguments.socket.isEmpty ? nil : arguments.socket,
                startedAt: .now,
                isDebug: arguments.isDebug
            )
        } catch {
            throw ShimFault("take over descriptors", error)
        }
    }

    /// A descriptor that the starter has passed.
    private func take(_ number: RawDescriptor) throws(KernelError) -> SharedDescriptor {
        let descriptor = SharedDescriptor(Descriptor(adopting: number))
        try descriptor.setCloseOnExec(true)
        return descriptor
    }

    private func adoptListener() throws(KernelError) -> SharedDescriptor {
        let listener = try take(Number.descriptorListener)
        try listener.setNonBlocking()
        return listener
    }

    /// Reads the token: what stands in the file, without the end of its line.
    private func readToken() throws(KernelError) -> [UInt8] {
        let bytes = try take(Number.token).readToEnd(limit: 4096)
        let token = bytes.prefix { $0 != 0x0a }
        guard !token.isEmpty else {
            throw .failed("read token", .noData)
        }
        return Array(token)
    }

    private func absoluteBundle() throws(KernelError) -> String {
        if arguments.bundle.hasPrefix("/") {
            return arguments.bundle
        }
        let current = try WorkingDirectory.current()
        return arguments.bundle.isEmpty ? current : "\(current)/\(arguments.bundle)"
    }

    /// Sets on purpose everything that a process otherwise inherits by chance.
    func becomeDaemon() throws(ShimFault) {
        do throws(KernelError) {
            // Fails only where the starter has made the session already.
            try? ProcessAttributes.startSession()
            try ProcessAttributes.setChildSubreaper(true)
            try ProcessAttributes.setDumpable(false)
            Umask.set(0o022)
            Signals.resetAll()
            Signals.ignore(.pipe)
            try WorkingDirectory.change(to: "/")
        } catch {
            throw ShimFault("become a daemon", error)
        }
    }
}
