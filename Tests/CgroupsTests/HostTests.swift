import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// On the host's own hierarchies, in groups of the test's own that are removed again.
@Suite struct HostTests {
    let path = "/berth-test-\(Random.hex(6))"
    let tree: CgroupTree

    init() throws { tree = try CgroupTree() }

    /// Runs with a group and removes it whatever happens.
    private func withGroup(_ path: String, _ body: (any Cgroup) throws -> Void) throws {
        let group = try tree.create(path, owner: "test")
        defer {
            do {
                _ = try group.killAll(timeout: .seconds(5))
                try group.remove(timeout: .seconds(5))
            } catch {
                Issue.record(error)
            }
        }
        try body(group)
    }

    /// A child of the test's own that waits for the end of its input.
    private func waiter(_ body: (borrowing Child, SharedDescriptor) throws -> Void) throws {
        let (reader, writer) = try Pipe().ends()
        var spawn = Spawn(arguments: ["kernel-probe", "wait"])
        spawn.descriptors[0] = reader.raw
        let child = try spawn.start(Probe.path())
        do { try body(child, writer) } catch {
            try child.pidfd.send(.kill)
            try child.pidfd.wait()
            throw error
        }
        try child.pidfd.send(.kill)
        _ = try? child.pidfd.wait()
    }

    @Test func childEntersEveryHierarchyByItself() throws {
        try withGroup(path) { group in
            let result = try Probe.run("cgroup", path)
            #expect(result["error"] == nil, "\(result.output)")
            #expect(result["child"] == "exited(0)")
            let lines = try #require(result["cgroups"]).split(separator: ";")
            #expect(!lines.isEmpty)
            for line in lines { #expect(line.hasSuffix(path), "\(line)") }
            #expect(try group.processes().isEmpty)
        }
        #expect(throws: CgroupError.self) { _ = try tree.open(path) }
    }

    @Test func nestedPathsAreMadeAndReplaced() throws {
        let nested = path + "/a/b"
        try withGroup(path) { _ in
            try withGroup(nested) { group in
                try group.apply(.init(pids: .init(limit: 5)))
                #expect(try group.statistics().pids.limit == 5)
                // A left-over without processes is replaced and its limit forgotten.
                #expect(try tree.create(nested, owner: "test").statistics().pids.limit == nil)
            }
            try withGroup(nested) { group in
                try waiter { child, _ in
                    try group.add(child.pid)
                    // Neither the group itself nor one above it can be replaced.
                    for taken in [nested, path] {
                        let error = #expect(throws: CgroupError.self) { _ = try tree.create(taken, owner: "test") }
                        #expect(error?.code == .alreadyExists)
                    }
                }
            }
        }
    }

    @Test func limitsReachTheKernel() throws {
        try withGroup(path) { group in
            try group.apply(
                RuntimeSpec.Resources(
                    devices: [.init(allow: false), .init(allow: true, type: "c", major: 1, minor: 3, access: "rwm")],
                    memory: .init(limit: 64 << 20, reservation: 32 << 20, swap: 128 << 20),
                    cpu: .init(shares: 100, quota: 20000, period: 50000, cpus: "0"),
                    pids: .init(limit: 7)
                )
            )
            let statistics = try group.statistics()
            #expect(statistics.memory.limit == 64 << 20)
            #expect(statistics.pids.limit == 7)
            // Up and down again, which needs both orders of memory and memory+swap.
            try group.apply(.init(memory: .init(limit: 256 << 20, swap: 512 << 20)))
            try group.apply(.init(memory: .init(limit: 16 << 20, swap: 16 << 20)))
            #expect(try group.statistics().memory.limit == 16 << 20)
            let error = #expect(throws: CgroupError.self) { _ = try group.apply(.init(cpu: .init(cpus: "4000"))) }
            #expect(error?.field == "cpu.cpus")
        }
    }

    @Test func whatThisKernelIgnoresIsRefused() throws {
        try withGroup(path) { group in
            let fields: [(RuntimeSpec.Memory, String)] = [
                (.init(kernel: 1 << 20), "memory.kernel"), (.init(useHierarchy: false), "memory.useHierarchy"),
            ]
            for (memory, field) in fields {
                let error = #expect(throws: CgroupError.self) { try group.apply(.init(memory: memory)) }
                #expect(error?.code == .unsupported)
                #expect(error?.field == field)
            }
            try group.apply(.init(memory: .init(kernel: -1, useHierarchy: true)))
        }
    }

    @Test func burstGoesUpAndDownWithTheQuota() throws {
        try withGroup(path) { group in
            for quota in [50000, 10000, 100_000] as [Int64] {
                try group.apply(.init(cpu: .init(quota: quota, burst: UInt64(quota) / 2, period: 50000)))
            }
            let error = #expect(throws: CgroupError.self) {
                try group.apply(.init(cpu: .init(quota: 10000, burst: 20000)))
            }
            #expect(error?.field == "cpu.burst")
            try group.apply(.init(cpu: .init(shares: 2, idle: 1)))
            try group.apply(.init(cpu: .init(shares: 2048, idle: 0)))
        }
    }

