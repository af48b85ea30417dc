internal import Kernel
internal import OCISpec

/// A group of the v2 hierarchy.
struct CgroupV2: Cgroup {
    let path: String
    let member: CgroupMember

    func entrance() throws(CgroupError) -> CgroupEntrance {
        CgroupEntrance(directory: member.directory, taskFiles: [])
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
        try attempt("kill", absent: []) { () throws(KernelError) in
            var waiting = Waiting(timeout)
            while true {
                let left = try member.allProcesses()
                if left.isEmpty { return [] }
                try member.write("cgroup.kill", "1")
                guard waiting.again() else { return try member.allProcesses() }
            }
        }
    }

    func remove(timeout: Duration) throws(CgroupError) {
        try attempt("remove") { () throws(KernelError) in
            var waiting = Waiting(timeout)
            while true {
                do throws(KernelError) { return try member.remove() } catch
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
            let events = KeyedText.flat(try member.read("memory.events"))
            let kills = events["oom_kill"] ?? 0
            return OutOfMemoryVerdict(kills: kills, owner: kills == 0 ? "" : limitOwner())
        }
    }

    /// The innermost group, from this one outwards, whose own limit has run out.
    private func limitOwner() -> String {
        for count in stride(from: member.components.count, to: 0, by: -1) {
            let level = member.components.prefix(count).joined(separator: "/")
            // A level without the memory controller has no limit that could have been hit.
            let text = (try? File.readText("\(level)/memory.events.local", at: member.hierarchy.directory.raw)) ?? ""
            if KeyedText.flat(text)["oom"] ?? 0 > 0 { return "/\(level)" }
        }
        return "system"
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
