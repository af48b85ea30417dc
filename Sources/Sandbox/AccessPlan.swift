internal import Kernel

/// Which access each mount of a container gives beyond what the mounts above it give already.
///
/// The workload reads and executes everywhere inside of its root. It writes where the mount is writable, and controls devices where the mount
/// lets devices be. A rule counts for all that lies beneath its place, other mounts too: what is mounted read-only below a writable mount is
/// protected by its mount alone.
struct AccessPlan {
    /// Whether devices can be made (CAP_MKNOD).
    var makesDevices = false
    /// Whether there may be devices in the root itself.
    var rootHasDevices = true

    private static let reading: Landlock.Access = [.execute, .readFile, .readDirectory]
    private static let writing: Landlock.Access = [.writeFile, .changeDirectories, .refer, .truncate]

    /// The rules that are needed.
    ///
    /// - Parameters:
    ///   - table: The mounts.
    ///   - root: The mount that the root lies on; one that the table does not have is taken for writable, for its own flags refuse what it
    ///     does not let be.
    /// - Returns: The root's access, and that of each mount that gives more than those above it.
    func rules(
        _ table: MountTable,
        root: UInt64
    ) -> (root: Landlock.Access, mounts: [(mount: MountTable.Entry, access: Landlock.Access)]) {
        let byID = Dictionary(table.entries.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let rootAccess = access(byID[root], isRoot: true)
        var given: [UInt64: Landlock.Access] = [root: rootAccess]
        var rules: [(mount: MountTable.Entry, access: Landlock.Access)] = []
        for entry in table.entries where entry.id != root {
            // From the root's side down, as far as it is not known yet.
            var chain = [entry]
            while let last = chain.last, given[last.id] == nil, let parent = byID[last.parent],
                chain.count <= table.entries.count
            {
                chain.append(parent)
            }
            for mount in chain.reversed() where given[mount.id] == nil {
                let above = given[mount.parent] ?? rootAccess
                let own = access(mount, isRoot: false)
                given[mount.id] = above.union(own)
                if !above.isSuperset(of: own) { rules.append((mount, own)) }
            }
        }
        return (rootAccess, rules)
    }

    /// The access of a root that nothing is mounted in.
    func root(isReadOnly: Bool) -> Landlock.Access {
        let mount = MountTable.Entry(id: 0, parent: 0, path: "/", isReadOnly: isReadOnly, hasNoDevices: false)
        return access(mount, isRoot: true)
    }

    private func access(_ mount: MountTable.Entry?, isRoot: Bool) -> Landlock.Access {
        var access = Self.reading
        if mount?.isReadOnly != true {
            access.formUnion(Self.writing)
            if makesDevices { access.formUnion(.makeDevices) }
        }
        if mount?.hasNoDevices != true, !isRoot || rootHasDevices { access.insert(.controlDevices) }
        return access
    }
}
