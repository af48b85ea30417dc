import Cgroups
import ShimProtocol

// What the cgroup counts, in the form that clients of containerd know.

extension CgroupV1Metrics {
    init(_ statistics: CgroupStatistics, kills: UInt64) {
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
        setMemory(statistics.memory)
        memoryOomControl.oomKill = kills
        for device in statistics.blockIO {
            blkio.ioServiceBytesRecursive += [
                .entry(device, "Read", device.readBytes), .entry(device, "Write", device.writtenBytes),
            ]
            blkio.ioServicedRecursive += [.entry(device, "Read", device.reads), .entry(device, "Write", device.writes)]
        }
    }

    private mutating func setMemory(_ statistics: CgroupStatistics.Memory) {
        memory.usage.usage = statistics.usage
        memory.usage.max = statistics.maximumUsage ?? 0
        memory.usage.limit = statistics.limit ?? .max
        memory.usage.failcnt = statistics.failures
        memory.swap.usage = statistics.swapUsage ?? 0
        let details = statistics.details
        memory.cache = details["cache"] ?? 0
        memory.rss = details["rss"] ?? 0
        memory.rssHuge = details["rss_huge"] ?? 0
        memory.mappedFile = details["mapped_file"] ?? 0
        memory.dirty = details["dirty"] ?? 0
        memory.writeback = details["writeback"] ?? 0
        memory.pgFault = details["pgfault"] ?? 0
        memory.pgMajFault = details["pgmajfault"] ?? 0
        memory.inactiveAnon = details["inactive_anon"] ?? 0
        memory.activeAnon = details["active_anon"] ?? 0
        memory.inactiveFile = details["inactive_file"] ?? 0
        memory.activeFile = details["active_file"] ?? 0
        memory.unevictable = details["unevictable"] ?? 0
        memory.hierarchicalMemoryLimit = details["hierarchical_memory_limit"] ?? 0
        memory.totalCache = details["total_cache"] ?? 0
        memory.totalRss = details["total_rss"] ?? 0
        memory.totalInactiveFile = details["total_inactive_file"] ?? 0
        memory.totalActiveFile = details["total_active_file"] ?? 0
        memory.totalInactiveAnon = details["total_inactive_anon"] ?? 0
        memory.totalActiveAnon = details["total_active_anon"] ?? 0
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

extension CgroupV2Metrics {
    init(_ statistics: CgroupStatistics, kills: UInt64) {
        self.init()
        // Nanoseconds become the microseconds of this version.
        cpu.usageUsec = statistics.cpu.usage / 1000
        cpu.userUsec = statistics.cpu.user / 1000
        cpu.systemUsec = statistics.cpu.system / 1000
        cpu.nrPeriods = statistics.cpu.periods
        cpu.nrThrottled = statistics.cpu.throttledPeriods
        cpu.throttledUsec = statistics.cpu.throttledTime / 1000
        pids.current = statistics.pids.current
        pids.limit = statistics.pids.limit ?? 0
        memory.usage = statistics.memory.usage
        memory.maxUsage = statistics.memory.maximumUsage ?? 0
        memory.usageLimit = statistics.memory.limit ?? .max
        memory.swapUsage = statistics.memory.swapUsage ?? 0
        let details = statistics.memory.details
        memory.anon = details["anon"] ?? 0
        memory.file = details["file"] ?? 0
        memory.kernelStack = details["kernel_stack"] ?? 0
        memory.slab = details["slab"] ?? 0
        memory.shmem = details["shmem"] ?? 0
        memory.fileMapped = details["file_mapped"] ?? 0
        memory.fileDirty = details["file_dirty"] ?? 0
        memory.inactiveAnon = details["inactive_anon"] ?? 0
        memory.activeAnon = details["active_anon"] ?? 0
        memory.inactiveFile = details["inactive_file"] ?? 0
        memory.activeFile = details["active_file"] ?? 0
        memory.pgfault = details["pgfault"] ?? 0
        memory.pgmajfault = details["pgmajfault"] ?? 0
        memoryEvents.oomKill = kills
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
    }
}
