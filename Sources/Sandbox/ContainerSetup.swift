internal import Cgroups
internal import Kernel
internal import MountTrees
internal import Netlink
internal import OCISpec

/// The child's side of creating a container, from clone to the program.
struct ContainerSetup {
    let plan: ContainerPlan
    let cgroup: CgroupEntrance?
    let channel: HandshakeEnd

    /// Never returns: ends as the program, or exits after reporting what failed.
    func run() -> Never {
        var listener: SharedDescriptor?
        do throws(SandboxError) {
            let terminal = try create()
            listener = try waitForStart(terminal)
            try ProcessEntry(
                plan: plan.process,
                channel: listener.map { HandshakeEnd(socket: $0.raw) } ?? channel,
                terminal: terminal?.terminal.raw
            ).run()
        } catch {
            ChildReport.failAndExit(listener.map { HandshakeEnd(socket: $0.raw) } ?? channel, error)
        }
    }

    /// Returns when the program may run.
    ///
    /// - Parameter terminal: The process's own, when it has one.
    /// - Returns: Who wants to hear of a failure, when it is not the parent.
    /// - Throws: What waiting gives.
    private func waitForStart(_ terminal: SharedTerminal?) throws(SandboxError) -> SharedDescriptor? {
        let answer = try channel.receive(within: nil)
        if answer?.message == .proceed { return nil }
        guard answer?.message == .leave, let gate = plan.startGate else {
            // The parent is gone or has given up; nobody wants to hear of it.
            Clone.exit(0)
        }
        if let terminal {
            // The parent's streams are not the process's: whoever reads them waits for the parent's end, not for its.
            try step(.console) { () throws(KernelError) in
                for number: RawDescriptor in 0...2 { try DescriptorTable.place(terminal.terminal.raw, at: number) }
            }
        }
        return try gate.wait()
    }

    private func create() throws(SandboxError) -> SharedTerminal? {
        try ChildReport.isolate(keeping: keptDescriptors)
        try ChildReport.enterCgroups(cgroup, plan.process)
        if plan.sharesNamespaces { return try createWithoutNamespaces() }
        if plan.userNamespace != nil { try waitForMappings() }
        if plan.joinsMounts { return try createInJoinedTree() }
        let place = try step(.rootfs) { () throws(KernelError) in
            // Opened while this process still has the host's root id, which may be needed to get there.
            try Mount.setPropagation("/", .private, recursive: true)
            return try File.open(plan.rootPath, [.path, .directory])
        }
        if plan.userNamespace != nil { try ChildReport.becomeRoot() }
        try enterNamespaces()
        try runHooksOutside()
        let tree = try step(.rootfs) { () throws(KernelError) in
            let tree = try plan.root.tree()
            try tree.mount.attach(to: place, object: plan.rootPath)
            return tree
        }
        try runHooksInside()
        let made = try makeFileSystems()
        try step(.rootfs) { () throws(KernelError) in try Mount.pivotRoot(to: tree.mount.raw) }
        // From here on there is no host path left to reach.
        Umask.set(0)
        let root = try step(.rootfs) { () throws(KernelError) in try RootedDir("/") }
        let filesystems = try attachMounts(root, made)
        try makeDevices(root, made)
        let terminal = try openTerminal(root, filesystems)
        try setParameters(filesystems)
        try prepareWorkingDirectory(root)
        try protectPaths(root)
        try finishRoot(tree)
        try bringUpLoopback()
        try setRules(root, filesystems)
        if plan.startGate != nil { try plan.process.checkProgram(root) }
        try step(.handshake) { () throws(KernelError) in
            if let terminal {
                try channel.send(.ready, passing: [terminal.controller.raw])
            } else {
                try channel.send(.ready)
            }
        }
        return terminal
    }

