internal import DocumentTexts
internal import Kernel
internal import MountTrees
internal import OCISpec

/// One mount of the container.
struct PlannedMount {
    /// Where its content comes from.
    enum Content {
        /// A tree that the parent has made.
        case tree(PreparedTree)
        /// A filesystem that depends on the namespaces of who makes it, so the child does.
        case fileSystem(type: String, source: String)
        /// The v1 hierarchies of the cgroup namespace, a directory for each.
        case cgroupHierarchies([CgroupHierarchy])
        /// What lies there already is changed.
        case existing
    }

    var destination: String
    var content: Content
    var options: MountOptions
    var isDirectory = true
    /// Whether the destination must be free of symbolic links: those of kernel filesystems lead nowhere else.
    var isStrict = false
    /// Whether the filesystem is this container's alone, so that its parameters may be changed.
    var isOwn = false
}

/// One mounted v1 hierarchy, as `/proc/self/cgroup` names it.
struct CgroupHierarchy: Equatable {
    /// Directory name: the controllers with commas, or a named hierarchy's name.
    var directory: String
    /// Options that select the hierarchy.
    var options: [String]
}

/// What the child does, read from the document and prepared as far as it can be from outside.
struct ContainerPlan {
    /// Namespaces that the container gets of its own.
    var newNamespaces: Namespace.Kinds = []
    var joined: [JoinedNamespace] = []
    /// Nil when the container has its maker's user namespace.
    var userNamespace: UserNamespacePlan?
    /// Whether it shares all namespaces with its maker.
    var sharesNamespaces = false
    var clockOffsets: [ClockOffset] = []
    var root = PlannedRoot.none
    var rootPath: String
    var rootIsReadOnly: Bool
    var rootPropagation: Mount.Propagation
    var mounts: [PlannedMount] = []
    /// Whether `/dev` is a tmpfs of ours, filled by the parent.
    var ownsDevices = false
    /// Device files that the parent has made for the child to bind, because nobody makes them in a user namespace.
    var deviceStore: DeviceStore?
    /// Mounts whose files' owners are mapped as soon as the container's user namespace exists.
    var pendingIDMaps: [PendingIDMap] = []
    /// Whether `/dev` is bound from elsewhere and left alone.
    var devicesAreForeign = false
    var devices: [RuntimeSpec.Device] = []
    var maskedPaths: [String] = []
    var readonlyPaths: [String] = []
    /// Empty read-only directory for masks.
    var emptyDirectory: PreparedTree?
    /// Label of the files of new filesystems; nil without one.
    var mountLabel: String?
    var sysctls: [(name: String, path: String, value: String)] = []
    var hostname: String?
    var domainname: String?
    /// Host interfaces that move in.
    var netDevices: [MovedDevice] = []
    var hooks: HookRunner?
    var process: ProcessPlan
    /// Where to wait for the start when the parent leaves.
    var startGate: StartGate?

    var bringsUpLoopback: Bool { newNamespaces.contains(.network) }

    /// Whether the default devices go into the root's own `/dev`, as nothing is mounted there.
    var fillsRootDevices: Bool { !ownsDevices && !devicesAreForeign }
}

