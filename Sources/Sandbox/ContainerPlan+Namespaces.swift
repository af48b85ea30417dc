internal import Kernel
internal import OCISpec

/// A namespace to join.
struct JoinedNamespace {
    var kind: Namespace.Kinds
    var descriptor: SharedDescriptor
    /// Whether it is the host's: then nothing of it may be changed for a container.
    var isHosts: Bool
}

/// The user namespace of a container that has not its maker's.
struct UserNamespacePlan {
    var mappings: IDMappings
    /// Users and groups 0 inside.
    var root: HostOwner
    /// The namespace when it exists already; nil when clone makes it.
    var existing: SharedDescriptor?
}

/// An offset of a clock in a new time namespace.
struct ClockOffset: Equatable {
    /// Number of the clock.
    var clock: Int32
    var seconds: Int64
    var nanoseconds: UInt32
}

extension ContainerPlan {
    /// Sorts the namespaces into those to make and those to join.
    mutating func readNamespaces(_ linux: RuntimeSpec.Linux) throws(SandboxError) {
        var seen: Set<RuntimeSpec.NamespaceType> = []
        for namespace in linux.namespaces ?? [] {
            guard seen.insert(namespace.type).inserted else {
                throw .invalid("linux.namespaces", "\(namespace.type.rawValue) is listed twice")
            }
            guard let path = namespace.path, !path.isEmpty else {
                newNamespaces.insert(namespace.type.kind)
                continue
            }
            try join(namespace.type, path)
        }
        guard newNamespaces.contains(.mount) || joinsMounts else {
            throw .refused(
                .specification,
                "apply",
                "linux.namespaces",
                "without a mount namespace the container's mounts would be the host's",
                code: .unsupported
            )
        }
        // The view of the host's cgroup tree is never the container's business: always a namespace of its own.
        if !joined.contains(where: { $0.kind == .cgroup }) { newNamespaces.insert(.cgroup) }
        try readUserNamespace(linux)
        clockOffsets = try Self.clockOffsets(linux.timeOffsets ?? [:], isNew: newNamespaces.contains(.time))
    }

    private mutating func join(_ type: RuntimeSpec.NamespaceType, _ path: String) throws(SandboxError) {
        let field = "linux.namespaces: \(type.rawValue)"
        guard path.hasPrefix("/") else { throw .invalid(field, "path '\(path)' is not absolute") }
        let descriptor = try step(.namespaces) { () throws(KernelError) in
            SharedDescriptor(try Namespace.open(path))
        }
        let kind = try step(.namespaces) { () throws(KernelError) in try Namespace.kind(of: descriptor.raw) }
        guard kind == type.kind else {
            throw .invalid(field, "'\(path)' is a namespace of type \(kind.fileName ?? "unknown")")
        }
        let isHosts = try step(.namespaces) { () throws(KernelError) in
            try HostNamespaces.contain(descriptor.status(), kind)
        }
        // The host's by a path is the same as none: these two no container shares with it.
        if isHosts, type == .mount || type == .cgroup {
            throw .refused(.specification, "apply", field, "'\(path)' is the host's", code: .unsupported)
        }
        // A user namespace cannot be entered by who is in it, and need not be.
        if type == .user, isHosts { return }
        joined.append(JoinedNamespace(kind: kind, descriptor: descriptor, isHosts: isHosts))
    }

    private mutating func readUserNamespace(_ linux: RuntimeSpec.Linux) throws(SandboxError) {
        let (users, groups) = (linux.uidMappings ?? [], linux.gidMappings ?? [])
        if let existing = joined.first(where: { $0.kind == .user })?.descriptor {
            let found = try step(.namespaces) { () throws(KernelError) in
                try IDMapNamespace.mappings(of: existing.raw)
            }
            guard users.isEmpty && groups.isEmpty || users == found.users && groups == found.groups else {
                throw .invalid("linux.uidMappings", "the joined user namespace has another mapping")
            }
            userNamespace = UserNamespacePlan(
                mappings: found,
                root: try found.root("linux"),
                existing: existing
            )
            return
        }
        guard newNamespaces.contains(.user) else {
            guard users.isEmpty else { throw .invalid("linux.uidMappings", "given without a user namespace") }
            guard groups.isEmpty else { throw .invalid("linux.gidMappings", "given without a user namespace") }
            return
        }
        let mappings = try IDMappings(users: users, groups: groups, field: "linux")
        userNamespace = UserNamespacePlan(mappings: mappings, root: try mappings.root("linux"))
    }

    private static func clockOffsets(
        _ offsets: [String: RuntimeSpec.TimeOffset],
        isNew: Bool
    ) throws(SandboxError) -> [ClockOffset] {
        guard isNew || offsets.isEmpty else {
            throw .invalid("linux.timeOffsets", "given without a new time namespace")
        }
        var result: [ClockOffset] = []
        for (name, offset) in offsets.sorted(by: { $0.key < $1.key }) {
            let field = "linux.timeOffsets.\(name)"
            guard let clock: Int32 = ["monotonic": 1, "boottime": 7][name] else {
                throw .invalid(field, "only the clocks monotonic and boottime have offsets")
            }
            let nanoseconds = offset.nanosecs ?? 0
            guard nanoseconds < 1_000_000_000 else { throw .invalid(field, "nanosecs is not below 1000000000") }
            result.append(ClockOffset(clock: clock, seconds: offset.secs ?? 0, nanoseconds: nanoseconds))
        }
        return result
    }
}

extension ContainerPlan {
    /// Namespaces that clone itself makes: a cgroup namespace shows the cgroup that its maker is in, and a time namespace is
    /// entered with offsets that are final then, so both are made by other means.
    var clonedNamespaces: Namespace.Kinds { newNamespaces.subtracting([.cgroup, .time]) }

    /// Namespaces that somebody must be in already when the container's first process is cloned.
    ///
    /// Process and time namespaces are entered only by children. Those of a container in another user namespace belong to
    /// the host, so that the container's own process could not enter them.
    var joinedBeforeClone: [JoinedNamespace] {
        let entered = joined.filter { userNamespace != nil || $0.kind == .pid }
        // The user namespace last: it takes the rights over the others away. Before it that of mounts, where no path is the host's.
        return entered.filter { $0.kind != .user && $0.kind != .mount } + entered.filter { $0.kind == .mount }
            + entered.filter { $0.kind == .user }
    }

    /// Namespaces that the container's first process enters itself.
    var joinedAfterClone: [JoinedNamespace] {
        let entered = joined.filter { namespace in !joinedBeforeClone.contains { $0.kind == namespace.kind } }
        return entered.filter { $0.kind != .mount } + entered.filter { $0.kind == .mount }
    }

    /// Whether the first process is cloned by a guide, see `ContainerGuide`.
    var needsGuide: Bool { newNamespaces.contains(.time) || !joinedBeforeClone.isEmpty }
}

extension RuntimeSpec.NamespaceType {
    var kind: Namespace.Kinds {
        switch self {
        case .pid: .pid
        case .network: .network
        case .mount: .mount
        case .ipc: .ipc
        case .uts: .uts
        case .user: .user
        case .cgroup: .cgroup
        case .time: .time
        }
    }
}
