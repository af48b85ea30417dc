internal import Kernel

/// A group in one hierarchy.
struct CgroupMember: Sendable {
    let hierarchy: CgroupHierarchy
    let components: [String]
    let directory: SharedDescriptor
    /// For what is read again and again.
    let files: CgroupFiles

    init(hierarchy: CgroupHierarchy, components: [String], directory: SharedDescriptor) {
        self.hierarchy = hierarchy
        self.components = components
        self.directory = directory
        files = CgroupFiles(directory)
    }

    func read(_ file: String) throws(KernelError) -> String { try File.readText(file, at: directory.raw) }

    func write(_ file: String, _ text: String) throws(KernelError) { try File.writeOnce(file, text, at: directory.raw) }

    func has(_ file: String) -> Bool { File.exists(file, at: directory.raw) }

    /// A file of the group that many levels up.
    func path(_ file: String, levelsUp: Int) -> String {
        (["."] + components.dropLast(levelsUp) + [file]).joined(separator: "/")
    }

    func ownProcesses() throws(KernelError) -> [Int32] { try read("cgroup.procs").words.compactMap { Int32($0) } }

    /// The processes here and in the groups below; a group that goes away meanwhile has none.
    func allProcesses() throws(KernelError) -> [Int32] {
        var found: [Int32] = []
        try forEachGroup { (group) throws(KernelError) in
            // A threaded group has no list: its processes are in that of the group above which is not one.
            do throws(KernelError) {
                let text = try File.readText("cgroup.procs", limit: 64 << 20, at: group)
                found += text.words.compactMap { Int32($0) }
            } catch  where error.errno == .notSupported {}
        }
        return found
    }

    /// More groups in one than any container has: whoever makes them could otherwise keep its manager walking for ever.
    static let groupLimit = 16384

    /// Visits this group and all below it, outer ones first; one that goes away meanwhile is passed over.
    ///
    /// - Throws: what a visit throws; `fileTooBig` beyond `groupLimit`, after that many were visited.
    func forEachGroup(_ visit: (RawDescriptor) throws(KernelError) -> Void) throws(KernelError) {
        _ = try walk { (group, _) throws(KernelError) in try visit(group) }
    }

    /// Removes the group after all groups below it; none is fine.
    func remove() throws(KernelError) {
        // What cannot be listed or removed keeps the group itself too, whose error says enough.
        for path in ((try? walk { (_, _) in }) ?? []).reversed() {
            _ = try? File.removeDirectory(path, at: directory.raw)
        }
        try File.removeDirectory(components.joined(separator: "/"), at: hierarchy.directory.raw)
    }

    /// Removes a container's group, and the parents that were made for such groups when this was the last below them.
    ///
    /// One that was there before it was used stays, without what the container has left in it; none is fine.
    func removeGroup() throws(KernelError) {
        guard try isWhereItWas() else { return }
        if case .used = try CgroupMark(of: directory) {
            try removeBelow()
            return try CgroupMark.clear(directory)
        }
        try remove()
        hierarchy.removeMadeParents(above: components)
    }

    /// Whether the path still leads to this group, and not to none or to a later one.
    func isWhereItWas() throws(KernelError) -> Bool {
        do throws(KernelError) {
            let (now, own) = (try hierarchy.open(components).directory.status(), try directory.status())
            return now.inode == own.inode && now.device == own.device
        } catch  where error.code == .notFound || error.errno == .noDevice {
            return false
        }
    }

    private func removeBelow() throws(KernelError) {
        for path in try walk({ (_, _) in }).reversed() { try File.removeDirectory(path, at: directory.raw) }
    }

    /// Makes a group below this one, under the first free name.
    ///
    /// What runs in the container may have made groups of such names; those are its own.
    func makeSubgroup(_ prefix: String, from number: Int) throws(KernelError) -> CgroupMember {
        for candidate in number..<number + 1024 {
            let name = "\(prefix)\(candidate)"
            do throws(KernelError) {
                try File.makeDirectory(name, mode: 0o755, at: directory.raw)
            } catch  where error.errno == .exists { continue }
            let group = SharedDescriptor(try File.open(name, [.path, .directory, .noFollow], at: directory.raw))
            return CgroupMember(hierarchy: hierarchy, components: components + [name], directory: group)
        }
        throw .failed("make directory", "\(prefix)\(number)", .exists, detail: "and the next 1023 names")
    }

