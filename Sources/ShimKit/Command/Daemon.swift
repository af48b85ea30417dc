import Kernel

/// The shim proper: takes its descriptors, becomes what a shim must be, and serves.
struct Daemon {
    /// Descriptors that the starter hands over, by number.
    private enum Number {
        static let listener: RawDescriptor = 3
        static let descriptorListener: RawDescriptor = 4
        static let token: RawDescriptor = 5
    }

    private let arguments: ShimArguments

    init(_ arguments: ShimArguments) {
        self.arguments = arguments
    }

    func run<B: Backend>(_ backend: B.Type) throws(ShimFault) {
        try seal()
        let configuration = try configuration()
        try becomeDaemon()
        let server: ShimServer
        do throws(BackendError) {
            let made = try B(configuration.context)
            do throws(KernelError) {
                server = try ShimServer(
                    configuration: configuration,
                    information: B.information,
                    backend: made,
                    loop: try EventLoop()
                )
            } catch {
                throw .failed(stage: "shim", error)
            }
        } catch {
            throw ShimFault("start", error)
        }
        do throws(KernelError) {
            try server.run()
        } catch {
            throw ShimFault("serve", error)
        }
        if let path = configuration.socketPath {
            // Left for `delete` when it cannot be removed.
            _ = try? File.remove(path)
        }
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
            let listener = try adopt(Number.listener)
            try listener.setNonBlocking()
            return ShimConfiguration(
                context: BackendContext(namespace: arguments.namespace, id: arguments.id, bundle: bundle),
                listener: listener,
                descriptorListener: isManaged ? try adoptListener() : nil,
                token: isManaged ? try readToken() : nil,
                eventAddress: isManaged ? nil : Environment.value("TTRPC_ADDRESS"),
                socketPath: isManaged || arguments.socket.isEmpty ? nil : arguments.socket,
                startedAt: .now
            )
        } catch {
            throw ShimFault("take over descriptors", error)
        }
    }

    private func adopt(_ number: RawDescriptor) throws(KernelError) -> SharedDescriptor {
        let descriptor = SharedDescriptor(Descriptor(adopting: number))
        try descriptor.setCloseOnExec(true)
        return descriptor
    }

    private func adoptListener() throws(KernelError) -> SharedDescriptor {
        let listener = try adopt(Number.descriptorListener)
        try listener.setNonBlocking()
        return listener
    }

    /// Reads the token: what stands in the file, without the end of its line.
    private func readToken() throws(KernelError) -> [UInt8] {
        let bytes = try adopt(Number.token).readToEnd(limit: 4096)
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
    private func becomeDaemon() throws(ShimFault) {
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
