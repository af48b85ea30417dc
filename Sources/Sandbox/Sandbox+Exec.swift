internal import Cgroups
internal import Kernel
internal import OCISpec

extension Sandbox {
    /// Starts one more process in a running container, under the same confinement as its first.
    ///
    /// - Parameters:
    ///   - request: What to run.
    ///   - guardian: Who answers the filter's questions, where the caller does.
    /// - Returns: The process, which runs its program already. It is a child of the caller, who reaps it.
    /// - Throws: The step that failed; `failedPrecondition` when the container's first process has ended. No process is left
    ///   then.
    public static func exec(
        _ request: SandboxExecRequest,
        answering guardian: (any FilterGuard)? = nil
    ) throws(SandboxError) -> SandboxProcess {
        let setup = try begin(request)
        do throws(SandboxError) { return try setup.handOver(guardian) } catch {
            SandboxProcess.abandon(setup)
            throw error
        }
    }

    /// Sets the process up as far as its program.
    ///
    /// In a function of its own, because the caller must not keep the child's end of the conversation: its close is how
    /// the exec is seen.
    private static func begin(_ request: SandboxExecRequest) throws(SandboxError) -> SandboxProcess {
        let user = try RunningContainer(
            request.container,
            hasRootBelow: request.surroundings.map { $0.joinsMounts || $0.sharesNamespaces } ?? false
        )
        var plan = try ProcessPlan(
            request.process,
            streams: request.streams,
            seccomp: request.seccomp,
            answers: request.answers,
            surroundings: request.surroundings,
            grantable: user.root == nil ? nil : .allKnown
        )
        plan.preservedDescriptors = request.preservedDescriptors
        plan.rules = request.rules
        if request.surroundings?.sharesNamespaces == true { try plan.refuseRights() }
        if let listener = plan.listener { plan.listener = listener.telling(.running, pid: user.pid) }
        if let owner = user.root { try give(plan.streams ?? [], to: owner) }
        let (ours, theirs) = try step(.handshake) { () throws(KernelError) in
            let pair = try UnixSocket.pair(kind: .sequentialPackets)
            // The process inside could be made to say what only its set-up may.
            try UnixSocket.askForSenders(pair.0.raw)
            return pair
        }
        let child = try bound(to: plan.initialProcessors) { () throws(SandboxError) in
            try fork([], cgroup: request.cgroup?.directory?.raw)
        }
        guard let child else {
            ExecSetup(
                plan: plan,
                container: request.container,
                root: user.joinedRoot,
                hasUserNamespace: user.root != nil,
                sharesNamespaces: request.surroundings?.sharesNamespaces ?? false,
                cgroup: request.cgroup,
                channel: HandshakeEnd(socket: theirs.raw)
            ).run()
        }
        return try SandboxProcess.supervise(child, channel: ours, plan: plan)
    }

    /// Runs something on some processors only, so that a process that it makes is born there, before any cgroup
    /// binds it.
    private static func bound(
        to processors: NumberSet?,
        _ body: () throws(SandboxError) -> Child?
    ) throws(SandboxError) -> Child? {
        guard let processors else { return try body() }
        let own = try step(.limits) { () throws(KernelError) in
            let own = try NumberSet.processors()
            do throws(KernelError) { try processors.bindProcessors() } catch {
                throw error.about("process.execCPUAffinity.initial")
            }
            return own
        }
        // What was in force a moment ago can be restored.
        func restore() { try? own.bindProcessors() }
        do throws(SandboxError) {
            let child = try body()
            // The child keeps what it was born with.
            if child != nil { restore() }
            return child
        } catch {
            restore()
            throw error
        }
    }
}

/// What can be seen from outside of a container that runs.
struct RunningContainer {
    /// The host's ids of its root; nil when it has the caller's user namespace.
    let root: HostOwner?
    /// Number of its first process.
    let pid: Int32
    /// Its root directory where that is not the whole of its mount namespace; nil where the tree is its own and whole.
    let joinedRoot: SharedDescriptor?

    /// Looks at a container through its first process, which must not have been reaped.
    init(_ container: RawDescriptor, hasRootBelow: Bool) throws(SandboxError) {
        do throws(KernelError) {
            let pid = try Pidfd.number(of: container)
            self.pid = pid
            root = try Self.root(pid)
            // Who enters a mount namespace is at its root, whatever directory of it the container has been given.
            joinedRoot =
                hasRootBelow ? SharedDescriptor(try File.open("/proc/\(pid)/root", [.path, .directory])) : nil
            // Only now is it certain that the number was the container's all the time.
            guard try BorrowedDescriptor(container).poll(for: .readable, timeout: .zero).isEmpty else {
                throw .failed("enter container", .noProcess)
            }
        } catch  where error.errno == .noEntry || error.errno == .noProcess {
            throw Self.ended
        } catch {
            throw .failed(.namespaces, error)
        }
    }

