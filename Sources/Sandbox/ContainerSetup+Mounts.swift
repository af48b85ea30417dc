internal import Kernel
internal import MountTrees
internal import OCISpec

/// Filesystems of this container that later steps use by descriptor, not by path.
struct AttachedFileSystems {
    /// The procfs at `/proc`.
    var procfs: PreparedTree?
    /// The devpts at `/dev/pts`.
    var devpts: PreparedTree?
}

/// What the child makes while the host's root is still there, because the kernel asks for that.
struct MadeFileSystems {
    /// By number in the plan's list of mounts.
    var mounts: [Int: PreparedTree] = [:]
    /// By number in the plan's store of devices.
    var devices: [PreparedTree] = []
}

extension ContainerSetup {
    /// Makes the filesystems that depend on the container's namespaces.
    ///
    /// A procfs or sysfs of a user namespace is only made where another one is fully visible, which the host's is until the
    /// root changes.
    func makeFileSystems() throws(SandboxError) -> MadeFileSystems {
        var made = MadeFileSystems()
        for (number, mount) in plan.mounts.enumerated() {
            guard case .fileSystem(let type, let source) = mount.content else { continue }
            do throws(KernelError) {
                made.mounts[number] = PreparedTree(
                    try RootTree.fileSystem(
                        type: type,
                        source: source,
                        options: mount.options,
                        // What is to be filled becomes read-only after that.
                        withholding: mount.options.copyUp ? .readOnly : []
                    )
                )
            } catch {
                throw refusal(mount, type, error)
            }
        }
        if let store = plan.deviceStore {
            made.devices = try step(.devices) { () throws(KernelError) in try store.clones() }
        }
        return made
    }

    /// The error of a filesystem that could not be made, with the reason when the kernel's errno hides it.
    private func refusal(_ mount: PlannedMount, _ type: String, _ error: KernelError) -> SandboxError {
        let namespace: Namespace.Kinds? = ["sysfs": .network, "mqueue": .ipc, "proc": .pid][type]
        if plan.userNamespace != nil, error.errno == .notPermitted, let namespace,
            !plan.newNamespaces.contains(namespace)
        {
            return .refused(
                .mounts,
                "mount",
                mount.destination,
                "a \(type) of a namespace of another owner than the container's user namespace is not possible; bind one",
                code: .permissionDenied
            )
        }
        return .failed(.mounts, .failed("mount", mount.destination, error.errno, detail: error.description))
    }

    /// Attaches the mounts in their order.
    func attachMounts(
        _ root: borrowing RootedDir,
        _ made: MadeFileSystems
    ) throws(SandboxError) -> AttachedFileSystems {
        var found = AttachedFileSystems()
        var delayed: [(tree: PreparedTree, change: MountOptions.AttributeChange)] = []
        for (number, mount) in plan.mounts.enumerated() {
            do throws(KernelError) {
                if mount.options.onlyIfPresent, try !Self.exists(mount.destination, root) { continue }
                let tree = try attach(mount, made.mounts[number], root)
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

    private func attach(
        _ mount: PlannedMount,
        _ made: PreparedTree?,
        _ root: borrowing RootedDir
    ) throws(KernelError) -> PreparedTree {
        if case .existing = mount.content { return try change(mount, root) }
        // A directory that the image does not have says nothing of how it should be.
        let isThere = mount.options.copyUp ? try Self.exists(mount.destination, root) : true
        let target = try target(of: mount, root)
        try refuseCovering(target, mount)
        switch mount.content {
        case .tree(let tree):
            try tree.mount.attach(to: target.raw, object: mount.destination)
            return tree
        case .fileSystem(let type, _):
            guard let made else { throw .failed("mount \(type)", mount.destination, .noDevice) }
            if mount.options.copyUp {
                if isThere { try CopyUp.fill(made.mount, from: target, mount.options) }
                if mount.options.attributes.set.contains(.readOnly) { try made.mount.setAttributes(set: .readOnly) }
            }
            try RootTree.apply(mount.options, to: made.mount, isBind: false)
            try made.mount.attach(to: target.raw, object: mount.destination)
            return made
        case .cgroupHierarchies(let hierarchies):
            return try attachHierarchies(hierarchies, mount, target.raw)
        case .existing: throw .failed("mount on", mount.destination, .invalid)
        }
    }

    private static func exists(_ path: String, _ root: borrowing RootedDir) throws(KernelError) -> Bool {
        do throws(KernelError) {
            _ = try root.openPath(path, follow: true)
            return true
        } catch  where error.errno == .noEntry {
            return false
        }
    }

    /// Changes what is mounted at a place.
    private func change(_ mount: PlannedMount, _ root: borrowing RootedDir) throws(KernelError) -> PreparedTree {
        let absent = KernelError.failed("remount", mount.destination, .invalid, detail: "nothing is mounted there")
        guard try Self.exists(mount.destination, root) else { throw absent }
        let place = try root.openPath(mount.destination, follow: true)
        guard try place.status().isMountRoot else { throw absent }
        if !mount.options.parameters.isEmpty {
            let context = try FileSystemContext(changing: place.raw, type: mount.destination)
            try RootTree.set(mount.options.parameters, on: context)
            try context.reconfigure()
        }
        let tree = DetachedMount(place)
        let attributes = mount.options.attributes
        if !attributes.isEmpty { try tree.setAttributes(set: attributes.set, clear: attributes.clear) }
        try RootTree.apply(mount.options, to: tree, isBind: false)
        return PreparedTree(tree)
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
