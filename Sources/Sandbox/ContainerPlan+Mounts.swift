internal import Kernel
internal import OCISpec

extension ContainerPlan {
    /// Reads the mounts in their order and makes what does not depend on the child's namespaces.
    mutating func prepareMounts(_ specMounts: [RuntimeSpec.Mount], bundle: String) throws(SandboxError) {
        var deviceTree: PreparedTree?
        for mount in specMounts {
            let field = "mounts: \(mount.destination)"
            if mount.uidMappings?.isEmpty == false || mount.gidMappings?.isEmpty == false {
                throw .unsupported("\(field): id mappings")
            }
            let destination = Paths.clean(mount.destination)
            guard destination != "/" else { throw .invalid(field, "the root is not a mount of the list") }
            let options = try MountOptions(mount.options ?? [], field: field)
            let planned = try plan(mount, destination, options, field, bundle: bundle)
            if destination == "/dev" {
                if case .tree(let tree) = planned.content, options.bind == nil, mount.type == "tmpfs" {
                    deviceTree = tree
                    ownsDevices = true
                } else {
                    devicesAreForeign = true
                }
            }
            mounts.append(planned)
        }
        if let deviceTree { try fill(deviceTree) }
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
        if options.copyUp { throw .unsupported("\(field): option tmpcopyup") }
        if options.bind != nil || type == "bind" || type == "rbind" {
            return try planBind(type, Paths.absolute(source, in: bundle), destination, options)
        }
        switch type {
        case "proc", "sysfs", "mqueue", "cgroup2":
            let content = PlannedMount.Content.fileSystem(type: type, source: source)
            return PlannedMount(destination: destination, content: content, options: options, isStrict: true)
        case "cgroup":
            let content = try cgroupView(source)
            return PlannedMount(destination: destination, content: content, options: options, isStrict: true)
        case "": throw .invalid(field, "a type is missing")
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
            // A tmpfs may lie behind an image's link, such as /var/run; those for devices may not.
            let isStrict = type == "devpts" || (destination + "/").hasPrefix("/dev/")
            return PlannedMount(destination: destination, content: .tree(tree), options: options, isStrict: isStrict)
        }
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
        var nodes: [DeviceFiles.Node] = []
        for device in devices {
            let node = try DeviceFiles.node(device)
            if node.path.hasPrefix("/dev/") { nodes.append(node) }
        }
        try step(.devices) { () throws(KernelError) in
            let mask = Umask.set(0)
            defer { Umask.set(mask) }
            let directory = RootedDir(adopting: try tree.mount.duplicate())
            for device in DeviceFiles.defaults { try DeviceFiles.make(device, in: directory) }
            for link in DeviceFiles.links { try directory.symlink(link.name, to: link.target) }
            for var node in nodes {
                node.path.removeFirst("/dev/".count)
                let parent = node.path.split(separator: "/").dropLast().joined(separator: "/")
                if !parent.isEmpty { try directory.mkdirAll(parent) }
                try DeviceFiles.make(node, in: directory)
            }
            if process.streams == nil { _ = try directory.create("console", mode: 0o600) }
            for mount in mounts where mount.destination.hasPrefix("/dev/") {
                let name = String(mount.destination.dropFirst("/dev/".count))
                if mount.isDirectory { try directory.mkdirAll(name) } else { try directory.makeFileTarget(name) }
            }
        }
    }
}
