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

    /// Opens a group that must be an owner's; nil takes anybody's.
    func open(_ components: [String], of owner: String?) throws(KernelError) -> CgroupMember {
        let group = try open(components)
        guard let owner, try CgroupMark(of: group.directory)?.owner != owner else { return group }
        let path = components.joined(separator: "/")
        throw .failed("open", path, .noEntry, detail: "the one that exists is not that of '\(owner)'")
    }

    /// Looks whether a group can be made, without changing anything.
    ///
    /// - Parameters:
    ///   - components: Of its path.
    ///   - owner: Whom it is for.
    /// - Returns: What is there.
    /// - Throws: `alreadyExists` when it is in use, or another's.
    func place(_ components: [String], for owner: String) throws(CgroupError) -> CgroupPlace {
        let path = "/" + components.joined(separator: "/")
        let (mark, hasProcesses, hasGroups): (CgroupMark?, Bool, Bool)
        do throws(KernelError) {
            let old = try open(components)
            mark = try CgroupMark(of: old.directory)
            hasProcesses = try !old.allProcesses().isEmpty
            // A directory's link count is 2 and one for each directory in it.
            hasGroups = try old.directory.status().linkCount != 2
        } catch  where error.errno == .noEntry {
            return .free
        } catch {
            throw .failed("look for cgroup '\(path)' in \(name)", error)
        }
        if let other = mark?.owner, other != owner { throw .exists(path, "it is that of container '\(other)'") }
        if hasProcesses { throw .exists(path, "it has processes") }
        switch mark {
        case .made: return .leftOver
        case .used: return .empty(.used(owner: owner))
        case .parent, nil:
            // Somebody's who has made no process yet, or has none any more.
            if hasGroups { throw .exists(path, "it has groups below it") }
            return .empty(mark == nil ? .used(owner: owner) : .made(owner: owner))
        }
    }

    /// Makes a group, with its missing parents, where a look has shown room for it.
    ///
    /// - Parameters:
    ///   - components: Of its path.
    ///   - owner: Whom it is for.
    ///   - place: What was there.
    ///   - ownsParents: Whether missing parents are made for it, and so go with it.
    /// - Returns: The group, marked.
    /// - Throws: `alreadyExists` when somebody was faster; nothing is left then.
    func create(
        _ components: [String],
        for owner: String,
        at place: CgroupPlace,
        ownsParents: Bool = true
    ) throws(CgroupError) -> CgroupMember {
        let path = components.joined(separator: "/")
        var mark = CgroupMark.made(owner: owner)
        do throws(KernelError) {
            switch place {
            case .free: break
            // Busy: a process has come.
            case .leftOver: try open(components).remove()
            case .empty(let its): mark = its
            }
            let isThere: Bool
            if case .empty = place { isThere = true } else { isThere = false }
            if !isThere { try make(components, ownsParents: ownsParents) }
            let group = try open(components)
            do throws(KernelError) {
                try mark.put(on: group.directory)
                if needsPreparation { try prepare(components) }
            } catch {
                // The first error is what matters; nobody is inside.
                if isThere { try? CgroupMark.clear(group.directory) } else { try? group.remove() }
                removeMadeParents(above: components)
                throw error
            }
            return group
        } catch  where error.errno == .exists || error.errno == .busy {
            throw .exists("/\(path)", "somebody else has just made or entered it")
        } catch {
            throw .failed("create cgroup '/\(path)' in \(name)", error)
        }
    }

    /// More often than parents can vanish between two steps, as others remove the last group below them.
    private static let attempts = 64

    private func make(_ components: [String], ownsParents: Bool) throws(KernelError) {
        let path = components.joined(separator: "/")
        do throws(KernelError) {
            for _ in 1..<Self.attempts {
                do throws(KernelError) { return try make(path) } catch  where error.errno == .noEntry {
                    try makeParents(components, areOwn: ownsParents)
                }
            }
            try make(path)
        } catch {
            removeMadeParents(above: components)
            throw error
        }
    }

    /// Removes the groups above a group that were made because they were missing, as far as nobody needs them any more.
    func removeMadeParents(above components: [String]) {
        for count in (1..<max(components.count, 1)).reversed() {
            let parent = Array(components.prefix(count))
            // Busy: somebody needs it, and whoever is last removes it. One that is gone was removed with those above it.
            guard let group = try? open(parent), (try? CgroupMark(of: group.directory)) == .parent,
                (try? File.removeDirectory(parent.joined(separator: "/"), at: directory.raw)) == true
            else { return }
        }
    }

    private func make(_ path: String) throws(KernelError) {
        try File.makeDirectory(path, mode: 0o755, at: directory.raw)
    }

    private func makeParents(_ components: [String], areOwn: Bool) throws(KernelError) {
        for count in 1..<max(components.count, 1) {
            let parent = Array(components.prefix(count))
            do throws(KernelError) {
                try make(parent.joined(separator: "/"))
                if areOwn { try CgroupMark.parent.put(on: open(parent).directory) }
            } catch  where error.errno == .exists {
                continue
            } catch  where error.code == .notFound || error.errno == .noDevice {
                // Removed meanwhile with the last group below it; the next round makes it again.
                return
            }
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
