internal import Kernel

/// One mounted hierarchy.
struct CgroupHierarchy: Sendable {
    let name: String
    let controllers: [String]
    let isUnified: Bool
    let directory: SharedDescriptor

    func open(_ components: [String]) throws(KernelError) -> CgroupMember {
        let path = components.joined(separator: "/")
        let group = SharedDescriptor(try File.open(path, [.path, .directory, .noFollow], at: directory.raw))
        return CgroupMember(hierarchy: self, components: components, directory: group)
    }

    func create(_ components: [String]) throws(CgroupError) -> CgroupMember {
        let path = components.joined(separator: "/")
        do throws(KernelError) {
            do throws(KernelError) { try make(path) } catch  where error.errno == .noEntry {
                try makeParents(components)
                try make(path)
            } catch  where error.errno == .exists {
                let old = try open(components)
                guard try old.ownProcesses().isEmpty else { throw error }
                // Busy: a group below it has processes.
                do throws(KernelError) { try old.remove() } catch  where error.errno == .busy {
                    throw KernelError.failed("make directory", path, .exists)
                }
                try make(path)
            }
            if needsPreparation { try prepare(components) }
            return try open(components)
        } catch  where error.errno == .exists {
            throw .exists("/\(path)")
        } catch {
            throw .failed("create cgroup '/\(path)' in \(name)", error)
        }
    }

    private func make(_ path: String) throws(KernelError) {
        try File.makeDirectory(path, mode: 0o755, at: directory.raw)
    }

    private func makeParents(_ components: [String]) throws(KernelError) {
        for count in 1..<max(components.count, 1) {
            let parent = components.prefix(count).joined(separator: "/")
            do throws(KernelError) { try make(parent) } catch  where error.errno == .exists {}
        }
    }

    private var needsPreparation: Bool { controllers.contains("cpuset") || (isUnified && !controllers.isEmpty) }

    /// v1 cpuset groups start without CPUs and memory and take no process then; v2 controllers must be handed down level by level.
    private func prepare(_ components: [String]) throws(KernelError) {
        if isUnified {
            let wanted = controllers.map { "+\($0)" }.joined(separator: " ")
            for count in 0..<components.count {
                let level = ["."] + components.prefix(count)
                try File.writeOnce(level.joined(separator: "/") + "/cgroup.subtree_control", wanted, at: directory.raw)
            }
        } else {
            for file in ["cpuset.cpus", "cpuset.mems"] { _ = try inherit(file, components) }
        }
    }

    /// Copies a value from the nearest group above that has one; the group itself is new and has none.
    private func inherit(_ file: String, _ components: [String]) throws(KernelError) -> String {
        let above = components.dropLast()
        let parent = above.isEmpty ? file : above.joined(separator: "/") + "/" + file
        var value = try File.readText(parent, at: directory.raw)
        if value.words.isEmpty, !above.isEmpty { value = try inherit(file, Array(above)) }
        try File.writeOnce(components.joined(separator: "/") + "/" + file, value, at: directory.raw)
        return value
    }
}

/// A group in one hierarchy.
struct CgroupMember: Sendable {
    let hierarchy: CgroupHierarchy
    let components: [String]
    let directory: SharedDescriptor

    func read(_ file: String) throws(KernelError) -> String { try File.readText(file, at: directory.raw) }

    func write(_ file: String, _ text: String) throws(KernelError) { try File.writeOnce(file, text, at: directory.raw) }

    func has(_ file: String) -> Bool { File.exists(file, at: directory.raw) }

    func ownProcesses() throws(KernelError) -> [Int32] { try read("cgroup.procs").words.compactMap { Int32($0) } }

    /// The processes here and in the groups below; a group that goes away meanwhile has none.
    func allProcesses() throws(KernelError) -> [Int32] {
        var found: [Int32] = []
        try CgroupMember.walk(directory.raw, depth: 32) { (group) throws(KernelError) in
            let text = try File.readText("cgroup.procs", limit: 64 << 20, at: group)
            found += text.words.compactMap { Int32($0) }
        }
        return found
    }

    /// Removes the group after all groups below it; none is fine.
    func remove() throws(KernelError) {
        // Where that fails, so does the removal of the group itself, whose error says enough.
        try? CgroupMember.removeBelow(directory.raw, depth: 32)
        try File.removeDirectory(components.joined(separator: "/"), at: hierarchy.directory.raw)
    }

    private static func walk(
        _ group: RawDescriptor,
        depth: Int,
        _ visit: (RawDescriptor) throws(KernelError) -> Void
    ) throws(KernelError) {
        do throws(KernelError) {
            try visit(group)
            for child in try subgroups(group) where depth > 0 {
                let inner = try File.open(child, [.path, .directory, .noFollow], at: group)
                try walk(inner.raw, depth: depth - 1, visit)
            }
        } catch  where error.errno == .noEntry || error.errno == .noDevice {}
    }

    private static func removeBelow(_ group: RawDescriptor, depth: Int) throws(KernelError) {
        for child in try subgroups(group) where depth > 0 {
            let inner = try File.open(child, [.path, .directory, .noFollow], at: group)
            try removeBelow(inner.raw, depth: depth - 1)
            try File.removeDirectory(child, at: group)
        }
    }

    private static func subgroups(_ group: RawDescriptor) throws(KernelError) -> [String] {
        // A directory's link count tells without reading it whether there are any: 2 and one for each.
        guard try BorrowedDescriptor(group).status().linkCount != 2 else { return [] }
        return try File.open(".", .directory, at: group).readDirectory().filter { $0.kind == .directory }.map(\.name)
    }
}