extension ContainerPlan {
    /// Reads and prepares a request.
    init(_ request: SandboxRequest) throws(SandboxError) {
        let spec = request.specification
        guard OCIVersion.isSupported(spec.ociVersion) else {
            throw .invalid("ociVersion", "version '\(spec.ociVersion)' is not supported")
        }
        guard spec.annotations?.keys.contains("") != true else { throw .invalid("annotations", "an empty key") }
        guard let specRoot = spec.root else { throw .invalid("root", "missing") }
        guard let specProcess = spec.process else { throw .invalid("process", "missing") }
        let linux = spec.linux ?? RuntimeSpec.Linux()

        hooks = HookRunner(id: request.id, specification: spec, bundle: request.bundle)
        try hooks?.check()
        process = try ProcessPlan(
            specProcess,
            streams: request.streams,
            seccomp: request.seccomp,
            answers: request.answers,
            surroundings: SandboxSurroundings(id: request.id, specification: spec, bundle: request.bundle),
            isFirst: true
        )
        process.startHooks = try hooks?.startHooks()
        process.preservedDescriptors = request.preservedDescriptors
        process.rules = request.rules
        startGate = request.startListener.map { listener in
            StartGate(
                listener: listener,
                seesHostUsers: linux.namespaces?.contains { $0.type == .user } != true
            )
        }
        guard !specRoot.path.isEmpty, !specRoot.path.utf8.contains(0) else {
            throw .invalid("root.path", "'\(specRoot.path)' is no path")
        }
        rootPath = Paths.absolute(specRoot.path, in: request.bundle)
        rootIsReadOnly = specRoot.readonly ?? false
        rootPropagation = try Self.rootPropagation(linux.rootfsPropagation)
        devices = linux.devices ?? []
        maskedPaths = linux.maskedPaths ?? []
        readonlyPaths = linux.readonlyPaths ?? []
        if !maskedPaths.isEmpty {
            emptyDirectory = try step(.masks) { () throws(KernelError) in try RootTree.emptyDirectory() }
        }
        mountLabel = try SecurityLabels.ofMounts(linux.mountLabel)
        sharesNamespaces = request.allowsNoNamespaces && linux.namespaces?.isEmpty != false
        if sharesNamespaces {
            try refuseWithoutNamespaces(request)
            try prepareSharedRoot(request.rootMounts)
            return
        }
        try readNamespaces(linux)
        if joinsMounts { try refuseTree(request) }
        if userNamespace != nil {
            // Who enters a user namespace has all capabilities there, whatever its maker has.
            let granted = GrantedCapabilities(specProcess.capabilities, grantable: .allKnown)
            (process.capabilities, process.warnings) = (granted.sets, granted.warnings)
        }
        try readNames(spec, linux)
        guard !joinsMounts else { return }
        try prepareRoot(request.rootMounts)
        try prepareMounts(spec.mounts ?? [], bundle: request.bundle)
    }

    private mutating func readNames(_ spec: RuntimeSpec, _ linux: RuntimeSpec.Linux) throws(SandboxError) {
        var own = Set(RuntimeSpec.NamespaceType.allCases.filter { newNamespaces.contains($0.kind) })
        let others = joined.filter { !$0.isHosts }
        own.formUnion(RuntimeSpec.NamespaceType.allCases.filter { type in others.contains { $0.kind == type.kind } })
        sysctls = try reading(.specification) { () throws(TextError) in
            try Sysctls.check(linux.sysctl ?? [:], own: own)
        }
        netDevices = try MovedDevice.plan(linux.netDevices ?? [:], hasOwnNetwork: own.contains(.network))
        hostname = spec.hostname.flatMap { $0.isEmpty ? nil : $0 }
        domainname = spec.domainname.flatMap { $0.isEmpty ? nil : $0 }
        for (field, name) in [("hostname", hostname), ("domainname", domainname)] {
            guard let name else { continue }
            guard name.utf8.count <= 64, !name.utf8.contains(0) else {
                throw .invalid(field, "'\(name.prefix(100))' has a NUL byte or more than 64 bytes")
            }
        }
        guard own.contains(.uts) || (hostname == nil && domainname == nil) else {
            let field = hostname == nil ? "domainname" : "hostname"
            throw .invalid(field, "the container shares the uts namespace with the host")
        }
    }

    private static func rootPropagation(_ word: String?) throws(SandboxError) -> Mount.Propagation {
        switch word ?? "" {
        case "", "private", "rprivate": return .private
        case "slave", "rslave": return .slave
        case "shared", "rshared": return .shared
        case "unbindable", "runbindable": return .unbindable
        case let other: throw .invalid("linux.rootfsPropagation", "unknown value '\(other.prefix(100))'")
        }
    }
}

/// Texts of paths; nothing here looks at a filesystem.
enum Paths {
    /// An absolute path; a relative one starts at `base`.
    static func absolute(_ path: String, in base: String) -> String { path.hasPrefix("/") ? path : "\(base)/\(path)" }

    /// A destination inside the container without empty, `.` and `..` components, such as `/dev/pts`.
    static func clean(_ path: String) -> String {
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }
}
