internal import Kernel
internal import OCISpec

/// A group of the v2 hierarchy.
struct CgroupV2: Cgroup {
    let path: String
    let member: CgroupMember
    let judge: OutOfMemoryJudge
    /// Whether others attach device filters too, which are theirs to take away.
    let sharesDevices: Bool

    init(path: String, member: CgroupMember, isNew: Bool, sharesDevices: Bool = false) {
        self.path = path
        self.sharesDevices = sharesDevices
        self.member = member
        judge = OutOfMemoryJudge(member.components, start: isNew ? CgroupV2.memoryEvents(member) : nil)
    }

    var bandwidthPeriod: UInt64 {
        // A host without the controller has no limit either.
        (try? member.read("cpu.max").words.last).flatMap { UInt64($0) } ?? 100_000
    }

    func entrance() throws(CgroupError) -> CgroupEntrance { try entrance(into: member) }

    func entrance(below name: String) throws(CgroupError) -> CgroupEntrance {
        let parts = try CgroupTree.components(name)
        let inside = try attempt("open group in") { () throws(KernelError) in try member.openBelow(parts) }
        return try entrance(into: inside)
    }

    func makeSubgroup(_ prefix: String) throws(CgroupError) -> CgroupSubgroup {
        let subgroup = try attempt("make group in") { () throws(KernelError) in
            try member.makeSubgroup(prefix, from: SubgroupNumber.next())
        }
        do throws(CgroupError) {
            return CgroupSubgroup(member: subgroup, entrance: try entrance(into: subgroup))
        } catch {
            // The first error is what matters; the group is empty.
            try? subgroup.remove()
            throw error
        }
    }

    func openSubgroup(_ path: String) throws(CgroupError) -> CgroupSubgroup {
        let subgroup = try attempt("open group in") { () throws(KernelError) in try member.openSubgroup(path) }
        return CgroupSubgroup(member: subgroup, entrance: try entrance(into: subgroup))
    }

    /// A process that is born inside counts from its birth, and where the limit leaves no room for it there it has to move in.
    private func entrance(into inside: CgroupMember) throws(CgroupError) -> CgroupEntrance {
        try attempt("open") { () throws(KernelError) in
            let limit = try member.files.number("pids.max")
            guard let limit, try member.files.number("pids.current") ?? 0 >= limit else {
                return CgroupEntrance(directory: inside.directory, taskFiles: [], members: [inside])
            }
            let processes = SharedDescriptor(try File.open("cgroup.procs", .write, at: inside.directory.raw))
            return CgroupEntrance(directory: nil, taskFiles: [processes], members: [inside])
        }
    }

    func delegate(uid: UInt32, gid: UInt32) throws(CgroupError) {
        try attempt("give away") { () throws(KernelError) in
            let files: [String]
            do throws(KernelError) {
                files = try File.readText("/sys/kernel/cgroup/delegate").words
            } catch  where error.errno == .noEntry {
                files = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
            }
            try member.directory.changeOwner(uid: uid, gid: gid)
            for file in files {
                do throws(KernelError) {
                    try File.open(file, [.path, .noFollow], at: member.directory.raw).changeOwner(uid: uid, gid: gid)
                } catch  where error.errno == .noEntry {
                    // Of a controller that the host lacks.
                }
            }
        }
    }

    func add(_ pid: Int32) throws(CgroupError) {
        try attempt("add process \(pid) to") { () throws(KernelError) in try member.write("cgroup.procs", String(pid)) }
    }

    func processes() throws(CgroupError) -> [Int32] {
        try attempt("list processes of", absent: []) { () throws(KernelError) in try member.allProcesses() }
    }

    func freeze() throws(CgroupError) {
        try attempt("freeze") { () throws(KernelError) in try CgroupFreezer.freezeUnified(member) }
    }

    func thaw() throws(CgroupError) {
        try attempt("thaw") { () throws(KernelError) in try member.write("cgroup.freeze", "0") }
    }

    func isFrozen() throws(CgroupError) -> Bool {
        try attempt("read state of") { () throws(KernelError) in try member.read("cgroup.freeze").words == ["1"] }
    }

    func killAll(timeout: Duration) throws(CgroupError) -> [Int32] {
        try attempt("kill", absent: []) { () throws(KernelError) in try member.killAll(timeout: timeout) }
    }

    func remove(timeout: Duration) throws(CgroupError) {
        try attempt("remove") { () throws(KernelError) in
            var waiting = Waiting(timeout)
            while true {
                do throws(KernelError) { return try member.removeGroup() } catch
                    where error.errno == .busy || error.errno == .notEmpty
                {
                    if !waiting.again() { throw error }
                }
            }
        }
    }

    func outOfMemoryVerdict() throws(CgroupError) -> OutOfMemoryVerdict {
        try attempt("read memory events of", absent: OutOfMemoryVerdict(kills: 0, owner: "")) {
            () throws(KernelError) in
            // Without the controller nobody is killed at a limit, and nobody counts.
            let events = try member.files.readIfThere("memory.events").map(KeyedText.flat) ?? [:]
            return judge.judge(kills: events["oom_kill"] ?? 0, events: CgroupV2.memoryEvents(member))
        }
    }

    func outOfMemoryRecord() throws(CgroupError) -> OutOfMemoryRecord {
        // Before the verdict: a kill between the two is judged now and again looked at by nobody.
        let pressure = CgroupV2.memoryEvents(member)
        return OutOfMemoryRecord(verdict: try outOfMemoryVerdict(), pressure: pressure)
    }

    func goOn(after record: OutOfMemoryRecord?) throws(CgroupError) {
        try attempt("read memory events of", absent: ()) { () throws(KernelError) in
            let events = CgroupV2.memoryEvents(member)
            let kills = try member.files.readIfThere("memory.events").map(KeyedText.flat)?["oom_kill"] ?? 0
            judge.goOn(after: record, kills: kills, pressure: events, counting: events)
        }
    }

    /// How often memory ran out, by level: at the limit of the group or below it, then at that of each group above.
    private static func memoryEvents(_ member: CgroupMember) -> [UInt64] {
        (0..<member.components.count).map { up in
            let file = up == 0 ? "memory.events" : "memory.events.local"
            // A level without the memory controller has no limit that could be hit.
            let text = try? File.readText(member.path(file, levelsUp: up), at: member.hierarchy.directory.raw)
            return text.map(KeyedText.flat)?["oom"] ?? 0
        }
    }

    /// Runs a step and names the group when it fails; `absent` is the answer of a group that is gone.
    func attempt<Value>(
        _ operation: String,
        absent: Value? = nil,
        _ body: () throws(KernelError) -> Value
    ) throws(CgroupError) -> Value {
        do throws(KernelError) { return try body() } catch {
            if let absent, error.code == .notFound { return absent }
            throw .failed("\(operation) cgroup '\(path)'", error)
        }
    }
}
