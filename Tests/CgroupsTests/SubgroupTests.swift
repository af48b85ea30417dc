import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Groups inside of a container's group, one for each additional process.
@Suite struct SubgroupTests {
    /// A process with a child, both in the subgroup, entered as a shim's child does.
    private func tree(_ path: String) throws -> Probe.Result { try Probe.run("subgroup", path) }

    @Test func wholeTreeIsKilledAndTheRestStays() throws {
        try LoadedGroup.with { loaded in
            let bystander = try loaded.start("wait")
            try bystander.begin()
            let result = try tree(loaded.path)
            #expect(result["error"] == nil, "\(result.output)")
            #expect(result["verified"] == "true")
            #expect(result["inside"] == "2")
            #expect(result["stranger"] == "refused")
            #expect(result["removedWhileBusy"] == "false")
            #expect(result["left"] == "0")
            #expect(result["child"] == "signaled(9, core: false)")
            #expect(result["removed"] == "true")
            #expect(try Pidfd.reapIfEnded(bystander.pidfd.raw) == nil)
            try Pidfd.send(.kill, to: bystander.pidfd.raw)
            _ = try bystander.end()
        }
    }

    @Test func limitsOfTheContainerHoldInside() throws {
        try LoadedGroup.with(.init(memory: .hard(32 << 20), pids: .init(limit: 50))) { loaded in
            let subgroup = try loaded.group.makeSubgroup("exec-")
            #expect(subgroup.path.hasPrefix(loaded.path + "/exec-"))
            let result = try Probe.run("subgroup-hog", loaded.path)
            #expect(result["child"] == "signaled(9, core: false)", "\(result.output)")
            #expect(try loaded.group.outOfMemoryVerdict() == OutOfMemoryVerdict(kills: 1, owner: loaded.path))
            #expect(try subgroup.removeIfEmpty())
            // A second time is fine.
            #expect(try subgroup.removeIfEmpty())
        }
    }

    /// As when a systemd inside of the container has spread itself: no process may be in the group itself any more.
    @Test(.enabled(if: Machine.isUnified, "the host has no controllers in cgroup v2"))
    func controllersHandedOnInsideDoNotKeepAnybodyOut() throws {
        try LoadedGroup.with { loaded in
            let own = CgroupTree.defaultRoot + loaded.path
            let inner = try LoadedGroup.spawn(["wait"])
            try File.makeDirectory(own + "/init.scope", mode: 0o755)
            try File.writeOnce(own + "/init.scope/cgroup.procs", String(inner.pid))
            try File.writeOnce(own + "/cgroup.subtree_control", "+memory +pids")
            // The group itself takes nobody.
            let stranger = try LoadedGroup.spawn(["wait"])
            #expect(throws: CgroupError.self) { try loaded.group.add(stranger.pid) }
            let result = try tree(loaded.path)
            #expect(result["error"] == nil, "\(result.output)")
            #expect(result["verified"] == "true")
            #expect(result["inside"] == "2")
            #expect(result["removed"] == "true")
            for work in [inner, stranger] {
                try Pidfd.send(.kill, to: work.pidfd.raw)
                _ = try work.end()
            }
        }
    }

    @Test(.enabled(if: Machine.isUnified, "the host has no controllers in cgroup v2"))
    func delegatedFilesBelongToTheContainersRoot() throws {
        try LoadedGroup.with { loaded in
            try loaded.group.delegate(uid: 100_000, gid: 100_001)
            let own = CgroupTree.defaultRoot + loaded.path
            for name in ["", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"] {
                let status = try File.status(own + name)
                #expect(status.uid == 100_000 && status.gid == 100_001, "\(name)")
            }
            // Limits stay the host's.
            #expect(try File.status(own + "/memory.max").uid == 0)
            #expect(try File.status(own + "/pids.max").uid == 0)
        }
    }
}