    private static func root(_ pid: Int32) throws(KernelError) -> HostOwner? {
        if try HostNamespaces.contain(Namespace.open(.user, of: pid).status(), .user) { return nil }
        let mappings = try IDMappings(of: pid)
        guard let user = mappings.hostUser(0), let group = mappings.hostGroup(0) else {
            throw .failed("read", "/proc/\(pid)/uid_map", .invalid, detail: "no id 0 in the user namespace")
        }
        return HostOwner(user: user, group: group)
    }

    /// The refusal of whatever needs a running container.
    static var ended: SandboxError {
        .refused(.namespaces, "enter container", "", "its first process has ended")
    }
}

/// The child's side of an additional process.
///
/// It does everything outside of the container's process namespace, where nobody inside can see it, let alone take it over
/// while it still has rights or descriptors that are not the container's. Only when it has the final ids, capabilities and
/// filter does it clone the process inside, as its own sibling, and end. That process makes a session, executes the program
/// and has nothing but its streams and the means to say what failed, see `ExecHandOver`.
///
/// The filter is loaded here and inherited: loaded by the process inside, it would come later than a process of the container
/// with CAP_SYS_PTRACE might, and without no_new_privs that process would need CAP_SYS_ADMIN until then. Where the filter
/// itself makes that impossible, see `ExecCloning`.
struct ExecSetup {
    let plan: ProcessPlan
    let container: RawDescriptor
    /// See `RunningContainer.joinedRoot`.
    let root: SharedDescriptor?
    let hasUserNamespace: Bool
    /// Whether the container has no namespaces to enter.
    let sharesNamespaces: Bool
    let cgroup: CgroupEntrance?
    let channel: HandshakeEnd

    /// Never returns: ends as the program, or exits after reporting what failed.
    func run() -> Never {
        do throws(SandboxError) {
            let kept = [channel.socket, container] + (root.map { [$0.raw] } ?? []) + (cgroup?.descriptors ?? [])
            try ChildReport.isolate(keeping: kept + plan.keptDescriptors)
            try ChildReport.enterCgroups(cgroup, plan)
            // Of the host's, while its root is there.
            var terminal = sharesNamespaces ? try TerminalPair.openHosts(for: plan) : nil
            try enterContainer()
            Umask.set(0)
            if !sharesNamespaces { terminal = try openTerminal() }
            try step(.handshake) { () throws(KernelError) in
                try channel.send(.ready, passing: terminal.map { [$0.controller.raw] } ?? [])
            }
            guard let answer = try channel.receive(within: nil), answer.message == .proceed else { Clone.exit(0) }
            var entry = ProcessEntry(plan: plan, channel: channel, terminal: terminal?.terminal.raw)
            entry.handOver = ExecHandOver(plan: plan, channel: channel, hasTerminal: terminal != nil)
            try entry.run()
        } catch {
            ChildReport.failAndExit(channel, error)
        }
    }

    /// Enters all namespaces in one call; that of processes only counts for who is cloned later.
    private func enterContainer() throws(SandboxError) {
        guard !sharesNamespaces else { return try enterRoot() }
        var kinds: Namespace.Kinds = [.mount, .uts, .ipc, .network, .cgroup, .pid]
        if File.exists("/proc/self/ns/time") { kinds.insert(.time) }
        if hasUserNamespace { kinds.insert(.user) }
        do throws(KernelError) { try Namespace.enter(container, kinds) } catch  where error.errno == .noProcess {
            throw RunningContainer.ended
        } catch {
            throw .failed(.namespaces, error)
        }
        if hasUserNamespace { try ChildReport.becomeRoot() }
        try enterRoot()
    }

    private func enterRoot() throws(SandboxError) {
        guard let root else { return }
        try step(.rootfs) { () throws(KernelError) in try Mount.changeRoot(to: root.raw) }
    }

    /// Opens a terminal through the container's `/dev/pts`.
    ///
    /// The container may have put something else there, so what is opened must be the multiplexer of a devpts, and the
    /// other end comes from it, not from a name.
    private func openTerminal() throws(SandboxError) -> SharedTerminal? {
        guard plan.streams == nil else { return nil }
        return try step(.console) { () throws(KernelError) in
            let root = try RootedDir("/")
            let place = try root.openWithoutLinks("/dev/pts/ptmx", .path)
            let status = try place.status()
            guard status.kind == .characterDevice, status.representedDevice == DeviceNumber(major: 5, minor: 2),
                try place.fileSystemType() == 0x1cd1
            else {
                throw .failed("open terminal", "/dev/pts/ptmx", .accessDenied, detail: "not a terminal multiplexer")
            }
            let multiplexer = try root.openWithoutLinks("/dev/pts/ptmx", [.readWrite, .noControllingTerminal])
            guard try multiplexer.fileSystemType() == 0x1cd1 else {
                throw .failed("open terminal", "/dev/pts/ptmx", .accessDenied, detail: "not a terminal multiplexer")
            }
            return try TerminalPair.open(multiplexer, size: plan.consoleSize)
        }
    }
}
