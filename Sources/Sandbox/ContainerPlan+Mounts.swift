internal import Kernel
internal import MountTrees
internal import OCISpec

extension ContainerPlan {
    /// Reads the mounts in their order and makes what does not depend on the child's namespaces.
    mutating func prepareMounts(_ specMounts: [RuntimeSpec.Mount], bundle: String) throws(SandboxError) {
        var deviceTree: PreparedTree?
        for mount in specMounts {
            let field = "mounts: \(mount.destination)"
            let destination = Paths.clean(mount.destination)
            guard destination != "/" else { throw .invalid(field, "the root is not a mount of the list") }
            var options = try MountOptions(mount.options ?? [], field: field)
            if let mountLabel { options.label(mountLabel, type: mount.type ?? "") }
            var planned = try plan(mount, destination, options, field, bundle: bundle)
            try mapIDs(mount, planned, field, bundle: bundle)
            if destination == "/dev", !options.remount {
                if case .tree(let tree) = planned.content, options.bind == nil, mount.type == "tmpfs" {
                    deviceTree = tree
                    ownsDevices = true
                } else {
                    devicesAreForeign = true
                }
            }
            planned.isOwn = options.bind == nil && ["tmpfs", "devpts"].contains(mount.type)
            mounts.append(planned)
        }
        if let deviceTree { try fill(deviceTree) }
        try storeDevices()
    }

    /// Maps the owners of a mount's files when it asks for that.
    private mutating func mapIDs(
        _ mount: RuntimeSpec.Mount,
        _ planned: PlannedMount,
        _ field: String,
        bundle: String
    ) throws(SandboxError) {
        let (users, groups) = (mount.uidMappings ?? [], mount.gidMappings ?? [])
        guard planned.options.idMap != nil else {
            guard users.isEmpty, groups.isEmpty else {
                throw .invalid(field, "uidMappings and gidMappings need the option idmap or ridmap")
            }
            return
        }
        guard case .tree(let tree) = planned.content else {
            throw .invalid(field, "idmap is for new binds; a filesystem made in a user namespace has its ids")
        }
        try mapIDs(
            of: tree,
            planned.options,
            users: users,
            groups: groups,
            source: Paths.absolute(mount.source ?? "", in: bundle),
            field: field,
            stage: .mounts
        )
    }

    /// Types that the container's own process makes when it has a user namespace, so that their ids are its own.
    ///
    /// Not `/dev`: devices on a filesystem that was made in a user namespace do not work.
    private func isMadeInside(_ type: String, _ destination: String) -> Bool {
        userNamespace != nil && ["tmpfs", "ramfs", "devpts"].contains(type) && destination != "/dev"
    }

    private func plan(
        _ mount: RuntimeSpec.Mount,
        _ destination: String,
        _ options: MountOptions,
        _ field: String,
        bundle: String
    ) throws(SandboxError) -> PlannedMount {
        let type = mount.type ?? ""
        let source = mount.source ?? ""
        if options.remount { return try planRemount(destination, options, field) }
        if options.copyUp, type != "tmpfs" || options.bind != nil || destination == "/dev" {
            throw .invalid(field, "tmpcopyup is for a tmpfs, and not for /dev, which is filled with devices")
        }
        if options.onlyIfPresent, destination == "/dev" {
            throw .invalid(field, "\(MountOptions.ifPresent) is not for /dev, which every container has")
        }
        if options.bind != nil || type == "bind" || type == "rbind" {
            if let unknown = options.parameters.first(where: { !MountOptions.commonFlags.contains($0.key) }) {
                throw .invalid(field, "option '\(unknown.key)' is none of a bind")
            }
            return try planBind(type, Paths.absolute(source, in: bundle), destination, options)
        }
        guard type.isEmpty || options.canCountChanges(type: type) else {
            throw .refused(.mounts, "mount", field, "option 'iversion': a \(type) does not count", code: .unsupported)
        }
        switch type {
        case "proc", "sysfs", "mqueue", "cgroup2":
            let content = PlannedMount.Content.fileSystem(type: type, source: source)
            return PlannedMount(destination: destination, content: content, options: options, isStrict: true)
        case "cgroup":
            let content = try cgroupView(source)
            return PlannedMount(destination: destination, content: content, options: options, isStrict: true)
        case "": throw .invalid(field, "a type is missing")
        // Filled inside the root, where no link of the image leads out.
        case _ where options.copyUp || isMadeInside(type, destination):
            return PlannedMount(
                destination: destination,
                content: .fileSystem(type: type, source: source),
                options: options,
                isStrict: Self.isStrict(type, destination)
            )
        default:
            let tree = try step(.mounts) { () throws(KernelError) in
                // A read-only /dev becomes so after it was filled.
                let withheld: Mount.Attributes = destination == "/dev" ? .readOnly : []
                do throws(KernelError) {
                    let tree = try RootTree.fileSystem(
                        type: type,
                        source: source,
                        options: options,
                        withholding: withheld
                    )
                    try RootTree.apply(options, to: tree, isBind: false)
                    return PreparedTree(tree)
                } catch {
                    throw KernelError.failed("mount \(type) on", destination, error.errno, detail: error.description)
                }
            }
            return PlannedMount(
                destination: destination,
                content: .tree(tree),
                options: options,
                isStrict: Self.isStrict(type, destination)
            )
        }
    }

