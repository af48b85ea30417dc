import DockerTypes
import EngineModel

/// Turns the engine's samples into Docker's stats documents.
enum StatsTranslation {
    /// The document for `sample`; `previous` fills the fields that clients compute differences from.
    static func stats(_ sample: ContainerStatistics, previous: ContainerStatistics?) -> ContainerStats {
        var stats = ContainerStats()
        stats.name = "/" + sample.name
        stats.id = sample.id.description
        stats.read = GoTime(sample.read)
        stats.preread = GoTime(previous?.read)
        stats.cpuStats = cpu(sample)
        if let previous { stats.precpuStats = cpu(previous) }
        guard sample.read != nil else { return stats }
        stats.pidsStats.current = sample.pids
        stats.pidsStats.limit = sample.pidsLimit == 0 ? nil : sample.pidsLimit
        stats.memoryStats.usage = sample.memoryUsage
        stats.memoryStats.limit = sample.memoryLimit
        stats.memoryStats.stats = sample.memoryDetails
        stats.blkioStats.ioServiceBytesRecursive = sample.blockIO.map { io in
            var entry = BlkioEntry()
            entry.major = io.major
            entry.minor = io.minor
            entry.op = io.operation
            entry.value = io.value
            return entry
        }
        return stats
    }

    private static func cpu(_ sample: ContainerStatistics) -> CPUStats {
        var cpu = CPUStats()
        guard sample.read != nil else { return cpu }
        cpu.cpuUsage.totalUsage = sample.cpuTotal
        cpu.cpuUsage.usageInKernelmode = sample.cpuKernel
        cpu.cpuUsage.usageInUsermode = sample.cpuUser
        cpu.systemCpuUsage = sample.systemCPU
        cpu.onlineCpus = UInt64(max(0, sample.onlineCPUs))
        cpu.throttlingData.periods = sample.throttlingPeriods
        cpu.throttlingData.throttledPeriods = sample.throttledPeriods
        cpu.throttlingData.throttledTime = sample.throttledTime
        return cpu
    }
}
