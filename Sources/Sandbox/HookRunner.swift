internal import Kernel
internal import OCISpec

/// Runs the hooks of a container (OCI runtime-spec "POSIX-platform hooks").
struct HookRunner: Sendable {
    let hooks: RuntimeSpec.Hooks
    var state: ContainerState

    /// The kinds of hooks whose programs are the host's.
    ///
    /// `startContainer` is not among them: its program would be the container's, run before the container's
    /// confinement.
    enum Kind: String {
        case prestart, createRuntime, createContainer, poststart, poststop
    }

    private static let defaultPatience = 30

    init?(id: String, specification: RuntimeSpec, bundle: String) {
        guard let hooks = specification.hooks else { return nil }
        self.hooks = hooks
        state = ContainerState(
            ociVersion: specification.ociVersion,
            id: id,
            status: .creating,
            pid: nil,
            bundle: bundle,
            annotations: specification.annotations
        )
    }

    /// Whether anything must run between the clone and the change of the root.
    var interruptsCreation: Bool {
        hooks.prestart?.isEmpty == false || hooks.createRuntime?.isEmpty == false
    }

    /// Runs the hooks of one kind in their order, with the container's state on their standard input.
    ///
    /// - Throws: The first that fails, exits with another status than 0, or takes longer than its timeout (30 s without).
    func run(_ kind: Kind, status: ContainerState.Status, pid: Int32?) throws(SandboxError) {
        var state = state
        state.status = status
        state.pid = pid
        for hook in list(kind) {
            guard hook.path.hasPrefix("/") else { throw .invalid("hooks.\(kind.rawValue)", "a path is not absolute") }
            do throws(KernelError) {
                try run(hook, state.json)
            } catch {
                throw .refused(.hooks, "run \(kind.rawValue) hook", hook.path, error.description)
            }
        }
    }

    /// Runs the hooks of one kind, all of them, whatever happens to some.
    ///
    /// - Returns: What went wrong.
    func runAll(_ kind: Kind, status: ContainerState.Status) -> [SandboxError] {
        var errors: [SandboxError] = []
        for hook in list(kind) {
            var single = HookRunner(hooks: RuntimeSpec.Hooks(poststop: [hook]), state: state)
            single.state.status = status
            do throws(SandboxError) { try single.run(.poststop, status: status, pid: nil) } catch {
                errors.append(error)
            }
        }
        return errors
    }

    private init(hooks: RuntimeSpec.Hooks, state: ContainerState) {
        self.hooks = hooks
        self.state = state
    }

    private func list(_ kind: Kind) -> [RuntimeSpec.Hook] {
        switch kind {
        case .prestart: hooks.prestart ?? []
        case .createRuntime: hooks.createRuntime ?? []
        case .createContainer: hooks.createContainer ?? []
        case .poststart: hooks.poststart ?? []
        case .poststop: hooks.poststop ?? []
        }
    }

    private func run(_ hook: RuntimeSpec.Hook, _ input: [UInt8]) throws(KernelError) {
        let reader = try Self.filledPipe(input)
        let arguments = hook.args.flatMap { $0.isEmpty ? nil : $0 } ?? [hook.path]
        var spawn = Spawn(arguments: arguments, environment: hook.env ?? [])
        spawn.descriptors = [0: reader.raw]
        let child = try spawn.start(hook.path)
        try wait(for: child, seconds: hook.timeout ?? Self.defaultPatience)
    }

    /// The reading end of a pipe that holds the bytes and whose writing end is closed.
    private static func filledPipe(_ bytes: [UInt8]) throws(KernelError) -> SharedDescriptor {
        // Written before anybody reads: it must fit.
        guard bytes.count <= 1 << 16 else { throw .failed("give state to hook", .argumentListTooLong) }
        let pipe = try Pipe().ends()
        try pipe.writer.writeAll(bytes)
        return pipe.reader
    }

    private func wait(for child: borrowing Child, seconds: Int) throws(KernelError) {
        if try child.pidfd.poll(for: .readable, timeout: .seconds(max(1, seconds))).isEmpty {
            SandboxProcess.abandon(child.pidfd.raw)
            throw .failed("wait for hook", .timedOut)
        }
        let status = try child.pidfd.wait()
        guard status == .exited(0) else { throw .failed("run hook", .cancelled, detail: "\(status)") }
    }
}
