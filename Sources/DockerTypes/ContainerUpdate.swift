/// New limits and restart policy of a container; what is nil stays as it is.
public struct ContainerUpdateRequest: Codable, Sendable, Equatable, ZeroValue {
    /// Relative CPU weight.
    public var cpuShares: Int?
    /// Memory limit in bytes.
    public var memory: Int?
    /// Relative block I/O weight.
    public var blkioWeight: Int?
    /// Length of a CPU quota period in microseconds.
    public var cpuPeriod: Int?
    /// CPU time per period in microseconds.
    public var cpuQuota: Int?
    /// Length of a realtime period in microseconds.
    public var cpuRealtimePeriod: Int?
    /// Realtime per period in microseconds.
    public var cpuRealtimeRuntime: Int?
    /// CPUs that may be used.
    public var cpusetCpus: String?
    /// Memory nodes that may be used.
    public var cpusetMems: String?
    /// Soft memory limit in bytes.
    public var memoryReservation: Int?
    /// Memory plus swap in bytes.
    public var memorySwap: Int?
    /// CPU limit in billionths of a CPU.
    public var nanoCpus: Int?
    /// Limit of tasks.
    public var pidsLimit: Int?
    /// What happens when the process ends.
    public var restartPolicy: RestartPolicy?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case cpuShares = "CpuShares"
        case memory = "Memory"
        case blkioWeight = "BlkioWeight"
        case cpuPeriod = "CpuPeriod"
        case cpuQuota = "CpuQuota"
        case cpuRealtimePeriod = "CpuRealtimePeriod"
        case cpuRealtimeRuntime = "CpuRealtimeRuntime"
        case cpusetCpus = "CpusetCpus"
        case cpusetMems = "CpusetMems"
        case memoryReservation = "MemoryReservation"
        case memorySwap = "MemorySwap"
        case nanoCpus = "NanoCpus"
        case pidsLimit = "PidsLimit"
        case restartPolicy = "RestartPolicy"
    }
}

/// Answer to an update.
public struct ContainerUpdateResponse: Codable, Sendable, Equatable, ZeroValue {
    /// What was accepted but has no effect.
    @Zero public var warnings: [String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case warnings = "Warnings"
    }
}
