// CgroupMetrics: what a cgroup counts, in the form that clients of containerd know. For backends whose containers are cgroups.

public import Cgroups
public import ShimProtocol

extension CgroupV1Metrics {
    /// Makes the answer of Task.Stats for a host with cgroup v1.
    ///
    /// - Parameters:
    ///   - statistics: What the cgroup counts.
    ///   - kills: How often the kernel has killed a process of it for memory.
    public init(_ statistics: CgroupStatistics, kills: UInt64) {
        self.init()
        cpu.usage.total = statistics.cpu.usage
        cpu.usage.user = statistics.cpu.user
        cpu.usage.kernel = statistics.cpu.system
        cpu.usage.perCpu = statistics.cpu.perCPU
        cpu.throttling.periods = statistics.cpu.periods
        cpu.throttling.throttledPeriods = statistics.cpu.throttledPeriods
        cpu.throttling.throttledTime = statistics.cpu.throttledTime
        pids.current = statistics.pids.current
        pids.limit = statistics.pids.limit ?? 0
        memory = CgroupV1MemoryStat(statistics.memory)
        memoryOomControl.oomKill = kills
        memoryOomControl.oomKillDisable = statistics.memory.isKillerDisabled ? 1 : 0
        memoryOomControl.underOom = statistics.memory.isOutOfMemory ? 1 : 0
        for device in statistics.blockIO {
            blkio.ioServiceBytesRecursive += [
                .entry(device, "Read", device.readBytes), .entry(device, "Write", device.writtenBytes),
            ]
            blkio.ioServicedRecursive += [.entry(device, "Read", device.reads), .entry(device, "Write", device.writes)]
        }
        hugetlb = statistics.hugePages.map { pages in
            filled(CgroupV1HugetlbStat()) {
                ($0.usage, $0.max) = (pages.counter.usage, pages.counter.maximum)
                ($0.failcnt, $0.pagesize) = (pages.counter.failures, pages.pageSize)
            }
        }
        rdma.current = statistics.rdma.map { .entry($0.device, $0.current.handles, $0.current.objects) }
        rdma.limit = statistics.rdma.map { .entry($0.device, $0.limit.handles ?? .max, $0.limit.objects ?? .max) }
    }
}

extension CgroupV1MemoryStat {
    fileprivate init(_ statistics: CgroupStatistics.Memory) {
        self.init()
        usage.usage = statistics.usage
        usage.max = statistics.maximumUsage ?? 0
        usage.limit = statistics.limit ?? .max
        usage.failcnt = statistics.failures
        // containerd's "swap" is v1's counter of memory and swap together.
        if let counter = statistics.withSwap { swap = .entry(counter) } else { swap.usage = statistics.swapUsage ?? 0 }
        if let counter = statistics.kernel { kernel = .entry(counter) }
        if let counter = statistics.kernelTCP { kernelTcp = .entry(counter) }
        let details = statistics.details
        hierarchicalMemoryLimit = details["hierarchical_memory_limit"] ?? 0
        hierarchicalSwapLimit = details["hierarchical_memsw_limit"] ?? 0
        setOwn(details)
        setTotal(details)
    }

    private mutating func setOwn(_ details: [String: UInt64]) {
        cache = details["cache"] ?? 0
        rss = details["rss"] ?? 0
        rssHuge = details["rss_huge"] ?? 0
        mappedFile = details["mapped_file"] ?? 0
        dirty = details["dirty"] ?? 0
        writeback = details["writeback"] ?? 0
        pgPgIn = details["pgpgin"] ?? 0
        pgPgOut = details["pgpgout"] ?? 0
        pgFault = details["pgfault"] ?? 0
        pgMajFault = details["pgmajfault"] ?? 0
        inactiveAnon = details["inactive_anon"] ?? 0
        activeAnon = details["active_anon"] ?? 0
        inactiveFile = details["inactive_file"] ?? 0
        activeFile = details["active_file"] ?? 0
        unevictable = details["unevictable"] ?? 0
    }

