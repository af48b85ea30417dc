internal import Kernel
internal import OCISpec

/// Filesystems of this container that later steps use by descriptor, not by path.
struct AttachedFileSystems {
    /// The procfs at `/proc`.
    var procfs: PreparedTree?
    /// The devpts at `/dev/pts`.
    var devpts: PreparedTree?
}

extension ContainerSetup {
    /// Attaches the mounts in their order.
    func attachMounts(_ root: borrowing RootedDir) throws(SandboxError) -> AttachedFileSystems {
        var found = AttachedFileSystems()
        var delayed: [(tree: PreparedTree, change: MountOptions.AttributeChange)] = []
        for mount in plan.mounts {
            do throws(KernelError) {
                let tree = try attach(mount, root)
                if mount.destination == "/dev", plan.ownsDevices, mount.options.attributes.set.contains(.readOnly) {
                    delayed.append((tree, mount.options.attributes))
                }
                if case .fileSystem("proc", _) = mount.content, mount.destination == "/proc" { found.procfs = tree }
                if mount.destination == "/dev/pts" { found.devpts = tree }
            } catch {
                throw .failed(.mounts, .failed("mount", mount.destination, error.errno, detail: error.description))
            }
        }
        for entry in delayed {
            try step(.mounts) { () throws(KernelError) in
                try entry.tree.mount.setAttributes(set: entry.change.set, clear: entry.change.clear)
            }
        }
        return found
    }

    private func attach(_ mount: PlannedMount, _ root: borrowing RootedDir) throws(KernelError) -> PreparedTree {
        let target = try target(of: mount, root)
        try refuseCovering(target, mount)
        switch mount.content {
        case .tree(let tree):
            try tree.mount.attach(to: target.raw, object: mount.destination)
            return tree
        case .fileSystem(let type, let source):
            let made = try RootTree.fileSystem(type: type, source: source, options: mount.options)
            let tree = PreparedTree(made)
            try RootTree.apply(mount.options, to: tree.mount, isBind: false)
            try tree.mount.attach(to: target.raw, object: mount.destination)
            return tree
        case .cgroupHierarchies(let hierarchies):
            return try attachHierarchies(hierarchies, mount, target.raw)
        }
    }

    /// Opens the place of a mount inside the root and makes what is missing.
    ///
    /// Kernel filesystems go exactly where the document says: an image that has a link there wants something else.
    private func target(of mount: PlannedMount, _ root: borrowing RootedDir) throws(KernelError) -> Descriptor {
        guard mount.isStrict else {
            return mount.isDirectory
                ? try root.mkdirAll(mount.destination) : try root.makeFileTarget(mount.destination)
        }
        do throws(KernelError) {
            return try root.openWithoutLinks(mount.destination, [.path, .directory])
        } catch  where error.errno == .noEntry {
            _ = try root.mkdirAll(mount.destination)
            return try root.openWithoutLinks(mount.destination, [.path, .directory])
        }
    }

    /// A read-only tmpfs with a directory for each hierarchy, and a link for each controller that shares one.
    private func attachHierarchies(
        _ hierarchies: [CgroupHierarchy],
        _ mount: PlannedMount,
        _ target: RawDescriptor
    ) throws(KernelError) -> PreparedTree {
        var options = mount.options
        options.attributes.turnOff(.readOnly)
        options.parameters = [MountOptions.Parameter(key: "mode", value: "755")]
        let base = PreparedTree(try RootTree.fileSystem(type: "tmpfs", source: "tmpfs", options: options))
        try base.mount.attach(to: target, object: mount.destination)
        let directory = RootedDir(adopting: try base.mount.duplicate())
        for hierarchy in hierarchies {
            try directory.mkdir(hierarchy.directory)
            let context = try FileSystemContext("cgroup")
            try context.set("source", "cgroup")
            for option in hierarchy.options {
                if let equals = option.firstIndex(of: "=") {
                    try context.set(String(option[..<equals]), String(option[option.index(after: equals)...]))
                } else {
                    try context.set(option)
                }
            }
            let tree = try context.mount(mount.options.attributes.set)
            let place = try directory.open(hierarchy.directory, [.path, .directory])
            try tree.attach(to: place.raw, object: hierarchy.directory)
            guard hierarchy.options.count > 1, hierarchy.options.first != "none" else { continue }
            for controller in hierarchy.options { try directory.symlink(controller, to: hierarchy.directory) }
        }
        if mount.options.attributes.set.contains(.readOnly) { try base.mount.setAttributes(set: .readOnly) }
        return base
    }
}
