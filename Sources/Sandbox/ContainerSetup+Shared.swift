internal import Kernel
internal import MountTrees
internal import OCISpec

// A container without any namespace of its own, for hosts that forbid them. Its root is a directory that only its processes are in: a
// mount that nobody has attached anywhere, or one that is there. What keeps them inside is that change of the root, which takes
// CAP_SYS_CHROOT to get out of, and rules for files; nothing is mounted, and nothing of the host's namespaces is changed.

extension ContainerPlan {
    /// Names the first field that asks for something that takes a namespace.
    func refuseWithoutNamespaces(_ request: SandboxRequest) throws(SandboxError) {
        let spec = request.specification
        let linux = spec.linux ?? RuntimeSpec.Linux()
        let hooks = spec.hooks
        let asked: [(String, Bool)] = [
            ("mounts", spec.mounts?.isEmpty == false), ("hostname", spec.hostname?.isEmpty == false),
            ("domainname", spec.domainname?.isEmpty == false), ("linux.sysctl", linux.sysctl?.isEmpty == false),
            ("linux.maskedPaths", !maskedPaths.isEmpty), ("linux.readonlyPaths", !readonlyPaths.isEmpty),
            ("linux.rootfsPropagation", linux.rootfsPropagation?.isEmpty == false),
            ("linux.uidMappings", linux.uidMappings?.isEmpty == false),
            ("linux.gidMappings", linux.gidMappings?.isEmpty == false),
            ("linux.timeOffsets", linux.timeOffsets?.isEmpty == false),
            ("linux.netDevices", linux.netDevices?.isEmpty == false), ("linux.devices", !devices.isEmpty),
            ("linux.mountLabel", mountLabel != nil),
            ("hooks.createContainer", hooks?.createContainer?.isEmpty == false),
            ("hooks.startContainer", hooks?.startContainer?.isEmpty == false),
        ]
        if let field = asked.first(where: \.1)?.0 {
            throw Self.needsNamespace(field, "the container has no namespaces of its own")
        }
        try process.refuseRights()
    }

    fileprivate static func needsNamespace(_ field: String, _ reason: String) -> SandboxError {
        .refused(.specification, "apply", field, reason, code: .unsupported)
    }

    /// Makes the root of a container without namespaces, as far as there is something to make.
    mutating func prepareSharedRoot(_ mounts: [SandboxRootMount]) throws(SandboxError) {
        // Not even a copy of a mount is made then: where mounting is forbidden too, this is what is left.
        guard let first = mounts.first else { return }
        guard !first.options.contains(where: { $0 == "idmap" || $0 == "ridmap" }) else {
            throw Self.needsNamespace("root mount", "owners are mapped by a user namespace")
        }
        try prepareRoot(mounts)
    }
}

extension ProcessPlan {
    /// Refuses rights with which a process could leave a root that no namespace holds it in, or act on what is the host's.
    func refuseRights() throws(SandboxError) {
        let none = Capabilities(effective: [], permitted: [], bounding: [])
        guard capabilities == none, noNewPrivileges else {
            let field = noNewPrivileges ? "process.capabilities" : "process.noNewPrivileges"
            let reason = "without namespaces a process has no capabilities and gains none"
            throw ContainerPlan.needsNamespace(field, reason)
        }
    }
}

extension ContainerSetup {
    /// Everything but the program, without namespaces.
    func createWithoutNamespaces() throws(SandboxError) -> SharedTerminal? {
        let terminal = try TerminalPair.openHosts(for: plan.process)
        try step(.rootfs) { () throws(KernelError) in
            if case .tree(let tree) = plan.root {
                try Mount.changeRoot(to: tree.mount.raw)
            } else {
                let directory = SharedDescriptor(try File.open(plan.rootPath, [.path, .directory]))
                try withExtendedLifetime(directory) { () throws(KernelError) in
                    try Mount.changeRoot(to: directory.raw)
                }
            }
        }
        Umask.set(0)
        let root = try step(.rootfs) { () throws(KernelError) in try RootedDir("/") }
        try makeDevices(root, MadeFileSystems())
        try prepareWorkingDirectory(root)
        if plan.rootIsReadOnly, case .tree(let tree) = plan.root {
            try step(.rootfs) { () throws(KernelError) in try tree.mount.setAttributes(set: .readOnly) }
        }
        try setRulesOfRoot(root)
        if plan.startGate != nil { try plan.process.checkProgram(root) }
        try step(.handshake) { () throws(KernelError) in
            try channel.send(.ready, passing: terminal.map { [$0.controller.raw] } ?? [])
        }
        return terminal
    }

    private func setRulesOfRoot(_ root: borrowing RootedDir) throws(SandboxError) {
        guard let rules = plan.process.rules else { return }
        try allowDevices(root, rules)
        let access = AccessPlan(rootHasDevices: false).root(isReadOnly: plan.rootIsReadOnly)
        try step(.rules) { () throws(KernelError) in
            _ = try rules.kernel.allow(access.intersection(rules.handled), beneath: root.raw)
        }
    }
}

extension TerminalPair {
    /// Opens a terminal of the host's for a process without a mount namespace; nil when it wants none.
    ///
    /// It has a number there, and no name in the container.
    static func openHosts(for plan: ProcessPlan) throws(SandboxError) -> SharedTerminal? {
        guard plan.streams == nil else { return nil }
        return try step(.console) { () throws(KernelError) in
            try open(File.open("/dev/pts/ptmx", [.readWrite, .noControllingTerminal]), size: plan.consoleSize)
        }
    }
}
