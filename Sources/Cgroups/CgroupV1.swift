internal import Kernel
internal import OCISpec

/// The same path in every v1 hierarchy, and in the v2 one beside them where there is one.
struct CgroupV1: Cgroup {
    let path: String
    let members: [CgroupMember]
    let judge: OutOfMemoryJudge
    let notifications: MemoryWatch

    init(path: String, members: [CgroupMember], isNew: Bool) {
        self.path = path
        self.members = members
        let memory = members.first { $0.hierarchy.controllers.contains("memory") }
        // A kernel without notifications leaves the owner of a limit unknown.
        notifications = MemoryWatch(isNew ? memory.flatMap { try? MemoryNotifications($0) } : nil)
        judge = OutOfMemoryJudge(members[0].components, start: notifications.events())
    }

    func member(_ controller: String) -> CgroupMember? {
        members.first { $0.hierarchy.controllers.contains(controller) }
    }

    var unified: CgroupMember? { members.first { $0.hierarchy.isUnified } }

    var bandwidthPeriod: UInt64 {
        // A host without the controller has no limit either.
        (try? member("cpu")?.files.number("cpu.cfs_period_us")) ?? 100_000
    }

    func entrance() throws(CgroupError) -> CgroupEntrance { try entrance(into: members) }

    func entrance(below name: String) throws(CgroupError) -> CgroupEntrance {
        let parts = try CgroupTree.components(name)
        var inside: [CgroupMember] = []
        var missing: KernelError?
        var isThere = false
        for member in members {
            do throws(KernelError) {
                inside.append(try member.openBelow(parts))
                isThere = true
            } catch  where error.errno == .noEntry {
                inside.append(member)
                missing = error
            } catch {
                throw .failed("open group in cgroup '\(path)' in \(member.hierarchy.name)", error)
            }
        }
        if !isThere, let missing { throw .failed("open group in cgroup '\(path)'", missing) }
        return try entrance(into: inside, passesOverLost: true)
    }

    /// Where groups for additional processes are.
    private func parent() throws(CgroupError) -> CgroupMember {
        guard let parent = unified ?? member("freezer") ?? member("pids") else {
            throw .precondition("make group in cgroup '\(path)'", "the host has no hierarchy for it")
        }
        return parent
    }

    func openSubgroup(_ path: String) throws(CgroupError) -> CgroupSubgroup {
        let parent = try parent()
        let member = try attempt("open group in") { () throws(KernelError) in try parent.openSubgroup(path) }
        return CgroupSubgroup(member: member, entrance: try entrance(replacing: member))
    }

    func makeSubgroup(_ prefix: String) throws(CgroupError) -> CgroupSubgroup {
        let parent = try parent()
        let member = try attempt("make group in") { () throws(KernelError) in
            try parent.makeSubgroup(prefix, from: SubgroupNumber.next())
        }
        do throws(CgroupError) {
            return CgroupSubgroup(member: member, entrance: try entrance(replacing: member))
        } catch {
            // The first error is what matters; the group is empty.
            try? member.remove()
            throw error
        }
    }

    /// A container that could change its groups in a v1 hierarchy could change the limits.
    func delegate(uid: UInt32, gid: UInt32) throws(CgroupError) {}

    /// The way in where a group below stands in for this one.
    private func entrance(replacing subgroup: CgroupMember) throws(CgroupError) -> CgroupEntrance {
        let inside = members.map { $0.hierarchy.name == subgroup.hierarchy.name ? subgroup : $0 }
        return try entrance(into: inside, passesOverLost: true)
    }

    /// The way into these.
    ///
    /// One that passes over what is lost leaves out a hierarchy from which somebody else has taken the group: an additional process is then as
    /// little limited there as the first one. A first process is in all of them or does not start.
    private func entrance(
        into inside: [CgroupMember],
        passesOverLost: Bool = false
    ) throws(CgroupError) -> CgroupEntrance {
        var files: [SharedDescriptor] = []
        var entered: [CgroupMember] = []
        try attempt("open") { () throws(KernelError) in
            for member in inside {
                if !member.hierarchy.isUnified {
                    do throws(KernelError) {
                        files.append(SharedDescriptor(try File.open("tasks", .write, at: member.directory.raw)))
                    } catch  where passesOverLost && error.errno == .noEntry {
                        if try member.isWhereItWas() { throw error }
                        continue
                    }
                }
                entered.append(member)
            }
        }
        let directory = inside.first { $0.hierarchy.isUnified }?.directory
        return CgroupEntrance(directory: directory, taskFiles: files, members: entered)
    }

    func add(_ pid: Int32) throws(CgroupError) {
        for member in members {
            do throws(KernelError) { try member.write("cgroup.procs", String(pid)) } catch {
                throw .failed("add process \(pid) to cgroup '\(path)' in \(member.hierarchy.name)", error)
            }
        }
    }

    func processes() throws(CgroupError) -> [Int32] {
        do throws(KernelError) { return try listing.allProcesses() } catch  where error.code == .notFound {
            return []
        } catch {
            throw .failed("list processes of cgroup '\(path)'", error)
        }
    }

    /// The hierarchy that says who is in: one that a container cannot rearrange through a delegated controller.
    var listing: CgroupMember {
        unified ?? members.first { $0.hierarchy.controllers.isEmpty } ?? member("devices") ?? members[0]
    }

    func freeze() throws(CgroupError) {
        do throws(KernelError) {
            if let unified {
                try CgroupFreezer.freezeUnified(unified)
            } else if let freezer = member("freezer") {
                try CgroupFreezer.freezeV1(freezer)
            } else {
                throw .failed("freeze", .notSupported, detail: "no freezer")
            }
        } catch {
            throw .failed("freeze cgroup '\(path)'", error)
        }
    }

    func thaw() throws(CgroupError) {
        do throws(KernelError) {
            try unified?.write("cgroup.freeze", "0")
            if unified == nil { try member("freezer")?.write("freezer.state", "THAWED") }
        } catch {
            throw .failed("thaw cgroup '\(path)'", error)
        }
    }

    func isFrozen() throws(CgroupError) -> Bool {
        do throws(KernelError) {
            if let unified { return try unified.read("cgroup.freeze").words == ["1"] }
            guard let freezer = member("freezer") else { return false }
            return try freezer.read("freezer.state").words != ["THAWED"]
        } catch {
            throw .failed("read state of cgroup '\(path)'", error)
        }
    }

    func killAll(timeout: Duration) throws(CgroupError) -> [Int32] {
        // Where it has to be done one by one, those who are killed must not fork away meanwhile: only the freezer can hold them.
        let member = unified ?? member("freezer") ?? listing
        return try attempt("kill", absent: []) { () throws(KernelError) in try member.killAll(timeout: timeout) }
    }

    func remove(timeout: Duration) throws(CgroupError) {
        var waiting = Waiting(timeout)
        for member in members {
            while true {
                do throws(KernelError) {
                    try member.removeGroup()
                    break
                } catch  where error.errno == .busy || error.errno == .notEmpty {
                    if waiting.again() { continue }
                    throw .failed("remove cgroup '\(path)' in \(member.hierarchy.name)", error)
                } catch {
                    throw .failed("remove cgroup '\(path)' in \(member.hierarchy.name)", error)
                }
            }
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