    /// A change of what an earlier mount, or one below it, has put there.
    ///
    /// The words change what they name and nothing else. Parameters belong to the filesystem, which may be the host's too.
    private func planRemount(
        _ destination: String,
        _ options: MountOptions,
        _ field: String
    ) throws(SandboxError) -> PlannedMount {
        let isOwn = mounts.last { $0.destination == destination }?.isOwn ?? false
        if let parameter = options.parameters.first, !isOwn || options.bind != nil {
            throw .invalid(
                field,
                "option '\(parameter.key)' would change a filesystem that is not the container's alone"
            )
        }
        guard !options.copyUp else { throw .invalid(field, "tmpcopyup does not go with remount") }
        return PlannedMount(destination: destination, content: .existing, options: options)
    }

    /// A tmpfs may lie behind an image's link, such as `/var/run`; those for devices may not.
    private static func isStrict(_ type: String, _ destination: String) -> Bool {
        type == "devpts" || (destination + "/").hasPrefix("/dev/")
    }

    private func planBind(
        _ type: String,
        _ source: String,
        _ destination: String,
        _ options: MountOptions
    ) throws(SandboxError) -> PlannedMount {
        try step(.mounts) { () throws(KernelError) in
            do throws(KernelError) {
                let isDirectory = try File.status(source, follow: true).isDirectory
                let tree = try RootTree.tree(type: type.isEmpty ? "bind" : type, source: source, options: options)
                return PlannedMount(
                    destination: destination,
                    content: .tree(tree),
                    options: options,
                    isDirectory: isDirectory
                )
            } catch {
                throw KernelError.failed("bind", source, error.errno, detail: error.detail)
            }
        }
    }

    /// What a `cgroup` mount shows: the only hierarchy of version 2, or all those of version 1.
    private func cgroupView(_ source: String) throws(SandboxError) -> PlannedMount.Content {
        try step(.mounts) { () throws(KernelError) in
            let kind = try File.open("/sys/fs/cgroup", [.path, .directory]).fileSystemType()
            if kind == 0x6367_7270 { return .fileSystem(type: "cgroup2", source: source) }
            let text = try File.readText("/proc/self/cgroup", limit: 1 << 16)
            return .cgroupHierarchies(Self.hierarchies(text))
        }
    }

