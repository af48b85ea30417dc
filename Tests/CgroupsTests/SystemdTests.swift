import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Testing

@Suite struct SystemdNameTests {
    @Test(arguments: [
        ("a-b.slice:cri:web", "/a.slice/a-b.slice/cri-web.scope"), ("::web", "/system.slice/web.scope"),
        ("-.slice:p:n", "/p-n.scope"), ("a-b-c.slice::x-y", "/a.slice/a-b.slice/a-b-c.slice/x-y.scope"),
    ]) func dashesInASliceAreLevels(name: String, path: String) throws {
        #expect(try SystemdScopeName(name).path == path)
    }

    @Test(arguments: [
        "", "/berth/web", "a.slice:web", "a:b:c", "a--b.slice:p:n", "-a.slice:p:n", "a-.slice:p:n", ".slice:p:n",
        "a/b.slice:p:n", "system.slice:p/q:n", "system.slice:p:", "system.slice:p:n/../m", "system.slice:p:n:m",
        "system.slice:p:n m", "../x.slice:p:n",
    ]) func badNamesAreRefused(name: String) {
        let error = #expect(throws: CgroupError.self) { _ = try SystemdScopeName(name) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.field == "cgroupsPath")
    }
}

/// On a host that systemd manages.
@Suite(.enabled(if: File.exists("/run/systemd/private"), "systemd does not run here"), .serialized)
struct SystemdScopeTests {
    let tree: CgroupTree
    let manager: CgroupManager
    let name = "berthtest-\(Random.hex(4)).slice:berth:\(Random.hex(4))"

    init() throws {
        tree = try CgroupTree()
        manager = .systemd(helper: try Probe.path().replacing("kernel-probe", with: "berth-scope"))
    }

    private func withScope(_ resources: RuntimeSpec.Resources, _ body: (any Cgroup) throws -> Void) throws {
        let group = try manager.create(name, resources, owner: "test", in: tree)
        defer {
            do {
                _ = try group.killAll(timeout: .seconds(20))
                try group.remove(timeout: .seconds(20))
            } catch {
                Issue.record(error)
            }
        }
        try body(group)
    }

    /// A process that is put inside and seen there.
    private func inhabit(_ group: any Cgroup, _ arguments: String...) throws -> LoadedGroup.Work {
        let entrance = try group.entrance()
        let work = try LoadedGroup.spawn(arguments.isEmpty ? ["wait"] : arguments)
        try group.add(work.pid)
        try entrance.verify(work.pidfd, pid: work.pid)
        return work
    }

    private func systemctl(_ arguments: String...) throws -> String {
        let (output, writer) = try Pipe().ends()
        var spawn = Spawn(arguments: ["systemctl"] + arguments, environment: ["PATH=/usr/bin:/bin"])
        spawn.descriptors = [1: writer.raw, 2: 2]
        let child = try withExtendedLifetime(writer) { try spawn.start("/usr/bin/systemctl") }
        _ = consume writer
        let text = String(decoding: try output.readToEnd(limit: 1 << 20), as: UTF8.self)
        #expect(try child.pidfd.wait() == .exited(0), "systemctl \(arguments)")
        return text
    }

    private func file(_ group: any Cgroup, _ name: String) throws -> String {
        try File.readText("\(CgroupTree.defaultRoot)\(group.path)/\(name)").filter { $0 != "\n" }
    }

    private static let devices = [
        RuntimeSpec.DeviceRule(allow: false), .init(allow: true, type: "c", access: "m"),
        .init(allow: true, type: "c", major: 1, minor: 3, access: "rwm"),
        .init(allow: true, type: "c", major: 136, access: "rwm"),
    ]

    private func expectDevices(_ group: any Cgroup, _ when: String) throws {
        let result = try Probe.run("cgroup", group.path)
        #expect(result["null.both"] == "allowed", "\(when): \(result.output)")
        #expect(result["full.read"] == "refused", "\(when)")
    }

