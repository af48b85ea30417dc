internal import Kernel
internal import OCISpec

/// Runs the hooks of a container (OCI runtime-spec "POSIX-platform hooks").
struct HookRunner: Sendable {
    let hooks: RuntimeSpec.Hooks
    var state: ContainerState

    /// The kinds of hooks whose programs are the host's.
    ///
    /// `startContainer` is not among them: its program is the container's, see `StartHooks`.
    enum Kind: String, CaseIterable {
        case prestart, createRuntime, createContainer, poststart, poststop
    }

    /// What a hook without a timeout may take.
    static let defaultPatience = Duration.seconds(30)

    /// Takes the hooks of a document; nil without any.
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

    /// Looks at all hooks before any runs.
    ///
    /// - Throws: `invalidArgument` for the first that could not be run.
    func check() throws(SandboxError) {
        for kind in Kind.allCases {
            try Self.check(list(kind), kind.rawValue)
        }
        try Self.check(hooks.startContainer ?? [], "startContainer")
    }

    private static func check(_ hooks: [RuntimeSpec.Hook], _ kind: String) throws(SandboxError) {
        for (index, hook) in hooks.enumerated() {
            let field = "hooks.\(kind)[\(index)]"
            guard hook.path.hasPrefix("/"), !hook.path.utf8.contains(0) else {
                throw .invalid("\(field).path", "'\(hook.path)' is not an absolute path")
            }
            guard hook.timeout ?? 1 > 0 else {
                throw .invalid("\(field).timeout", "\(hook.timeout ?? 0) is not more than 0 seconds")
            }
            for (name, texts) in [("args", hook.args ?? []), ("env", hook.env ?? [])]
            where texts.contains(where: { $0.utf8.contains(0) }) {
                throw .invalid("\(field).\(name)", "a NUL byte")
            }
        }
    }

    /// Whether anything must run between the clone and the change of the root.
    var interruptsCreation: Bool {
        hooks.prestart?.isEmpty == false || hooks.createRuntime?.isEmpty == false
    }

    /// The longest time that all hooks of a list may take together.
    static func patience(_ hooks: [RuntimeSpec.Hook]?) -> Duration {
        (hooks ?? []).reduce(Duration.zero) { $0 + time(for: $1) }
    }

    static func time(for hook: RuntimeSpec.Hook) -> Duration {
        // A day is for ever; a sum of those does not overflow.
        hook.timeout.map { .seconds(min($0, 86_400)) } ?? defaultPatience
    }

    /// Runs the hooks of one kind in their order, with the container's state on their standard input.
    ///
    /// - Throws: The first that fails, exits with another status than 0, or takes longer than its timeout (30 s without).
    func run(_ kind: Kind, status: ContainerState.Status, pid: Int32?) throws(SandboxError) {
        var state = state
        state.status = status
        state.pid = pid
        for (index, hook) in list(kind).enumerated() { try run(hook, state.json, kind, index) }
    }

    /// Runs the hooks of one kind, all of them, whatever happens to some.
    ///
    /// - Returns: What went wrong.
    func runAll(_ kind: Kind, status: ContainerState.Status) -> [SandboxError] {
        var errors: [SandboxError] = []
        var state = state
        state.status = status
        for (index, hook) in list(kind).enumerated() {
            do throws(SandboxError) { try run(hook, state.json, kind, index) } catch { errors.append(error) }
        }
        return errors
    }

    /// Ends the life of a container that a hook has kept from being created: the hooks that follow its removal run.
    ///
    /// - Returns: The error, with what went wrong beside it.
    func afterFailure(_ error: SandboxError) -> SandboxError {
        guard error.stage == .hooks else { return error }
        return runAll(.poststop, status: .stopped).reduce(error) { $0.beside($1) }
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

    private func run(
        _ hook: RuntimeSpec.Hook,
        _ input: [UInt8],
        _ kind: Kind,
        _ index: Int
    ) throws(SandboxError) {
        do throws(KernelError) {
            let reader = try Self.filledPipe(input)
            let arguments = hook.args.flatMap { $0.isEmpty ? nil : $0 } ?? [hook.path]
            // The leader of a session and of a process group.
            var spawn = Spawn(arguments: arguments, environment: hook.env ?? [])
            spawn.descriptors = [0: reader.raw]
            try Self.wait(for: spawn.start(hook.path), within: Self.time(for: hook))
        } catch {
            throw Self.failure("hooks.\(kind.rawValue)[\(index)]", hook, error)
        }
    }

    static func failure(_ field: String, _ hook: RuntimeSpec.Hook, _ error: KernelError) -> SandboxError {
        .refused(.hooks, "run \(hook.path) of", field, error.description, code: error.code)
    }

    /// The reading end of a pipe that holds the bytes and whose writing end is closed.
    static func filledPipe(_ bytes: [UInt8]) throws(KernelError) -> SharedDescriptor {
        let pipe = try Pipe().ends()
        // Written before anybody reads: it must fit.
        if bytes.count > 1 << 16 { try Pipe.setCapacity(pipe.writer.raw, bytes: bytes.count) }
        try pipe.writer.writeAll(bytes)
        return pipe.reader
    }

    /// Waits for a hook, and kills it with its process group when it takes too long.
    static func wait(for child: borrowing Child, within time: Duration) throws(KernelError) {
        if try child.pidfd.poll(for: .readable, timeout: time).isEmpty {
            // Not reaped yet, so the number is its group's; without a group the process alone is left to kill.
            try? Signals.send(.kill, toGroupOfChild: child.pid)
            SandboxProcess.abandon(child.pidfd.raw)
            throw .failed("wait for hook", .timedOut, detail: "it was killed after \(time)")
        }
        let status = try child.pidfd.wait()
        guard status == .exited(0) else { throw .failed("run hook", .cancelled, detail: "it ended with \(status)") }
    }
}