    /// A group somewhere below this one, by its path from here.
    func openBelow(_ parts: [String]) throws(KernelError) -> CgroupMember {
        let path = parts.joined(separator: "/")
        let group = SharedDescriptor(try File.open(path, [.path, .directory, .noFollow], at: directory.raw))
        return CgroupMember(hierarchy: hierarchy, components: components + parts, directory: group)
    }

    /// A group right below this one, by its path below the hierarchy's root.
    func openSubgroup(_ path: String) throws(KernelError) -> CgroupMember {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.dropLast() == components[...], let name = parts.last, name != "..", name != "." else {
            throw .failed(
                "open",
                path,
                .noEntry,
                detail: "it is not right below '/\(components.joined(separator: "/"))'"
            )
        }
        return try openBelow([name])
    }

    /// Whether anybody is here or below.
    func isPopulated() throws(KernelError) -> Bool {
        if hierarchy.isUnified { return try KeyedText.flat(files.read("cgroup.events"))["populated"] == 1 }
        return try !allProcesses().isEmpty
    }

    /// Kills everybody here and below, also when frozen, and waits for them to go.
    ///
    /// - Returns: who is left when the time is up.
    func killAll(timeout: Duration) throws(KernelError) -> [Int32] {
        var waiting = Waiting(timeout)
        // What the kernel says of the whole tree, not a list of ours, decides whether anybody is left.
        while try isPopulated() {
            try killOnce()
            guard waiting.again() else { return try allProcesses() }
        }
        return []
    }

    private func killOnce() throws(KernelError) {
        guard hierarchy.isUnified else { return try killOneByOne() }
        do throws(KernelError) { try write("cgroup.kill", "1") } catch  where error.errno == .noEntry {
            // Before Linux 5.14.
            try killOneByOne()
        }
    }

    /// Without cgroup.kill: stop everybody so that nobody can fork away, signal, let go.
    private func killOneByOne() throws(KernelError) {
        let freezes = hierarchy.controllers.contains("freezer")
        // A group that will not freeze is killed all the same; the loop around this finds who was born meanwhile.
        if freezes { try? CgroupFreezer.freezeV1(self) }
        for pid in try allProcesses() {
            do throws(KernelError) {
                let process = try Pidfd(pid: pid)
                // The number may have been reused between the list and the opening: look again with the process held.
                if try allProcesses().contains(pid) { try process.send(.kill) }
            } catch  where error.errno == .noProcess {}
        }
        if freezes { try write("freezer.state", "THAWED") }
    }

    /// Visits the group and all below it, each found from here by its path: neither depth nor number costs open descriptors.
    ///
    /// - Returns: the paths of those below, outer ones first.
    private func walk(
        _ visit: (RawDescriptor, String) throws(KernelError) -> Void
    ) throws(KernelError) -> [String] {
        var paths: [String] = []
        try CgroupMember.passingOver { () throws(KernelError) in
            try visit(directory.raw, "")
            paths = try CgroupMember.subgroups(directory.raw)
        }
        var next = 0
        while next < paths.count {
            guard paths.count <= Self.groupLimit else {
                let place = components.joined(separator: "/")
                throw .failed("walk", place, .fileTooBig, detail: "it has more than \(Self.groupLimit) groups")
            }
            let path = paths[next]
            next += 1
            try CgroupMember.passingOver { () throws(KernelError) in
                let group = try File.open(path, [.path, .directory, .noFollow], at: directory.raw)
                try visit(group.raw, path)
                paths += try CgroupMember.subgroups(group.raw).map { "\(path)/\($0)" }
            }
        }
        return paths
    }

    /// Runs a step on a group that may go away meanwhile.
    private static func passingOver(_ body: () throws(KernelError) -> Void) throws(KernelError) {
        do throws(KernelError) { try body() } catch  where error.errno == .noEntry || error.errno == .noDevice {}
    }

    private static func subgroups(_ group: RawDescriptor) throws(KernelError) -> [String] {
        // A directory's link count tells without reading it whether there are any: 2 and one for each.
        guard try BorrowedDescriptor(group).status().linkCount != 2 else { return [] }
        return try File.open(".", .directory, at: group).readDirectory().filter { $0.kind == .directory }.map(\.name)
    }
}