    @Test(.enabled(if: Machine.isUnified, "the host has cgroup v1")) func reloadChangesNothing() throws {
        let resources = RuntimeSpec.Resources(
            devices: Self.devices,
            memory: .init(limit: 64 << 20, reservation: 16 << 20, swap: 96 << 20),
            cpu: .init(shares: 512, quota: 35000, period: 70000, cpus: "0"),
            pids: .init(limit: 33),
            unified: ["memory.high": String(48 << 20)]
        )
        let expected = [
            "memory.max": String(64 << 20), "memory.low": String(16 << 20), "memory.swap.max": String(32 << 20),
            "memory.high": String(48 << 20), "cpu.weight": "20", "cpu.max": "35000 70000", "cpuset.cpus": "0",
            // And one for who keeps the scope.
            "pids.max": "34",
        ]
        try withScope(resources) { group in
            #expect(group.path == (try SystemdScopeName(name).path))
            let work = try inhabit(group)
            // Who keeps the scope is neither listed nor counted.
            #expect(try group.processes() == [work.pid])
            let counted = try group.statistics().pids
            #expect(counted.current == 1 && counted.limit == 33)
            for (name, value) in expected { #expect(try file(group, name) == value, "\(name)") }
            try expectDevices(group, "at first")
            _ = try systemctl("daemon-reload")
            for (name, value) in expected { #expect(try file(group, name) == value, "\(name) after a reload") }
            try expectDevices(group, "after a reload")
            #expect(try group.processes() == [work.pid])
            let unit = try SystemdScopeName(name).unit
            #expect(try systemctl("show", unit, "-p", "MemoryMax").hasPrefix("MemoryMax=\(64 << 20)"))
            #expect(try systemctl("show", unit, "-p", "Delegate").hasPrefix("Delegate=yes"))
        }
        #expect(throws: CgroupError.self) { _ = try manager.open(name, in: tree) }
    }

    @Test(.enabled(if: Machine.isUnified, "the host has cgroup v1")) func updatesReachSystemdToo() throws {
        try withScope(.init(memory: .init(limit: 64 << 20), pids: .init(limit: 20))) { group in
            let work = try inhabit(group)
            try work.begin()
            // Also by somebody who finds the scope later.
            let found = try manager.open(name, in: tree)
            try found.apply(.init(memory: .init(limit: 128 << 20), cpu: .init(quota: 50000), pids: .init(limit: -1)))
            try found.apply(.init(devices: Self.devices))
            _ = try systemctl("daemon-reload")
            #expect(try file(group, "memory.max") == String(128 << 20))
            #expect(try file(group, "cpu.max") == "50000 100000")
            #expect(try file(group, "pids.max") == "max")
            try expectDevices(group, "after an update and a reload")
            // Groups inside are the container's own business, and systemd lets them be.
            let subgroup = try group.makeSubgroup("exec-")
            _ = try systemctl("daemon-reload")
            #expect(try subgroup.removeIfEmpty())
        }
    }

    @Test func everythingIsAllowedWhereTheRulesSaySo() throws {
        try withScope(.init(devices: [.init(allow: true)])) { group in
            let work = try inhabit(group)
            _ = try systemctl("daemon-reload")
            let result = try Probe.run("cgroup", group.path)
            #expect(result["null.both"] == "allowed", "\(result.output)")
            #expect(result["full.read"] == "allowed")
            #expect(try group.processes() == [work.pid])
        }
    }

    @Test func nameThatIsTakenIsSaid() throws {
        try withScope(.init()) { group in
            let work = try inhabit(group)
            let error = #expect(throws: CgroupError.self) {
                _ = try manager.create(name, .init(), owner: "test", in: tree)
            }
            #expect(error?.code == .alreadyExists)
            #expect(try group.processes() == [work.pid])
        }
    }

    /// When the last process of a scope has ended systemd takes it away, and with it what it says of memory.
    @Test func verdictWaitsForWhoAsks() throws {
        for round in 1...20 {
            try withScope(.init(memory: .hard(16 << 20))) { group in
                let work = try inhabit(group, "memory", "64")
                try work.begin()
                #expect(try work.end().status == .signaled(9, core: false), "round \(round)")
                // systemd has looked at all that happened before it answers.
                _ = try systemctl("show", SystemdScopeName(name).unit, "-p", "ActiveState")
                #expect(try group.processes().isEmpty)
                let found = try manager.open(name, in: tree)
                for (isMaker, group) in [(true, group), (false, found)] {
                    let verdict = try group.outOfMemoryVerdict()
                    // In version 1 only who was there from the beginning has heard whose limit it was.
                    let owner = isMaker || Machine.isUnified ? group.path : ""
                    #expect(verdict.kills == 1 && verdict.owner == owner, "round \(round): \(verdict)")
                }
                // That all are killed, whoever keeps the scope too, takes nothing back.
                #expect(try group.killAll(timeout: .seconds(20)).isEmpty)
                _ = try systemctl("show", SystemdScopeName(name).unit, "-p", "ActiveState")
                #expect(try group.outOfMemoryVerdict().kills == 1, "round \(round)")
            }
            #expect(throws: CgroupError.self) { _ = try manager.open(name, in: tree) }
        }
    }

    @Test func allTasksOfALimitAreTheContainers() throws {
        try withScope(.init(pids: .init(limit: 5))) { group in
            let work = try inhabit(group, "forks", "10")
            try work.begin()
            let output = try work.end().output
            // The process itself and four children.
            #expect(output.value("made") == "4", "\(output)")
        }
    }

    @Test func scopeOfNobodyIsGone() throws {
        let group = try manager.create(name, .init(), owner: "test", in: tree)
        try group.remove(timeout: .seconds(20))
        #expect(throws: CgroupError.self) { _ = try manager.open(name, in: tree) }
        // Removing again is fine.
        try group.remove(timeout: .seconds(20))
    }
}
