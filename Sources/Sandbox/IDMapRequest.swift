internal import Kernel
internal import MountTrees
internal import OCISpec

/// A mount whose files' owners are to be mapped by the container's user namespace, once that exists.
struct PendingIDMap {
    var tree: PreparedTree
    var recursive: Bool
    /// The mount in words of the document, for errors.
    var object: String
    /// Where its files come from.
    var source: String
    var stage: SandboxStage

    /// Sets the mapping.
    func apply(_ namespace: RawDescriptor) throws(SandboxError) {
        do throws(KernelError) {
            try tree.mount.setIDMap(namespace, recursive: recursive)
        } catch  where error.errno == .invalid {
            let type = FileSystemNames.type(of: source) ?? "unknown type"
            throw .refused(
                stage,
                "map ids of",
                object,
                "the kernel cannot map a filesystem of type \(type)\(recursive ? ", or one mounted below it" : "")",
                code: .unsupported
            )
        } catch {
            throw .failed(stage, .failed("map ids of", object, error.errno))
        }
    }
}

/// What the mount table says of filesystems; only for errors, as reading it takes long.
enum FileSystemNames {
    /// The type of the filesystem that a path lies on, nil when it cannot be found.
    static func type(of path: String) -> String? {
        // A message without the name is better than another error.
        guard let mount = try? File.status(path, follow: true).mountID,
            let table = try? File.readText("/proc/self/mountinfo", limit: 16 << 20)
        else { return nil }
        for line in table.split(separator: "\n") where line.hasPrefix("\(mount) ") {
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else { return nil }
            return String(fields[dash + 1])
        }
        return nil
    }
}

extension ContainerPlan {
    /// Maps the owners of a mount's files when its options ask for that: now, or as soon as the namespace exists.
    ///
    /// Without a mapping of its own the mount gets the container's.
    mutating func mapIDs(
        of tree: PreparedTree,
        _ options: MountOptions,
        users: [RuntimeSpec.IDMapping] = [],
        groups: [RuntimeSpec.IDMapping] = [],
        source: String,
        field: String,
        stage: SandboxStage
    ) throws(SandboxError) {
        guard let word = options.idMap else { return }
        let request = PendingIDMap(
            tree: tree,
            recursive: word == .recursive,
            object: field,
            source: source,
            stage: stage
        )
        if !users.isEmpty || !groups.isEmpty {
            let mappings = try IDMappings(users: users, groups: groups, field: field)
            let namespace = try step(stage) { () throws(KernelError) in try IDMapNamespace.make(mappings) }
            return try request.apply(namespace.raw)
        }
        guard let userNamespace else {
            throw .invalid(field, "idmap needs uidMappings and gidMappings of its own, or a user namespace")
        }
        if let existing = userNamespace.existing { return try request.apply(existing.raw) }
        pendingIDMaps.append(request)
    }
}
