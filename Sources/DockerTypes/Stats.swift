/// Number of tasks.
public struct PidsStats: Codable, Sendable, Equatable, ZeroValue {
    /// Tasks now.
    public var current: UInt64?
    /// Highest number allowed.
    public var limit: UInt64?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case current
        case limit
    }
}

/// One counter of block I/O.
public struct BlkioEntry: Codable, Sendable, Equatable, ZeroValue {
    /// Major number of the device.
    @Zero public var major: UInt64
    /// Minor number of the device.
    @Zero public var minor: UInt64
    /// `read`, `write` and others.
    @Zero public var op: String
    /// Bytes or operations.
    @Zero public var value: UInt64

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case major
        case minor
        case op
        case value
    }
}

/// Block I/O.
public struct BlkioStats: Codable, Sendable, Equatable, ZeroValue {
    /// Bytes by device and operation.
    public var ioServiceBytesRecursive: [BlkioEntry]?
    /// Operations by device.
    public var ioServicedRecursive: [BlkioEntry]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case ioServiceBytesRecursive = "io_service_bytes_recursive"
        case ioServicedRecursive = "io_serviced_recursive"
    }
}

/// CPU time in nanoseconds.
public struct CPUUsage: Codable, Sendable, Equatable, ZeroValue {
    /// All CPUs.
    @Zero public var totalUsage: UInt64
    /// By CPU; cgroup v1 only.
    public var percpuUsage: [UInt64]?
    /// In the kernel.
    @Zero public var usageInKernelmode: UInt64
    /// In user mode.
    @Zero public var usageInUsermode: UInt64

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case totalUsage = "total_usage"
        case percpuUsage = "percpu_usage"
        case usageInKernelmode = "usage_in_kernelmode"
        case usageInUsermode = "usage_in_usermode"
    }
}

/// How often the CPU quota was used up.
public struct ThrottlingData: Codable, Sendable, Equatable, ZeroValue {
    /// Periods that passed.
    @Zero public var periods: UInt64
    /// Periods in which the limit was hit.
    @Zero public var throttledPeriods: UInt64
    /// Nanoseconds spent waiting.
    @Zero public var throttledTime: UInt64

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case periods
        case throttledPeriods = "throttled_periods"
        case throttledTime = "throttled_time"
    }
}

/// CPU use.
public struct CPUStats: Codable, Sendable, Equatable, ZeroValue {
    /// Time used by the container.
    @Zero public var cpuUsage: CPUUsage
    /// Time used by the whole machine, nanoseconds.
    public var systemCpuUsage: UInt64?
    /// CPUs that are online.
    public var onlineCpus: UInt64?
    /// Throttling.
    @Zero public var throttlingData: ThrottlingData

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case cpuUsage = "cpu_usage"
        case systemCpuUsage = "system_cpu_usage"
        case onlineCpus = "online_cpus"
        case throttlingData = "throttling_data"
    }
}

/// Memory use.
public struct MemoryStats: Codable, Sendable, Equatable, ZeroValue {
    /// Bytes in use.
    public var usage: UInt64?
    /// Most bytes in use so far; cgroup v1 only.
    public var maxUsage: UInt64?
    /// The kernel's counters by name.
    public var stats: [String: UInt64]?
    /// How often the limit was hit; cgroup v1 only.
    public var failcnt: UInt64?
    /// Limit in bytes.
    public var limit: UInt64?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case usage
        case maxUsage = "max_usage"
        case stats
        case failcnt
        case limit
    }
}

/// Counters of one network interface.
public struct NetworkStats: Codable, Sendable, Equatable, ZeroValue {
    /// Bytes received.
    @Zero public var rxBytes: UInt64
    /// Packets received.
    @Zero public var rxPackets: UInt64
    /// Receive errors.
    @Zero public var rxErrors: UInt64
    /// Received packets dropped.
    @Zero public var rxDropped: UInt64
    /// Bytes sent.
    @Zero public var txBytes: UInt64
    /// Packets sent.
    @Zero public var txPackets: UInt64
    /// Send errors.
    @Zero public var txErrors: UInt64
    /// Sent packets dropped.
    @Zero public var txDropped: UInt64

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case rxBytes = "rx_bytes"
        case rxPackets = "rx_packets"
        case rxErrors = "rx_errors"
        case rxDropped = "rx_dropped"
        case txBytes = "tx_bytes"
        case txPackets = "tx_packets"
        case txErrors = "tx_errors"
        case txDropped = "tx_dropped"
    }
}

/// One sample of a container's resource use.
public struct ContainerStats: Codable, Sendable, Equatable, ZeroValue {
    /// Name with a leading slash.
    @Zero public var name: String
    /// Id.
    @Zero public var id: String
    /// Time of the sample, RFC 3339.
    @Zero public var read: GoTime
    /// Time of the previous sample, RFC 3339.
    @Zero public var preread: GoTime
    /// Tasks.
    @Zero public var pidsStats: PidsStats
    /// Block I/O.
    @Zero public var blkioStats: BlkioStats
    /// Windows only.
    @Zero public var numProcs: Int
    /// CPU now.
    @Zero public var cpuStats: CPUStats
    /// CPU at the previous sample.
    @Zero public var precpuStats: CPUStats
    /// Memory.
    @Zero public var memoryStats: MemoryStats
    /// Network counters by interface.
    public var networks: [String: NetworkStats]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name
        case id
        case read
        case preread
        case pidsStats = "pids_stats"
        case blkioStats = "blkio_stats"
        case numProcs = "num_procs"
        case cpuStats = "cpu_stats"
        case precpuStats = "precpu_stats"
        case memoryStats = "memory_stats"
        case networks
    }
}