    private mutating func setTotal(_ details: [String: UInt64]) {
        totalCache = details["total_cache"] ?? 0
        totalRss = details["total_rss"] ?? 0
        totalRssHuge = details["total_rss_huge"] ?? 0
        totalMappedFile = details["total_mapped_file"] ?? 0
        totalDirty = details["total_dirty"] ?? 0
        totalWriteback = details["total_writeback"] ?? 0
        totalPgPgIn = details["total_pgpgin"] ?? 0
        totalPgPgOut = details["total_pgpgout"] ?? 0
        totalPgFault = details["total_pgfault"] ?? 0
        totalPgMajFault = details["total_pgmajfault"] ?? 0
        totalInactiveAnon = details["total_inactive_anon"] ?? 0
        totalActiveAnon = details["total_active_anon"] ?? 0
        totalInactiveFile = details["total_inactive_file"] ?? 0
        totalActiveFile = details["total_active_file"] ?? 0
        totalUnevictable = details["total_unevictable"] ?? 0
    }
}

extension CgroupV1MemoryEntry {
    fileprivate static func entry(_ counter: CgroupStatistics.Counter) -> Self {
        filled(Self()) {
            ($0.usage, $0.max) = (counter.usage, counter.maximum)
            ($0.limit, $0.failcnt) = (counter.limit ?? .max, counter.failures)
        }
    }
}

extension CgroupV1BlkIOEntry {
    fileprivate static func entry(_ device: CgroupStatistics.BlockIO, _ operation: String, _ value: UInt64) -> Self {
        var entry = CgroupV1BlkIOEntry()
        entry.op = operation
        entry.major = device.major
        entry.minor = device.minor
        entry.value = value
        return entry
    }
}

extension CgroupV1RdmaEntry {
    fileprivate static func entry(_ device: String, _ handles: UInt64, _ objects: UInt64) -> Self {
        filled(Self()) {
            ($0.device, $0.hcaHandles) = (device, UInt32(clamping: handles))
            $0.hcaObjects = UInt32(clamping: objects)
        }
    }
}

extension CgroupV2Metrics {
    /// Makes the answer of Task.Stats for a host with cgroup v2.
    ///
    /// - Parameter statistics: What the cgroup counts.
    public init(_ statistics: CgroupStatistics) {
        self.init()
        // Nanoseconds become the microseconds of this version.
        cpu.usageUsec = statistics.cpu.usage / 1000
        cpu.userUsec = statistics.cpu.user / 1000
        cpu.systemUsec = statistics.cpu.system / 1000
        cpu.nrPeriods = statistics.cpu.periods
        cpu.nrThrottled = statistics.cpu.throttledPeriods
        cpu.throttledUsec = statistics.cpu.throttledTime / 1000
        cpu.nrBursts = statistics.cpu.bursts
        cpu.burstUsec = statistics.cpu.burstTime / 1000
        if let pressure = statistics.cpu.pressure { cpu.psi = .stats(pressure) }
        pids.current = statistics.pids.current
        pids.limit = statistics.pids.limit ?? 0
        memory = CgroupV2MemoryStat(statistics.memory)
        setMemoryEvents(statistics.memory.events)
        io.usage = statistics.blockIO.map { device in
            var entry = CgroupV2IOEntry()
            entry.major = device.major
            entry.minor = device.minor
            entry.rbytes = device.readBytes
            entry.wbytes = device.writtenBytes
            entry.rios = device.reads
            entry.wios = device.writes
            return entry
        }
        if let pressure = statistics.blockIOPressure { io.psi = .stats(pressure) }
        hugetlb = statistics.hugePages.map { pages in
            filled(CgroupV2HugeTlbStat()) {
                ($0.current, $0.max) = (pages.counter.usage, pages.counter.limit ?? .max)
                ($0.failcnt, $0.pagesize) = (pages.counter.failures, pages.pageSize)
            }
        }
        rdma.current = statistics.rdma.map { .entry($0.device, $0.current.handles, $0.current.objects) }
        rdma.limit = statistics.rdma.map { .entry($0.device, $0.limit.handles ?? .max, $0.limit.objects ?? .max) }
    }

    private mutating func setMemoryEvents(_ events: [String: UInt64]) {
        memoryEvents.low = events["low"] ?? 0
        memoryEvents.high = events["high"] ?? 0
        memoryEvents.max = events["max"] ?? 0
        memoryEvents.oom = events["oom"] ?? 0
        memoryEvents.oomKill = events["oom_kill"] ?? 0
        memoryEvents.oomGroupKill = events["oom_group_kill"] ?? 0
    }
}

