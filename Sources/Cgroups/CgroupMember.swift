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

    /// Visits this group and all below it; one that goes away meanwhile is passed over.
    func forEachGroup(_ visit: (RawDescriptor) throws(KernelError) -> Void) throws(KernelError) {
        try CgroupMember.walk(directory.raw, depth: 32, visit)
    }

    /// Removes the group after all groups below it; none is fine.
    func remove() throws(KernelError) {
        // Where that fails, so does the removal of the group itself, whose error says enough.
        try? CgroupMember.removeBelow(directory.raw, depth: 32)
        try File.removeDirectory(components.joined(separator: "/"), at: hierarchy.directory.raw)
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
        while true {
            let left = try allProcesses()
            if left.isEmpty { return [] }
            if hierarchy.isUnified { try write("cgroup.kill", "1") } else { try killOneByOne() }
            guard waiting.again() else { return try allProcesses() }
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
