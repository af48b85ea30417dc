import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Testing

@Suite final class LimitTests {
    private var kept: [Scratch] = []

    private func fake() throws -> FakeTree {
        kept.append(try Scratch())
        return try FakeTree(kept[kept.count - 1])
    }

    private func v1() throws -> (FakeTree, any Cgroup) {
        let tree = try fake()
        let group = "berth/c"
        try tree.v1(
            "memory",
            group: group,
            files: [
                "memory.limit_in_bytes": "", "memory.memsw.limit_in_bytes": "", "memory.soft_limit_in_bytes": "",
                "memory.kmem.limit_in_bytes": "", "memory.kmem.tcp.limit_in_bytes": "", "memory.oom_control": "",
                "memory.use_hierarchy": "1\n",
            ]
        )
        try tree.v1(
            "cpu",
            group: group,
            files: [
                "cpu.shares": "", "cpu.cfs_period_us": "", "cpu.cfs_quota_us": "", "cpu.cfs_burst_us": "",
                "cpu.idle": "", "cpu.rt_period_us": "", "cpu.rt_runtime_us": "",
            ]
        )
        try tree.v1("pids", group: group, files: ["pids.max": ""])
        try tree.v1("devices", group: group, files: ["devices.allow": "", "devices.deny": ""])
        try tree.v1(
            "blkio",
            group: group,
            files: [
                "blkio.bfq.weight": "", "blkio.bfq.weight_device": "", "blkio.leaf_weight": "",
                "blkio.leaf_weight_device": "", "blkio.throttle.write_iops_device": "",
            ]
        )
        return (tree, try CgroupTree(root: tree.root).open(group))
    }

    private func v2() throws -> (FakeTree, any Cgroup) {
        let tree = try fake()
        let files = [
            "memory.max": "", "memory.swap.max": "", "memory.low": "", "cpu.weight": "", "cpu.max": "max 100000",
            "pids.max": "",
            "io.weight": "", "io.bfq.weight": "", "io.max": "", "hugetlb.2MB.max": "", "hugetlb.2MB.rsvd.max": "",
            "cpu.max.burst": "", "cpu.idle": "", "rdma.max": "", "memory.high": "",
        ]
        try tree.v2(group: "berth/c", controllers: "cpu memory pids io", files: files)
        return (tree, try CgroupTree(root: tree.root).open("berth/c"))
    }

    private func refusal(_ group: any Cgroup, _ resources: RuntimeSpec.Resources) -> CgroupError? {
        do throws(CgroupError) { try group.apply(resources) } catch { return error }
        return nil
    }

    @Test func layoutIsFound() throws {
        let (one, _) = try v1()
        #expect(try CgroupTree(root: one.root).layout == .v1)
        #expect(try CgroupTree(root: one.root).controllers == ["memory", "cpu", "pids", "devices", "blkio"])
        let (two, _) = try v2()
        #expect(try CgroupTree(root: two.root).layout == .v2)
        #expect(throws: CgroupError.self) { _ = try CgroupTree(root: "/usr") }
        let error = #expect(throws: CgroupError.self) { _ = try CgroupTree(root: one.root).open("nobody") }
        #expect(error?.code == .notFound)
    }

