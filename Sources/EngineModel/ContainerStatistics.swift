public import Kernel

/// One sample of what a container uses.
public struct ContainerStatistics: Sendable {
    /// Id of the container.
    public var id: ContainerID
    /// Its name.
    public var name: String
    /// When the sample was taken; nil when the container does not run.
    public var read: Timestamp?
    /// CPU time in nanoseconds: all, kernel mode, user mode.
    public var cpuTotal: UInt64 = 0, cpuKernel: UInt64 = 0, cpuUser: UInt64 = 0
    /// CPU time of the whole host in nanoseconds.
    public var systemCPU: UInt64 = 0
    /// Processors that are online.
    public var onlineCPUs: Int = 0
    /// CFS periods, periods throttled, nanoseconds throttled.
    public var throttlingPeriods: UInt64 = 0, throttledPeriods: UInt64 = 0, throttledTime: UInt64 = 0
    /// Memory used and its limit in bytes.
    public var memoryUsage: UInt64 = 0, memoryLimit: UInt64 = 0
    /// Detailed memory counters by the kernel's names.
    public var memoryDetails: [String: UInt64] = [:]
    /// Tasks and their limit; a limit of 0 is none.
    public var pids: UInt64 = 0, pidsLimit: UInt64 = 0
    /// Bytes by device and operation.
    public var blockIO: [BlockIO] = []

    /// Bytes that one device moved.
    public struct BlockIO: Sendable {
        /// Device number.
        public var major: UInt64, minor: UInt64
        /// The operation, such as `read` or `write`.
        public var operation: String
        /// Bytes.
        public var value: UInt64

        package init(
            major: UInt64,
            minor: UInt64,
            operation: String,
            value: UInt64
        ) {
            self.major = major
            self.minor = minor
            self.operation = operation
            self.value = value
        }
    }

    package init(id: ContainerID, name: String) {
        self.id = id
        self.name = name
    }
}
