internal import Cgroups
internal import Kernel
internal import OCISpec

extension Sandbox {
    /// Starts one more process in a running container, under the same confinement as its first.
    ///
    /// The process is born in the container's process namespace as a child of the caller, enters the container's cgroup
    /// before anything else, then all its other namespaces in one call.
    ///
    /// - Parameter request: What to run.
    /// - Returns: The process, which runs its program already.
    /// - Throws: The step that failed. No process is left then.
    public static func exec(_ request: SandboxExecRequest) throws(SandboxError) -> SandboxProcess {
        let process = try begin(request)
        do throws(SandboxError) { try process.start() } catch {
            SandboxProcess.abandon(process)
            throw error
        }
        return process
    }

    /// Sets the process up as far as its program.
    ///
    /// In a function of its own, because the caller must not keep the child's end of the conversation: its close is how
    /// the exec is seen.
    private static func begin(_ request: SandboxExecRequest) throws(SandboxError) -> SandboxProcess {
        var plan = try ProcessPlan(
            request.process,
            streams: request.streams,
            seccomp: request.seccomp,
            surroundings: request.surroundings
        )
        plan.preservedDescriptors = request.preservedDescriptors
        if let listener = plan.listener {
            let pid = try step(.seccomp) { () throws(KernelError) in
                try SeccompListener.number(of: request.container)
            }
            plan.listener = listener.telling(.running, pid: pid)
        }
        let (ours, theirs) = try step(.handshake) { () throws(KernelError) in
            try UnixSocket.pair(kind: .sequentialPackets)
        }
        let child = try bound(to: plan.initialProcessors) { () throws(SandboxError) in
            try clone([], processNamespace: request.container, cgroup: request.cgroup?.directory?.raw)
        }
        guard let child else {
            ExecSetup(
                plan: plan,
                container: request.container,
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

/// The child's side of an additional process.
struct ExecSetup {
    let plan: ProcessPlan
    let container: RawDescriptor
    let cgroup: CgroupEntrance?
    let channel: HandshakeEnd

    /// Never returns: ends as the program, or exits after reporting what failed.
    func run() -> Never {
        do throws(SandboxError) {
            let kept = [channel.socket, container] + (cgroup?.descriptors ?? []) + plan.keptDescriptors
            try ChildReport.isolate(keeping: kept)
            try ChildReport.enterCgroups(cgroup)
            try step(.namespaces) { () throws(KernelError) in
                try Namespace.enter(container, [.mount, .uts, .ipc, .network, .cgroup])
            }
            Umask.set(0)
            let terminal = try openTerminal()
            try step(.handshake) { () throws(KernelError) in
                try channel.send(.ready, passing: terminal.map { [$0.controller.raw] } ?? [])
            }
            guard let answer = try channel.receive(within: nil), answer.message == .proceed else { Clone.exit(0) }
            try ProcessEntry(plan: plan, channel: channel, terminal: terminal?.terminal.raw).run()
        } catch {
            ChildReport.failAndExit(channel, error)
        }
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