    /// The same where the tree is that of others, which stays as it is.
    private func createInJoinedTree() throws(SandboxError) -> SharedTerminal? {
        // Where the guide has entered the tree, this process still has the host's root id, which may be needed to get there.
        let place = plan.joinedAfterClone.contains { $0.kind == .mount } ? nil : try openJoinedRoot()
        if plan.userNamespace != nil { try ChildReport.becomeRoot() }
        try runHooksOutside()
        try enterNamespaces()
        Umask.set(0)
        let root: SharedDescriptor
        if let place { root = place } else { root = try openJoinedRoot() }
        try step(.rootfs) { () throws(KernelError) in try Mount.changeRoot(to: root.raw) }
        try setParameters(AttachedFileSystems())
        try bringUpLoopback()
        let tree = try step(.rootfs) { () throws(KernelError) in try RootedDir("/") }
        try setRules(tree, AttachedFileSystems())
        if plan.startGate != nil { try plan.process.checkProgram(tree) }
        try step(.handshake) { () throws(KernelError) in try channel.send(.ready) }
        return nil
    }

    private func openJoinedRoot() throws(SandboxError) -> SharedDescriptor {
        try step(.rootfs) { () throws(KernelError) in
            SharedDescriptor(try RootedDir("/").open(plan.rootPath, [.path, .directory]))
        }
    }

    /// Lets the parent run its hooks while the namespaces exist and the host's root is still there.
    private func runHooksOutside() throws(SandboxError) {
        guard plan.hooks?.interruptsCreation == true || !plan.netDevices.isEmpty else { return }
        try step(.handshake) { () throws(KernelError) in try channel.send(.namespacesReady) }
        guard let answer = try channel.receive(within: nil), answer.message == .proceed else { Clone.exit(0) }
    }

    /// Runs the hooks that belong into the container's namespaces before the root changes.
    private func runHooksInside() throws(SandboxError) {
        guard let hooks = plan.hooks else { return }
        // What runs in the container's namespaces is told the number that it has there.
        try hooks.run(.createContainer, status: .creating, pid: Credentials.processID)
    }

    private var keptDescriptors: [RawDescriptor] {
        var kept = [channel.socket] + plan.root.descriptors + (cgroup?.descriptors ?? []) + plan.process.keptDescriptors
        if let gate = plan.startGate { kept.append(gate.listener.socket) }
        kept += plan.joined.map(\.descriptor.raw)
        if let store = plan.deviceStore { kept.append(store.tree.mount.raw) }
        if let mask = plan.emptyDirectory { kept.append(mask.mount.raw) }
        for mount in plan.mounts {
            if case .tree(let tree) = mount.content { kept.append(tree.mount.raw) }
        }
        return kept
    }

    /// Waits until the parent has written the maps and mapped the mounts that are prepared already.
    ///
    /// In a namespace that exists both is done.
    private func waitForMappings() throws(SandboxError) {
        guard plan.userNamespace?.existing == nil else { return }
        guard let answer = try channel.receive(within: nil), answer.message == .proceed else { Clone.exit(0) }
    }

    private func enterNamespaces() throws(SandboxError) {
        try step(.namespaces) { () throws(KernelError) in
            if plan.newNamespaces.contains(.cgroup) { try Namespace.unshare(.cgroup) }
            for namespace in plan.joinedAfterClone {
                try Namespace.enter(namespace.descriptor.raw, namespace.kind)
            }
        }
        if !plan.joinedBeforeClone.contains(where: { $0.kind == .uts }) { try Self.setNames(plan) }
    }

    /// Sets host and domain name of the uts namespace that the caller is in.
    static func setNames(_ plan: ContainerPlan) throws(SandboxError) {
        try step(.namespaces) { () throws(KernelError) in
            if let hostname = plan.hostname { try Namespace.setHostName(hostname) }
            if let domainname = plan.domainname { try Namespace.setDomainName(domainname) }
        }
    }

    /// Writes the parameters through a procfs that this process has mounted itself, never through what is at `/proc`.
    private func setParameters(_ filesystems: AttachedFileSystems) throws(SandboxError) {
        guard !plan.sysctls.isEmpty else { return }
        let own = try step(.sysctl) { () throws(KernelError) in
            if let procfs = filesystems.procfs { return procfs }
            return PreparedTree(try FileSystemContext("proc").mount())
        }
        for entry in plan.sysctls {
            do throws(KernelError) {
                try File.writeOnce("sys/\(entry.path)", entry.value, at: own.mount.raw)
            } catch {
                let isUnknown = error.errno == .noEntry
                let reason = "'\(entry.value.prefix(100))': \(isUnknown ? "no such parameter" : "\(error.errno)")"
                let code = isUnknown ? ErrorCode.unsupported : error.code
                throw .refused(.sysctl, "set", "linux.sysctl.\(entry.name)", reason, code: code)
            }
        }
    }