    @Test func frozenProcessesStopAndAreKilled() throws {
        try withGroup(path) { group in
            try waiter { child, writer in
                try group.add(child.pid)
                #expect(try group.processes() == [child.pid])
                try group.freeze()
                #expect(try group.isFrozen())
                try group.thaw()
                #expect(try !group.isFrozen())
                try group.freeze()
                // Nobody reaps yet, so the dead process may still be listed; it must be dead in any case.
                _ = try group.killAll(timeout: .milliseconds(200))
                #expect(try child.pidfd.wait() == .signaled(9, core: false))
            }
            #expect(try group.killAll(timeout: .zero).isEmpty)
        }
    }

    /// Whether v1 hierarchies are mounted, with a v2 one beside them that the helper can hide from itself.
    static let isHybrid = File.exists(CgroupTree.defaultRoot + "/unified/cgroup.procs")

    @Test(.enabled(if: isHybrid, "the host has no v1 hierarchies")) func plainVersionOneDoesTheSame() throws {
        defer {
            // Left over only when the helper failed.
            if let group = try? tree.open(path) {
                _ = try? group.killAll(timeout: .seconds(5))
                try? group.remove(timeout: .seconds(5))
            }
        }
        let result = try Probe.run("plain-v1", path)
        #expect(result["error"] == nil, "\(result.output)")
        #expect(result["directory"] == "false")
        #expect(result["frozen"] == "true")
        #expect(result["running"] == "true")
        #expect(result["child"] == "signaled(9, core: false)")
        #expect(result["left"] == "0")
        #expect(result["frozenAfterwards"] == "false")
        #expect(result["removed"] == "true")
    }

    /// A hundred groups in each other: who is in the innermost is seen, killed, and goes with the group.
    @Test(.enabled(if: isHybrid, "the host has no v1 hierarchies")) func depthHidesNobodyInVersionOne() throws {
        let result = try Probe.run("deep-v1", path)
        #expect(result["error"] == nil, "\(result.output)")
        #expect(result["listed"] == "true")
        #expect(result["ended"] == "true")
        #expect(result["left"] == "0")
        #expect(result["child"] == "signaled(9, core: false)")
        #expect(result["removed"] == "true")
    }

    @Test(.enabled(if: Machine.hasUnified, "the host has no cgroup v2")) func depthHidesNobodyInVersionTwo() throws {
        let root = DeviceFilterTests.unified
        let group = try CgroupTree(root: root).create(path, owner: "test")
        let inner = root + path + String(repeating: "/d", count: 100)
        try File.makeDirectories(inner, mode: 0o755)
        try waiter { child, _ in
            try File.writeOnce("\(inner)/cgroup.procs", String(child.pid))
            #expect(try group.processes() == [child.pid])
            _ = try group.killAll(timeout: .milliseconds(500))
            #expect(try !child.pidfd.poll(for: .readable, timeout: .seconds(5)).isEmpty)
        }
        try group.remove(timeout: .seconds(5))
        #expect(!File.exists(root + path))
    }

    @Test(.enabled(if: Machine.hasUnified, "the host has no cgroup v2"))
    func unifiedHierarchyAloneDoesTheSame() throws {
        let tree = try CgroupTree(root: DeviceFilterTests.unified)
        #expect(tree.layout == .v2)
        let group = try tree.create(path + "/inner", owner: "test")
        try waiter { child, _ in
            try group.add(child.pid)
            #expect(try tree.open(path).processes() == [child.pid])
            try group.freeze()
            #expect(try group.isFrozen())
            // Killing the outer group takes the inner one's frozen process with it.
            _ = try tree.open(path).killAll(timeout: .milliseconds(200))
            #expect(try child.pidfd.wait() == .signaled(9, core: false))
            #expect(try group.statistics().cpu.usage > 0)
            #expect(try group.outOfMemoryVerdict().killed == false)
        }
        try tree.open(path).remove(timeout: .seconds(5))
        #expect(throws: CgroupError.self) { _ = try tree.open(path) }
    }

    @Test func removalWithAProcessInsideSaysSo() throws {
        try withGroup(path) { group in
            try waiter { child, _ in
                try group.add(child.pid)
                let error = #expect(throws: CgroupError.self) { _ = try group.remove(timeout: .milliseconds(20)) }
                #expect(error?.code == .failedPrecondition)
            }
        }
    }

    @Test func memoryHogIsKilledAtItsOwnLimit() throws {
        try withGroup(path) { group in
            try group.apply(.init(memory: .hard(32 << 20)))
            let (reader, writer) = try Pipe().ends()
            var spawn = Spawn(arguments: ["kernel-probe", "hog"])
            spawn.descriptors[0] = reader.raw
            let child = try spawn.start(Probe.path())
            try group.add(child.pid)
            #expect(try group.outOfMemoryVerdict().killed == false)
            try writer.writeAll("go")
            #expect(try child.pidfd.wait() == .signaled(9, core: false))
            let verdict = try group.outOfMemoryVerdict()
            #expect(verdict.killed)
            #expect(verdict.owner == path)
        }
    }
}
