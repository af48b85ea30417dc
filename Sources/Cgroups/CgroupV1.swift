internal import Kernel
internal import OCISpec

/// The same path in every v1 hierarchy, and in the v2 one beside them where there is one.
struct CgroupV1: Cgroup {
    let path: String
    let members: [CgroupMember]

    func member(_ controller: String) -> CgroupMember? {
        members.first { $0.hierarchy.controllers.contains(controller) }
    }

    var unified: CgroupMember? { members.first { $0.hierarchy.isUnified } }

    func entrance() throws(CgroupError) -> CgroupEntrance {
        var files: [SharedDescriptor] = []
        do throws(KernelError) {
            for member in members where !member.hierarchy.isUnified {
                files.append(SharedDescriptor(try File.open("tasks", .write, at: member.directory.raw)))
            }
        } catch {
            throw .failed("open cgroup '\(path)'", error)
        }
        return CgroupEntrance(directory: unified?.directory, taskFiles: files)
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
        var waiting = Waiting(timeout)
        do throws(KernelError) {
            while true {
                let left = try listing.allProcesses()
                if left.isEmpty { return [] }
                if let unified { try unified.write("cgroup.kill", "1") } else { try killOneByOne() }
                guard waiting.again() else { return try listing.allProcesses() }
            }
        } catch  where error.code == .notFound {
            return []
        } catch {
            throw .failed("kill cgroup '\(path)'", error)
        }
    }

    /// Without cgroup.kill: stop everybody so that nobody can fork away, signal, let go.
    private func killOneByOne() throws(KernelError) {
        // A group that will not freeze is killed all the same; the loop around this finds who was born meanwhile.
        if let freezer = member("freezer") { try? CgroupFreezer.freezeV1(freezer) }
        let list = listing
        for pid in try list.allProcesses() {
            do throws(KernelError) {
                let process = try Pidfd(pid: pid)
                // The number may have been reused between the list and the opening: look again with the process held.
                if try list.allProcesses().contains(pid) { try process.send(.kill) }
            } catch  where error.errno == .noProcess {}
        }
        try member("freezer")?.write("freezer.state", "THAWED")
    }

    func remove(timeout: Duration) throws(CgroupError) {
        var waiting = Waiting(timeout)
        for member in members {
            while true {
                do throws(KernelError) {
                    try member.remove()
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

    func outOfMemoryVerdict() throws(CgroupError) -> OutOfMemoryVerdict {
        guard let memory = member("memory") else { return OutOfMemoryVerdict(kills: 0, owner: "") }
        do throws(KernelError) {
            let kills = KeyedText.flat(try memory.read("memory.oom_control"))["oom_kill"] ?? 0
            return OutOfMemoryVerdict(kills: kills, owner: kills == 0 ? "" : limitOwner(memory))
        } catch  where error.code == .notFound {
            return OutOfMemoryVerdict(kills: 0, owner: "")
        } catch {
            throw .failed("read memory events of cgroup '\(path)'", error)
        }
    }

    /// The innermost group, from this one outwards, that has ever hit its limit.
    private func limitOwner(_ memory: CgroupMember) -> String {
        for count in stride(from: memory.components.count, to: 0, by: -1) {
            let level = memory.components.prefix(count).joined(separator: "/")
            for file in ["memory.failcnt", "memory.memsw.failcnt"] {
                // A counter that is not there (memsw without swap accounting) counts nothing.
                let text = (try? File.readText("\(level)/\(file)", at: memory.hierarchy.directory.raw)) ?? ""
                if KeyedText.number(text) ?? 0 > 0 { return "/\(level)" }
            }
        }
        return "system"
    }
}