    /// An image's working directory need not exist in its layers.
    func prepareWorkingDirectory(_ root: borrowing RootedDir) throws(SandboxError) {
        let path = plan.process.workingDirectory
        do throws(KernelError) {
            try root.mkdirAll(path, mode: 0o755)
        } catch {
            throw .failed(.workingDirectory, .failed("make", path, error.errno))
        }
    }

    private func finishRoot(_ tree: PreparedTree) throws(SandboxError) {
        try step(.rootfs) { () throws(KernelError) in
            // After the mounts: those on a shared one would become shared, whatever their own options say.
            if plan.rootPropagation != .private { try tree.mount.setPropagation(plan.rootPropagation) }
            if plan.rootIsReadOnly { try tree.mount.setAttributes(set: .readOnly) }
        }
    }

    private func bringUpLoopback() throws(SandboxError) {
        guard plan.bringsUpLoopback else { return }
        try step(.network) { () throws(KernelError) in try NetworkDevices.bringLoopbackUp() }
    }
}

/// A terminal whose ends are kept by reference.
struct SharedTerminal {
    let controller: SharedDescriptor
    let terminal: SharedDescriptor
}

/// What both kinds of children do first and last.
enum ChildReport {
    /// A session of its own, with only the descriptors that it needs, and with fresh signals.
    static func isolate(keeping kept: [RawDescriptor]) throws(SandboxError) {
        try step(.clone) { () throws(KernelError) in
            try ProcessAttributes.startSession()
            var next: RawDescriptor = 3
            for number in Set(kept).sorted() where number >= 3 {
                if number > next { try DescriptorTable.close(from: UInt32(next), through: UInt32(number - 1)) }
                next = number + 1
            }
            try DescriptorTable.close(from: UInt32(next))
            Signals.resetAll()
            Signals.setMask(.none)
        }
    }

    /// Moves the calling process into the v1 hierarchies; for version 2 clone has done it.
    static func enterCgroups(_ cgroup: CgroupEntrance?, _ plan: ProcessPlan) throws(SandboxError) {
        guard let cgroup else { return }
        do throws(KernelError) { try cgroup.enter() } catch {
            // Version 1 takes a process with a real-time policy into a group with time for it only.
            guard error.errno == .invalid, let scheduler = plan.scheduler, scheduler.policy.isRealTime else {
                throw .failed(.cgroup, error)
            }
            let reason = "the container's group has no linux.resources.cpu.realtimeRuntime for it"
            throw .refused(.limits, "apply", "process.scheduler", reason, code: .permissionDenied)
        }
    }

    /// Becomes user and group 0 of a user namespace; until here the host's ids stood for nobody inside.
    static func becomeRoot() throws(SandboxError) {
        try step(.credentials) { () throws(KernelError) in
            try Credentials.setSupplementaryGroups([])
            try Credentials.setGroup(0)
            try Credentials.setUser(0)
            // The change of the user sets it as fs.suid_dumpable says.
            try ProcessAttributes.setDumpable(false)
        }
    }

    /// Gives the parent a process that was cloned for it, and ends.
    static func handOver(_ child: consuming Child, _ channel: HandshakeEnd) -> Never {
        let pid = child.pid
        let process = child.sharedPidfd()
        withExtendedLifetime(process) {
            // When the parent is gone its end of the conversation with the process is closed, and that ends then.
            try? channel.send(.cloned(pid), passing: [process.raw])
        }
        Clone.exit(0)
    }

    /// Tells the parent and ends.
    static func failAndExit(_ channel: HandshakeEnd, _ error: SandboxError) -> Never {
        // When the parent is gone there is nobody to tell.
        try? channel.send(.failed(error))
        Clone.exit(127)
    }
}