    @Test(arguments: ["", "/", "..", "/a/../b", "a/./b"]) func pathsOutsideAreRefused(path: String) throws {
        let error = #expect(throws: CgroupError.self) {
            _ = try CgroupTree(root: v1().0.root).create(path, owner: "test")
        }
        #expect(error?.code == .invalidArgument)
    }

    @Test func versionOneFilesGetTheValues() throws {
        let (tree, group) = try v1()
        try group.apply(
            RuntimeSpec.Resources(
                memory: .init(limit: 1000, swap: 2000),
                cpu: .init(shares: 512, quota: 50000, period: 100_000),
                pids: .init(limit: -1),
                blockIO: .init(weight: 300)
            )
        )
        #expect(try tree.read("memory/berth/c/memory.limit_in_bytes") == "1000")
        #expect(try tree.read("memory/berth/c/memory.memsw.limit_in_bytes") == "2000")
        #expect(try tree.read("cpu/berth/c/cpu.shares") == "512")
        #expect(try tree.read("cpu/berth/c/cpu.cfs_quota_us") == "50000")
        #expect(try tree.read("pids/berth/c/pids.max") == "max")
        #expect(try tree.read("blkio/berth/c/blkio.bfq.weight") == "300")
    }

    @Test func versionOneTakesTheRarerFields() throws {
        let (tree, group) = try v1()
        try group.apply(
            RuntimeSpec.Resources(
                memory: .init(
                    reservation: 500,
                    kernel: 4096,
                    kernelTCP: 8192,
                    disableOOMKiller: true,
                    useHierarchy: true
                ),
                cpu: .init(quota: 20000, burst: 10000, realtimeRuntime: 1000, realtimePeriod: 2000, idle: 1),
                blockIO: .init(
                    leafWeight: 20,
                    weightDevice: [.init(major: 8, minor: 0, weight: 30, leafWeight: 40)],
                    throttleWriteIOPSDevice: [.init(major: 8, minor: 16, rate: 0)]
                )
            )
        )
        for (file, value) in [
            ("memory/berth/c/memory.soft_limit_in_bytes", "500"), ("memory/berth/c/memory.kmem.limit_in_bytes", "4096"),
            ("memory/berth/c/memory.kmem.tcp.limit_in_bytes", "8192"), ("memory/berth/c/memory.oom_control", "1"),
            ("cpu/berth/c/cpu.cfs_burst_us", "10000"), ("cpu/berth/c/cpu.rt_runtime_us", "1000"),
            ("cpu/berth/c/cpu.rt_period_us", "2000"), ("cpu/berth/c/cpu.idle", "1"),
            ("blkio/berth/c/blkio.leaf_weight", "20"), ("blkio/berth/c/blkio.bfq.weight_device", "8:0 30"),
            ("blkio/berth/c/blkio.leaf_weight_device", "8:0 40"),
            ("blkio/berth/c/blkio.throttle.write_iops_device", "8:16 0"),
        ] {
            #expect(try tree.read(file) == value, "\(file)")
        }
    }

    @Test func unifiedFilesWithACounterpartAreConverted() throws {
        let (tree, group) = try v1()
        try group.apply(
            .init(
                unified: [
                    "memory.max": "64M", "memory.swap.max": "1M", "pids.max": "max", "cpu.max": "20000 50000",
                    "cpu.weight": "39",
                ]
            )
        )
        #expect(try tree.read("memory/berth/c/memory.limit_in_bytes") == String(64 << 20))
        #expect(try tree.read("memory/berth/c/memory.memsw.limit_in_bytes") == String(65 << 20))
        #expect(try tree.read("pids/berth/c/pids.max") == "max")
        #expect(try tree.read("cpu/berth/c/cpu.cfs_quota_us") == "20000")
        #expect(try tree.read("cpu/berth/c/cpu.cfs_period_us") == "50000")
        // The smallest number of shares that v2 would call 39.
        #expect(try tree.read("cpu/berth/c/cpu.shares") == "999")
        #expect(refusal(group, .init(unified: ["pids.max": "many"]))?.field == "unified.pids.max")
        #expect(refusal(group, .init(unified: ["cpu.max.burst": "max"]))?.field == "unified.cpu.max.burst")
        #expect(refusal(group, .init(unified: ["cpu.max": "100000 max"]))?.field == "unified.cpu.max")
    }

    @Test func valuesOutOfRangeAreRefusedByBoth() throws {
        for group in [try v1().1, try v2().1] {
            for (resources, field) in [
                (RuntimeSpec.Resources(memory: .init(limit: -2)), "memory.limit"),
                (.init(memory: .init(swappiness: 101)), "memory.swappiness"),
                (.init(cpu: .init(idle: 2)), "cpu.idle"), (.init(pids: .init(limit: -2)), "pids.limit"),
                (.init(blockIO: .init(weight: 9)), "blockIO.weight"),
                (.init(hugepageLimits: [.init(pageSize: "../2MB", limit: 1)]), "hugepageLimits"),
            ] {
                let error = refusal(group, resources)
                #expect(error?.code == .invalidArgument)
                #expect(error?.field == field)
            }
        }
    }

    @Test func nothingIsWrittenForWhatNobodySet() throws {
        let (tree, group) = try v2()
        try group.apply(.init(memory: .init(limit: 0, swap: 0), cpu: .init(shares: 0, quota: 0, period: 0, cpus: "")))
        #expect(try tree.read("berth/c/memory.max") == "")
        #expect(try tree.read("berth/c/memory.swap.max") == "")
        // Without a memory limit there is none for both together either.
        try group.apply(.init(memory: .init(limit: -1)))
        #expect(try tree.read("berth/c/memory.swap.max") == "max")
    }

    @Test func deviceRulesAreWrittenInTheKernelsForm() throws {
        let (tree, group) = try v1()
        try group.apply(RuntimeSpec.Resources(devices: [.init(allow: false)]))
        #expect(try tree.read("devices/berth/c/devices.deny") == "a *:* rwm")
        try group.apply(
            RuntimeSpec.Resources(devices: [.init(allow: true, type: "c", major: 1, minor: 3, access: "rw")])
        )
        #expect(try tree.read("devices/berth/c/devices.allow") == "c 1:3 rw")
        for bad in [
            RuntimeSpec.DeviceRule(allow: true, type: "x"), .init(allow: true, type: "c", access: "rwz"),
            .init(allow: true, access: ""),
        ] {
            #expect(refusal(group, .init(devices: [bad]))?.code == .invalidArgument)
        }
    }

    @Test func whatTheHostLacksIsNamed() throws {
        let (_, one) = try v1()
        for (resources, field) in [
            (RuntimeSpec.Resources(cpu: .init(cpus: "0")), "cpu.cpus"),
            (.init(memory: .init(swappiness: 10)), "memory.swappiness"),
            (.init(hugepageLimits: [.init(pageSize: "2MB", limit: 0)]), "hugepageLimits"),
            (.init(network: .init(classID: 1)), "network.classID"),
            (.init(rdma: ["mlx": .init(hcaHandles: 1)]), "rdma"),
            (.init(unified: ["memory.high": "1"]), "unified.memory.high"),
            (.init(unified: ["memory.swap.max": "1"]), "unified.memory.swap.max"),
            (.init(unified: ["io.weight": "1"]), "unified.io.weight"),
        ] {
            let error = refusal(one, resources)
            #expect(error?.code == .unsupported)
            #expect(error?.field == field)
        }
        let (_, two) = try v2()
        for (resources, field) in [
            (RuntimeSpec.Resources(memory: .init(swappiness: 10)), "memory.swappiness"),
            (.init(memory: .init(disableOOMKiller: true)), "memory.disableOOMKiller"),
            (.init(cpu: .init(realtimeRuntime: 1)), "cpu.realtimeRuntime"),
            (.init(cpu: .init(cpus: "0")), "cpu.cpus"),
            (.init(network: .init(classID: 1)), "network.classID"),
            (.init(network: .init(priorities: [.init(name: "eth0", priority: 1)])), "network.priorities"),
            (.init(memory: .init(kernel: 1000)), "memory.kernel"),
            (.init(memory: .init(kernelTCP: 1000)), "memory.kernelTCP"),
            (.init(memory: .init(useHierarchy: false)), "memory.useHierarchy"),
            (.init(cpu: .init(realtimePeriod: 1)), "cpu.realtimePeriod"),
            (.init(blockIO: .init(leafWeight: 10)), "blockIO.leafWeight"),
            (.init(unified: ["misc.max": "1"]), "unified.misc.max"),
        ] {
            let error = refusal(two, resources)
            #expect(error?.code == .unsupported)
            #expect(error?.field == field)
        }
    }

    @Test func swapBelowMemoryIsRefused() throws {
        #expect(refusal(try v1().1, .init(memory: .init(limit: 1000, swap: 500)))?.field == "memory.swap")
        #expect(refusal(try v2().1, .init(memory: .init(limit: 1000, swap: 500)))?.field == "memory.swap")
        #expect(refusal(try v2().1, .init(memory: .init(limit: -1, swap: 500)))?.code == .invalidArgument)
    }

    @Test func versionTwoFilesGetTranslatedValues() throws {
        let (tree, group) = try v2()
        try group.apply(
            RuntimeSpec.Resources(
                memory: .init(limit: 1000, reservation: 500, swap: 3000),
                cpu: .init(shares: 1024, quota: 50000),
                pids: .init(limit: 0),
                blockIO: .init(weight: 1000, throttleReadBpsDevice: [.init(major: 8, minor: 0, rate: 5)]),
                hugepageLimits: [.init(pageSize: "2MB", limit: 4)]
            )
        )
        #expect(try tree.read("berth/c/memory.max") == "1000")
        #expect(try tree.read("berth/c/memory.low") == "500")
        #expect(try tree.read("berth/c/memory.swap.max") == "2000")
        #expect(try tree.read("berth/c/cpu.weight") == "39")
        #expect(try tree.read("berth/c/cpu.max") == "50000 100000")
        #expect(try tree.read("berth/c/pids.max") == "0")
        #expect(try tree.read("berth/c/io.weight") == "10000")
        #expect(try tree.read("berth/c/io.max") == "8:0 rbps=5")
        #expect(try tree.read("berth/c/io.bfq.weight") == "1000")
        #expect(try tree.read("berth/c/hugetlb.2MB.rsvd.max") == "4")
        try group.apply(
            RuntimeSpec.Resources(
                cpu: .init(quota: 20000, burst: 10000, period: 50000, idle: 1),
                blockIO: .init(weightDevice: [.init(major: 8, minor: 0, weight: 10)]),
                rdma: ["mlx": .init(hcaHandles: 2, hcaObjects: 3)],
                unified: ["memory.high": "77"]
            )
        )
        // A plain file keeps the tail of what was longer.
        #expect(try tree.read("berth/c/cpu.max").hasPrefix("20000 50000"))
        #expect(try tree.read("berth/c/cpu.max.burst") == "10000")
        #expect(try tree.read("berth/c/cpu.idle") == "1")
        #expect(try tree.read("berth/c/io.weight").hasPrefix("8:0 1"))
        #expect(try tree.read("berth/c/rdma.max") == "mlx hca_handle=2 hca_object=3")
        #expect(try tree.read("berth/c/memory.high") == "77")
        #expect(refusal(group, .init(unified: ["cgroup.procs": "1"]))?.code == .invalidArgument)
        #expect(refusal(group, .init(unified: ["../../x": "1"]))?.code == .invalidArgument)
    }

    @Test func checkedLimitBelowTheUsageIsRefused() throws {
        let tree = try fake()
        try tree.v2(
            group: "g",
            controllers: "memory",
            files: ["memory.max": "", "memory.current": "5000\n", "cpu.stat": ""]
        )
        let group = try CgroupTree(root: tree.root).open("g")
        let error = refusal(group, .init(memory: .init(limit: 4999, checkBeforeUpdate: true)))
        #expect(error?.code == .failedPrecondition)
        #expect(refusal(group, .init(memory: .init(limit: 5000, checkBeforeUpdate: true))) == nil)
    }
}
