internal import Kernel
internal import OCISpec

extension ContainerSetup {
    /// Makes the devices that the parent has not put into our own `/dev`.
    func makeDevices(_ root: borrowing RootedDir) throws(SandboxError) {
        var nodes: [DeviceFiles.Node] = []
        for device in plan.devices {
            let node = try DeviceFiles.node(device)
            if !(plan.ownsDevices && node.path.hasPrefix("/dev/")) { nodes.append(node) }
        }
        let fillsRoot = !plan.ownsDevices && !plan.devicesAreForeign
        guard !nodes.isEmpty || fillsRoot else { return }
        try step(.devices) { () throws(KernelError) in
            if fillsRoot {
                _ = try root.mkdirAll("/dev")
                let directory = RootedDir(adopting: try root.openWithoutLinks("/dev", [.path, .directory]))
                for node in DeviceFiles.defaults { try DeviceFiles.make(node, in: directory) }
                for link in DeviceFiles.links {
                    do throws(KernelError) { try directory.symlink(link.name, to: link.target) } catch
                        where error.errno == .exists
                    {}
                }
            }
            for node in nodes {
                let parent = node.path.split(separator: "/").dropLast().joined(separator: "/")
                if !parent.isEmpty { _ = try root.mkdirAll("/" + parent) }
                try DeviceFiles.make(node, in: root)
            }
        }
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
