import Cgroups
import ProbeSupport
import Testing

@Suite struct StatisticsTests {
    let scratch: Scratch
    let tree: FakeTree

    init() throws {
        scratch = try Scratch()
        tree = try FakeTree(scratch)
    }

    @Test func versionTwoFilesAreRead() throws {
        try tree.v2(
            group: "g",
            controllers: "memory cpu io pids hugetlb rdma",
            files: [
                "cpu.stat":
                    "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 4\nnr_throttled 1\nthrottled_usec 7\n"
                    + "nr_bursts 2\nburst_usec 9\n",
                "memory.current": "4096\n", "memory.peak": "8192\n", "memory.max": "max\n",
                "memory.swap.current": "12\n",
                "memory.stat": "anon 100\nfile 200\n", "memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n",
                "memory.events.local": "oom 1\n", "pids.current": "5\n", "pids.max": "10\n",
                "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n7:1\n",
                "memory.pressure":
                    "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=7\n",
                "memory.swap.max": "max\n", "hugetlb.2MB.current": "4194304\n", "hugetlb.2MB.max": "max\n",
                "hugetlb.2MB.events": "max 3\n", "rdma.current": "mlx4_0 hca_handle=2 hca_object=2000\n",
                "rdma.max": "mlx4_0 hca_handle=3 hca_object=max\n",
            ]
        )
        let group = try CgroupTree(root: tree.root).open("g")
        let statistics = try group.statistics()
        #expect(statistics.cpu.usage == 5_000_000)
        #expect(statistics.cpu.throttledTime == 7000)
        #expect(statistics.memory.usage == 4096)
        #expect(statistics.memory.maximumUsage == 8192)
        #expect(statistics.memory.limit == nil)
        #expect(statistics.memory.failures == 3)
        #expect(statistics.memory.details["file"] == 200)
        #expect(statistics.pids.limit == 10)
        #expect(statistics.blockIO.map(\.major) == [8, 7])
        #expect(statistics.blockIO[0].writtenBytes == 2)
        #expect(statistics.cpu.burstTime == 9000)
        #expect(statistics.memory.pressure?.some.average10 == 1.5)
        #expect(statistics.memory.pressure?.full.total == 7)
        #expect(statistics.cpu.pressure == nil)
        #expect(statistics.memory.events["oom_kill"] == 2)
        #expect(statistics.rdma.first?.current.objects == 2000)
        #expect(statistics.rdma.first?.limit.handles == 3)
        #expect(statistics.rdma.first?.limit.objects == nil)
        // Sizes are those of the machine, and every x86 machine has this one.
        let pages = statistics.hugePages.first { $0.pageSize == "2MB" }
        #expect(pages?.counter.usage == 4_194_304)
        #expect(pages?.counter.limit == nil)
        #expect(pages?.counter.failures == 3)
        // What is read again is read anew from the same descriptor.
        try tree.rewrite("g/memory.current", "8192\n")
        #expect(try group.statistics().memory.usage == 8192)
        #expect(try group.outOfMemoryVerdict() == OutOfMemoryVerdict(kills: 2, owner: "/g"))
    }

    @Test func versionOneFilesAreRead() throws {
        try tree.v1(
            "memory",
            group: "p/g",
            files: [
                "memory.memsw.usage_in_bytes": "5096\n", "memory.memsw.max_usage_in_bytes": "6000\n",
                "memory.memsw.limit_in_bytes": "7000\n", "memory.memsw.failcnt": "9\n",
                "memory.usage_in_bytes": "4096\n", "memory.max_usage_in_bytes": "5000\n", "memory.failcnt": "0\n",
                "memory.limit_in_bytes": "9223372036854771712\n", "memory.stat": "cache 1\nrss 2\nswap 3\n",
                "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            ]
        )
        try tree.write("memory/p/memory.failcnt", "17\n")
        try tree.v1(
            "cpu,cpuacct",
            group: "p/g",
            files: [
                "cpuacct.usage": "77\n", "cpuacct.usage_user": "70\n", "cpuacct.usage_sys": "7\n",
                "cpuacct.usage_percpu": "40 37 \n",
                "cpu.stat": "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n",
            ]
        )
        try tree.v1(
            "blkio",
            group: "p/g",
            files: [
                "blkio.throttle.io_service_bytes_recursive": "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\nTotal 30\n",
                "blkio.throttle.io_serviced_recursive": "8:0 Read 1\n8:0 Write 2\nTotal 3\n",
            ]
        )
        let group = try CgroupTree(root: tree.root).open("p/g")
        let statistics = try group.statistics()
        #expect(statistics.memory.limit == nil)
        #expect(statistics.memory.swapUsage == 3)
        #expect(statistics.memory.withSwap?.limit == 7000)
        #expect(statistics.memory.withSwap?.failures == 9)
        #expect(statistics.memory.kernel == nil)
        #expect(statistics.cpu.perCPU == [40, 37])
        #expect(statistics.cpu.throttledPeriods == 2)
        var device = CgroupStatistics.BlockIO(major: 8, minor: 0)
        (device.readBytes, device.writtenBytes, device.reads, device.writes) = (10, 20, 1, 2)
        #expect(statistics.blockIO == [device])
        #expect(statistics.memory.isKillerDisabled == false)
        // Nobody has listened from the start, so nobody knows whose limit it was.
        #expect(try group.outOfMemoryVerdict() == OutOfMemoryVerdict(kills: 1, owner: ""))
    }
}
