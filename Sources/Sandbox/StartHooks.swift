internal import DocumentTexts
internal import Kernel
internal import OCISpec

// Hooks whose programs are the container's own (OCI runtime-spec "startContainer").
//
// The specification wants them executed inside the container before its program, after everything else is in place. The
// program file comes from the image, so nobody of ours may run it with more rights than the image's main program gets: each hook
// is a copy of the container's first process that takes on the same user, groups, capabilities, labels, limits and filter,
// and then executes the hook instead of the program. Its standard input holds the state; the others are the null device of
// the host, which was opened before there was a container.

/// The hooks that a process runs in its own place before its program.
struct StartHooks {
    let hooks: [RuntimeSpec.Hook]
    let arguments: [ArgumentVector]
    let environments: [ArgumentVector]
    /// The container; its pid is set where the hooks run.
    let state: ContainerState
    let null: SharedDescriptor
}

extension HookRunner {
    /// The `startContainer` hooks, prepared; nil without any.
    func startHooks() throws(SandboxError) -> StartHooks? {
        guard let list = hooks.startContainer, !list.isEmpty else { return nil }
        var state = state
        state.status = .created
        return try step(.hooks) { () throws(KernelError) in
            var (arguments, environments): ([ArgumentVector], [ArgumentVector]) = ([], [])
            for hook in list {
                arguments.append(try ArgumentVector(hook.args.flatMap { $0.isEmpty ? nil : $0 } ?? [hook.path]))
                environments.append(try ArgumentVector(hook.env ?? []))
            }
            return StartHooks(
                hooks: list,
                arguments: arguments,
                environments: environments,
                state: state,
                null: SharedDescriptor(try File.open("/dev/null", .readWrite))
            )
        }
    }
}

extension ProcessEntry {
    /// Runs the hooks one after the other, each in a process of its own that has become what the container's is to be.
    func runStartHooks(_ user: ResolvedUser) throws(SandboxError) {
        guard let start = plan.startHooks else { return }
        var state = start.state
        state.pid = Credentials.processID
        for (index, hook) in start.hooks.enumerated() {
            let field = "hooks.startContainer[\(index)]"
            do throws(KernelError) {
                let input = try HookRunner.filledPipe(state.json)
                let (ours, theirs) = try UnixSocket.pair(kind: .sequentialPackets)
                guard let child = try Clone.fork(clearingHandlers: true) else {
                    become(index, of: start, user, input: input.raw, report: HandshakeEnd(socket: theirs.raw))
                }
                do throws(KernelError) {
                    try HookRunner.wait(for: child, within: HookRunner.time(for: hook))
                } catch {
                    try throwReport(of: ours.raw)
                    throw error
                }
            } catch {
                throw HookRunner.failure(field, hook, error)
            }
        }
    }

    /// The hook's process: never returns.
    private func become(
        _ index: Int,
        of start: StartHooks,
        _ user: ResolvedUser,
        input: RawDescriptor,
        report: HandshakeEnd
    ) -> Never {
        do throws(SandboxError) {
            try step(.hooks) { () throws(KernelError) in
                try ProcessAttributes.startSession()
                for (number, source) in [input, start.null.raw, start.null.raw].enumerated() {
                    try DescriptorTable.place(source, at: RawDescriptor(number))
                }
                try DescriptorTable.setCloseOnExec(from: 3)
            }
            try takeIdentity(user, try announcement())
            let hook = start.hooks[index]
            do throws(KernelError) {
                try Exec.replace(
                    hook.path,
                    arguments: start.arguments[index],
                    environment: start.environments[index]
                )
            } catch { throw .failed(.hooks, "execute", hook.path, error.errno) }
        } catch {
            ChildReport.failAndExit(report, error)
        }
    }

    /// Throws what a hook's process has said before it ended, if anything.
    private func throwReport(of socket: RawDescriptor) throws(KernelError) {
        guard !(try BorrowedDescriptor(socket).poll(for: .readable, timeout: .zero).isEmpty) else { return }
        let packet = try UnixSocket.receiveDescriptors(
            from: socket,
            byteLimit: HandshakeEnd.packetLimit,
            descriptorLimit: 0
        )
        guard case .failed(let error)? = HandshakeMessage(packet.bytes) else { return }
        throw .failed(error.operation, error.object, error.errno ?? .cancelled, detail: error.description)
    }
}