extension CgroupV2MemoryStat {
    fileprivate init(_ statistics: CgroupStatistics.Memory) {
        self.init()
        usage = statistics.usage
        maxUsage = statistics.maximumUsage ?? 0
        usageLimit = statistics.limit ?? .max
        swapUsage = statistics.swapUsage ?? 0
        swapMaxUsage = statistics.swapMaximumUsage ?? 0
        swapLimit = statistics.swapLimit ?? .max
        if let pressure = statistics.pressure { psi = .stats(pressure) }
        setAmounts(statistics.details)
        setReclaim(statistics.details)
    }

    private mutating func setAmounts(_ details: [String: UInt64]) {
        anon = details["anon"] ?? 0
        file = details["file"] ?? 0
        kernelStack = details["kernel_stack"] ?? 0
        slab = details["slab"] ?? 0
        sock = details["sock"] ?? 0
        shmem = details["shmem"] ?? 0
        fileMapped = details["file_mapped"] ?? 0
        fileDirty = details["file_dirty"] ?? 0
        fileWriteback = details["file_writeback"] ?? 0
        anonThp = details["anon_thp"] ?? 0
        inactiveAnon = details["inactive_anon"] ?? 0
        activeAnon = details["active_anon"] ?? 0
        inactiveFile = details["inactive_file"] ?? 0
        activeFile = details["active_file"] ?? 0
        unevictable = details["unevictable"] ?? 0
        slabReclaimable = details["slab_reclaimable"] ?? 0
        slabUnreclaimable = details["slab_unreclaimable"] ?? 0
    }

    private mutating func setReclaim(_ details: [String: UInt64]) {
        pgfault = details["pgfault"] ?? 0
        pgmajfault = details["pgmajfault"] ?? 0
        workingsetRefaultAnon = details["workingset_refault_anon"] ?? 0
        workingsetRefaultFile = details["workingset_refault_file"] ?? 0
        workingsetActivateAnon = details["workingset_activate_anon"] ?? 0
        workingsetActivateFile = details["workingset_activate_file"] ?? 0
        // Before Linux 5.9 one counter each; since then the sum says the same.
        workingsetRefault = details["workingset_refault"] ?? (workingsetRefaultAnon + workingsetRefaultFile)
        workingsetActivate = details["workingset_activate"] ?? (workingsetActivateAnon + workingsetActivateFile)
        workingsetNodereclaim = details["workingset_nodereclaim"] ?? 0
        pgrefill = details["pgrefill"] ?? 0
        pgscan = details["pgscan"] ?? 0
        pgsteal = details["pgsteal"] ?? 0
        pgactivate = details["pgactivate"] ?? 0
        pgdeactivate = details["pgdeactivate"] ?? 0
        pglazyfree = details["pglazyfree"] ?? 0
        pglazyfreed = details["pglazyfreed"] ?? 0
        thpFaultAlloc = details["thp_fault_alloc"] ?? 0
        thpCollapseAlloc = details["thp_collapse_alloc"] ?? 0
    }
}

extension CgroupV2PSIStats {
    fileprivate static func stats(_ pressure: CgroupStatistics.Pressure) -> Self {
        filled(Self()) { ($0.some, $0.full) = (.data(pressure.some), .data(pressure.full)) }
    }
}

extension CgroupV2PSIData {
    fileprivate static func data(_ share: CgroupStatistics.Pressure.Share) -> Self {
        filled(Self()) {
            ($0.avg10, $0.avg60, $0.avg300) = (share.average10, share.average60, share.average300)
            $0.total = share.total
        }
    }
}

extension CgroupV2RdmaEntry {
    fileprivate static func entry(_ device: String, _ handles: UInt64, _ objects: UInt64) -> Self {
        filled(Self()) {
            ($0.device, $0.hcaHandles) = (device, UInt32(clamping: handles))
            $0.hcaObjects = UInt32(clamping: objects)
        }
    }
}

/// A value with its fields set.
private func filled<Value>(_ value: Value, _ fill: (inout Value) -> Void) -> Value {
    var value = value
    fill(&value)
    return value
}
