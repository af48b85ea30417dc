internal import Kernel
internal import MountTrees
internal import OCISpec

extension ContainerSetup {
    /// Makes the devices that the parent has not put into our own `/dev`.
    func makeDevices(_ root: borrowing RootedDir, _ filesystems: MadeFileSystems) throws(SandboxError) {
        if plan.userNamespace != nil { return try bindDevices(root, filesystems) }
        let nodes = try plan.deviceNodes().filter { !(plan.ownsDevices && $0.path.hasPrefix("/dev/")) }
        let defaults = try plan.defaultNodes()
        guard !nodes.isEmpty || plan.fillsRootDevices else { return }
        try step(.devices) { () throws(KernelError) in
            if plan.fillsRootDevices {
                let directory = try openDeviceDirectory(root)
                for node in defaults { try DeviceFiles.make(node, in: directory) }
            }
            for node in nodes {
                try makeParent(of: node.path, root)
                try DeviceFiles.make(node, in: root)
            }
        }
    }

    /// Puts the prepared device files on files of the container's.
    private func bindDevices(
        _ root: borrowing RootedDir,
        _ filesystems: MadeFileSystems
    ) throws(SandboxError) {
        // These it can make itself, so they are in its own ids.
        let pipes = try plan.devices.map { device throws(SandboxError) in try DeviceFiles.node(device) }.filter {
            $0.kind == .fifo && !(plan.ownsDevices && $0.path.hasPrefix("/dev/"))
        }
        try step(.devices) { () throws(KernelError) in
            if plan.fillsRootDevices { _ = try openDeviceDirectory(root) }
            for (node, tree) in zip(plan.deviceStore?.nodes ?? [], filesystems.devices) {
                let target = try root.makeFileTarget(node.path)
                try tree.mount.attach(to: target.raw, object: node.path)
            }
            for node in pipes {
                try makeParent(of: node.path, root)
                try DeviceFiles.make(node, in: root)
            }
        }
    }

    /// The `/dev` of an image without a mount there, with its links.
    private func openDeviceDirectory(_ root: borrowing RootedDir) throws(KernelError) -> RootedDir {
        _ = try root.mkdirAll("/dev")
        let directory = RootedDir(adopting: try root.openWithoutLinks("/dev", [.path, .directory]))
        for link in DeviceFiles.links {
            do throws(KernelError) { try directory.symlink(link.name, to: link.target) } catch
                where error.errno == .exists
            {}
        }
        return directory
    }

    private func makeParent(of path: String, _ root: borrowing RootedDir) throws(KernelError) {
        let parent = path.split(separator: "/").dropLast().joined(separator: "/")
        if !parent.isEmpty { _ = try root.mkdirAll("/" + parent) }
    }

    /// Opens the terminal in the container's own devpts and shows it as `/dev/console`.
    ///
    /// The other end of the pair comes from the open pair itself (TIOCGPTPEER), never from a name in `/dev/pts`.
    func openTerminal(
        _ root: borrowing RootedDir,
        _ filesystems: AttachedFileSystems
    ) throws(SandboxError) -> SharedTerminal? {
        guard plan.process.streams == nil else { return nil }
        guard let devpts = filesystems.devpts else {
            throw .refused(.console, "open terminal", "/dev/pts", "a terminal needs a devpts mount there")
        }
        return try step(.console) { () throws(KernelError) in
            let multiplexer = try File.open(
                "ptmx",
                [.readWrite, .noControllingTerminal],
                at: devpts.mount.raw
            )
            let terminal = try TerminalPair.open(multiplexer, size: plan.process.consoleSize)
            let target = try root.makeFileTarget("/dev/console", mode: 0o600)
            try DetachedMount(cloning: "", at: terminal.terminal.raw).attach(to: target.raw, object: "/dev/console")
            return terminal
        }
    }
}

/// Both ends of a pseudo-terminal.
enum TerminalPair {
    static func open(_ multiplexer: consuming Descriptor, size: Pty.Size?) throws(KernelError) -> SharedTerminal {
        let number = multiplexer.raw
        if let size, size.rows > 0, size.columns > 0 { try Pty.resize(number, to: size) }
        let ends = try Pty(multiplexer: multiplexer).ends()
        return SharedTerminal(controller: ends.controller, terminal: ends.terminal)
    }
}
