/// What a group uses, at one moment.
public struct CgroupStatistics: Hashable, Sendable {
    /// Time that work stood still for want of something (pressure stall information).
    public struct Pressure: Hashable, Sendable {
        /// Shares of time in percent, and the sum.
        public struct Share: Hashable, Sendable {
            /// Over the last 10 seconds.
            public var average10 = 0.0
            /// Over the last minute.
            public var average60 = 0.0
            /// Over the last 5 minutes.
            public var average300 = 0.0
            /// In microseconds since the group was made.
            public var total: UInt64 = 0
        }

        /// While at least one task waited.
        public var some = Share()
        /// While all waited.
        public var full = Share()
    }

    /// A v1 counter with its limit, in bytes.
    public struct Counter: Hashable, Sendable {
        /// Now.
        public var usage: UInt64 = 0
        /// The most ever.
        public var maximum: UInt64 = 0
        /// The limit; nil for none.
        public var limit: UInt64?
        /// How often the limit was hit.
        public var failures: UInt64 = 0
    }

    /// CPU time and throttling.
    public struct CPU: Hashable, Sendable {
        /// CPU time used, in nanoseconds.
        public var usage: UInt64 = 0
        /// Of it in programs, in nanoseconds.
        public var user: UInt64 = 0
        /// Of it in the kernel, in nanoseconds.
        public var system: UInt64 = 0
        /// CPU time by processor, in nanoseconds; empty where not counted (v2).
        public var perCPU: [UInt64] = []
        /// Enforcement periods that have passed.
        public var periods: UInt64 = 0
        /// Of them those in which the group had to wait.
        public var throttledPeriods: UInt64 = 0
        /// Time that it had to wait, in nanoseconds.
        public var throttledTime: UInt64 = 0
        /// Periods in which saved time was used.
        public var bursts: UInt64 = 0
        /// Saved time that was used, in nanoseconds.
        public var burstTime: UInt64 = 0
        /// Nil on v1, or when the kernel does not count it.
        public var pressure: Pressure?
    }

    /// Memory in bytes.
    public struct Memory: Hashable, Sendable {
        /// Used, page cache included.
        public var usage: UInt64 = 0
        /// The most ever used; nil where not counted (v2 before Linux 5.19).
        public var maximumUsage: UInt64?
        /// The limit; nil for none.
        public var limit: UInt64?
        /// Swap used; nil where not counted.
        public var swapUsage: UInt64?
        /// The most swap ever used; nil where not counted (v1, v2 before Linux 6.5).
        public var swapMaximumUsage: UInt64?
        /// The limit for swap alone (v2); nil for none.
        public var swapLimit: UInt64?
        /// How often the limit was hit.
        public var failures: UInt64 = 0
        /// Memory and swap together (v1); nil without swap accounting.
        public var withSwap: Counter?
        /// Kernel memory (v1).
        public var kernel: Counter?
        /// Buffers of TCP (v1).
        public var kernelTCP: Counter?
        /// Whether tasks wait instead of being killed (v1).
        public var isKillerDisabled = false
        /// Whether tasks wait for memory now (v1).
        public var isOutOfMemory = false
        /// `memory.events` (v2), by the kernel's names.
        public var events: [String: UInt64] = [:]
        /// The kernel's own counters (`memory.stat`), by the kernel's names, which differ between v1 and v2.
        public var details: [String: UInt64] = [:]
        /// Nil on v1, or when the kernel does not count it.
        public var pressure: Pressure?
    }

    /// Tasks.
    public struct Pids: Hashable, Sendable {
        /// Now.
        public var current: UInt64 = 0
        /// The limit; nil for none.
        public var limit: UInt64?
    }

    /// Block I/O of one device.
    public struct BlockIO: Hashable, Sendable {
        /// The driver.
        public var major: UInt64
        /// The device of that driver.
        public var minor: UInt64
        /// Bytes read.
        public var readBytes: UInt64 = 0
        /// Bytes written.
        public var writtenBytes: UInt64 = 0
        /// Reads.
        public var reads: UInt64 = 0
        /// Writes.
        public var writes: UInt64 = 0

        /// A device without any traffic.
        public init(major: UInt64, minor: UInt64) {
            self.major = major
            self.minor = minor
        }
    }

    /// Huge pages of one size, in bytes.
    public struct HugePages: Hashable, Sendable {
        /// Such as `2MB`.
        public var pageSize: String
        /// Use, limit and failures.
        public var counter = Counter()
    }

    /// One RDMA device.
    public struct RDMA: Hashable, Sendable {
        /// Its name.
        public var device: String
        /// Handles and objects in use.
        public var current = (handles: UInt64(0), objects: UInt64(0))
        /// Their limits; nil for none.
        public var limit = (handles: UInt64?.none, objects: UInt64?.none)

        /// Compares all parts.
        public static func == (one: RDMA, other: RDMA) -> Bool {
            one.device == other.device && one.current == other.current && one.limit == other.limit
        }

        /// Hashes the name.
        public func hash(into hasher: inout Hasher) { hasher.combine(device) }
    }

    /// CPU.
    public var cpu = CPU()
    /// Memory.
    public var memory = Memory()
    /// Tasks.
    public var pids = Pids()
    /// Block I/O, by device.
    public var blockIO: [BlockIO] = []
    /// Block I/O; nil on v1, or when the kernel does not count it.
    public var blockIOPressure: Pressure?
    /// Huge pages, by size; empty without the controller.
    public var hugePages: [HugePages] = []
    /// RDMA, by device; empty without the controller.
    public var rdma: [RDMA] = []

    /// No use at all.
    public init() {}
}
