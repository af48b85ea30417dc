internal import Kernel

/// One mounted hierarchy.
struct CgroupHierarchy: Sendable {
    let name: String
    /// Those that every group gets.
    let controllers: [String]
    /// Those that a group gets only when a limit needs one: of a v2 hierarchy that stands beside v1 ones.
    var offered: [String] = []
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
            do throws(KernelError) { try enable(controllers, above: components) } catch {
                // One that cannot be had must not take the others with it. A limit that needs it finds no file and says so.
                for controller in controllers { try? enable([controller], above: components) }
            }
        } else {
            for file in ["cpuset.cpus", "cpuset.mems"] { _ = try inherit(file, components) }
        }
    }

    /// Hands controllers of a v2 hierarchy down as far as a group.
    func enable(_ wanted: [String], above components: [String]) throws(KernelError) {
        let words = wanted.map { "+\($0)" }.joined(separator: " ")
        for count in 0..<components.count {
            let level = ["."] + components.prefix(count)
            try File.writeOnce(level.joined(separator: "/") + "/cgroup.subtree_control", words, at: directory.raw)
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
