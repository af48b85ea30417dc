public import OCISpec

/// Who makes a container's group.
public enum CgroupManager: Hashable, Sendable {
    /// We ourselves, by making directories. `linux.cgroupsPath` is a path.
    case filesystem
    /// systemd, whose scope the group is. `linux.cgroupsPath` is `slice:prefix:name`; `helper` is the path of `berth-scope`.
    case systemd(helper: String)

    /// Makes a group and sets its limits.
    ///
    /// - Parameters:
    ///   - cgroupsPath: the group's name, in the manager's form.
    ///   - resources: the limits.
    ///   - owner: whom it is for, see `CgroupTree.create`.
    ///   - tree: the host's hierarchies.
    /// - Returns: the new group.
    /// - Throws: `CgroupError`; nothing is left then.
    public func create(
        _ cgroupsPath: String,
        _ resources: RuntimeSpec.Resources,
        owner: String,
        in tree: CgroupTree
    ) throws(CgroupError) -> any Cgroup {
        let group: any Cgroup
        switch self {
        case .filesystem: group = try tree.create(cgroupsPath, owner: owner)
        case .systemd(let helper):
            try ResourceCheck.check(resources)
            let name = try SystemdScopeName(cgroupsPath)
            let scope = try SystemdCgroup(
                creating: name,
                resources,
                owner: owner,
                helper: ScopeHelper(program: helper),
                tree: tree
            )
            do throws(CgroupError) {
                try scope.applyFiles(resources)
                return scope
            } catch {
                // The first error is what matters; the group has nobody but its keeper.
                try? scope.remove(timeout: .seconds(1))
                throw error
            }
        }
        do throws(CgroupError) { try group.apply(resources) } catch {
            // The first error is what matters; the group is empty.
            try? group.remove(timeout: .seconds(1))
            throw error
        }
        return group
    }

    /// Finds a group that exists.
    ///
    /// - Parameters:
    ///   - cgroupsPath: as given to `create`.
    ///   - owner: whose it must be, see `CgroupTree.open`; nil takes anybody's.
    ///   - tree: the host's hierarchies.
    /// - Returns: the group.
    /// - Throws: `CgroupError`, `notFound` when it exists nowhere.
    public func open(
        _ cgroupsPath: String,
        owner: String? = nil,
        in tree: CgroupTree
    ) throws(CgroupError) -> any Cgroup {
        switch self {
        case .filesystem: return try tree.open(cgroupsPath, owner: owner)
        case .systemd(let helper):
            let name = try SystemdScopeName(cgroupsPath)
            let helper = ScopeHelper(program: helper)
            return try SystemdCgroup(opening: name, owner: owner, helper: helper, tree: tree)
        }
    }
}