    /// The v1 hierarchies in the text of `/proc/self/cgroup`.
    static func hierarchies(_ text: String) -> [CgroupHierarchy] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3, !fields[1].isEmpty else { return nil }
            if fields[1].hasPrefix("name=") {
                let name = String(fields[1].dropFirst(5))
                return CgroupHierarchy(directory: name, options: ["none", "name=\(name)"])
            }
            return CgroupHierarchy(
                directory: String(fields[1]),
                options: fields[1].split(separator: ",").map(String.init)
            )
        }
    }

    /// Fills the tmpfs for `/dev`: nodes, links, and a place for each mount below it.
    private func fill(_ tree: PreparedTree) throws(SandboxError) {
        let owner = userNamespace?.root ?? .root
        let defaults = try defaultNodes().map { node throws(SandboxError) in try hostNode(node) }
        let nodes = try deviceNodes().filter { $0.path.hasPrefix("/dev/") }
        try step(.devices) { () throws(KernelError) in
            let mask = Umask.set(0)
            defer { Umask.set(mask) }
            try tree.mount.give(to: owner)
            let directory = RootedDir(adopting: try tree.mount.duplicate())
            for device in defaults { try DeviceFiles.make(device, in: directory) }
            for link in DeviceFiles.links {
                try directory.symlink(link.name, to: link.target)
                try directory.give(link.name, to: owner)
            }
            for var node in nodes {
                node.path.removeFirst("/dev/".count)
                let parent = node.path.split(separator: "/").dropLast().joined(separator: "/")
                if !parent.isEmpty { try directory.makeDirectories(parent, owner) }
                try DeviceFiles.make(node, in: directory)
            }
            if process.streams == nil {
                _ = try directory.create("console", mode: 0o600)
                try directory.give("console", to: owner)
            }
            for mount in mounts where mount.destination.hasPrefix("/dev/") && !mount.options.remount {
                let name = String(mount.destination.dropFirst("/dev/".count))
                if mount.isDirectory {
                    try directory.makeDirectories(name, owner)
                } else {
                    let parent = name.split(separator: "/").dropLast().joined(separator: "/")
                    if !parent.isEmpty { try directory.makeDirectories(parent, owner) }
                    try directory.makeFileTarget(name)
                    try directory.give(name, to: owner)
                }
            }
        }
    }

    /// The devices that every container has, but for those that the document has in their place.
    func defaultNodes() throws(SandboxError) -> [DeviceFiles.Node] {
        let listed = try devices.map { device throws(SandboxError) in try DeviceFiles.node(device).path }
        return DeviceFiles.defaults.filter { !listed.contains("/dev/\($0.path)") }
    }

    /// The document's devices, with owners of the host.
    func deviceNodes() throws(SandboxError) -> [DeviceFiles.Node] {
        let nodes = try devices.map { device throws(SandboxError) in try DeviceFiles.node(device) }
        return try nodes.filter { !$0.isMultiplexer }.map { node throws(SandboxError) in try hostNode(node) }
    }

    /// Translates the owner of a device from the container's ids to the host's.
    private func hostNode(_ node: DeviceFiles.Node) throws(SandboxError) -> DeviceFiles.Node {
        guard let mappings = userNamespace?.mappings else { return node }
        var node = node
        guard let user = mappings.hostUser(node.uid), let group = mappings.hostGroup(node.gid) else {
            throw .invalid(
                "linux.devices: \(node.path)",
                "owner \(node.uid):\(node.gid) has no id in the user namespace"
            )
        }
        (node.uid, node.gid) = (user, group)
        return node
    }

    /// Prepares the devices that do not lie in our own `/dev` and that the child cannot make.
    private mutating func storeDevices() throws(SandboxError) {
        guard userNamespace != nil else { return }
        var nodes = try deviceNodes().filter { !(ownsDevices && $0.path.hasPrefix("/dev/")) && $0.kind != .fifo }
        if fillsRootDevices {
            nodes += try defaultNodes().map { node throws(SandboxError) in
                var node = try hostNode(node)
                node.path = "/dev/" + node.path
                return node
            }
        }
        guard !nodes.isEmpty else { return }
        deviceStore = try step(.devices) { [nodes] () throws(KernelError) in try DeviceStore(nodes) }
    }
}

// What is made in a container's `/dev` from outside belongs to the container's root.
extension RootedDir {
    func give(_ path: String, to owner: HostOwner) throws(KernelError) {
        guard owner != .root else { return }
        try chown(path, uid: owner.user, gid: owner.group)
    }

    func makeDirectories(_ path: String, _ owner: HostOwner) throws(KernelError) {
        try mkdirAll(path)
        var prefix = ""
        for component in path.split(separator: "/") {
            prefix += (prefix.isEmpty ? "" : "/") + component
            try give(prefix, to: owner)
        }
    }
}

extension DescriptorHolder where Self: ~Copyable {
    func give(to owner: HostOwner) throws(KernelError) {
        guard owner != .root else { return }
        try changeOwner(uid: owner.user, gid: owner.group)
    }
}
