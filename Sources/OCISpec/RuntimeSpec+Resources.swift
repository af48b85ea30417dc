extension RuntimeSpec {
    /// Limits of a container (OCI runtime-spec "config-linux", control groups).
    ///
    /// Absent values stay as they are.
    public struct Resources: Codable, Sendable, Equatable {
        /// Device rules, applied in order.
        public var devices: [DeviceRule]?
        /// Memory limits.
        public var memory: Memory?
        /// CPU limits.
        public var cpu: CPU?
        /// Limit on the number of tasks.
        public var pids: Pids?
        /// Block I/O weights and limits.
        public var blockIO: BlockIO?
        /// Limits on huge pages.
        public var hugepageLimits: [HugepageLimit]?
        /// Network class and priorities (cgroup v1).
        public var network: Network?
        /// RDMA limits by device name.
        public var rdma: [String: RDMA]?
        /// Literal cgroup v2 files and their contents.
        public var unified: [String: String]?

        /// Creates the object from its fields.
        public init(
            devices: [DeviceRule]? = nil,
            memory: Memory? = nil,
            cpu: CPU? = nil,
            pids: Pids? = nil,
            blockIO: BlockIO? = nil,
            hugepageLimits: [HugepageLimit]? = nil,
            network: Network? = nil,
            rdma: [String: RDMA]? = nil,
            unified: [String: String]? = nil
        ) {
            self.devices = devices
            self.memory = memory
            self.cpu = cpu
            self.pids = pids
            self.blockIO = blockIO
            self.hugepageLimits = hugepageLimits
            self.network = network
            self.rdma = rdma
            self.unified = unified
        }
    }

    /// Allows or denies access to devices.
    public struct DeviceRule: Codable, Sendable, Equatable {
        /// Whether the rule allows.
        public var allow: Bool
        /// `a` (all), `c` or `b`.
        ///
        /// Absent means all.
        public var type: String?
        /// Major number.
        ///
        /// Absent means any.
        public var major: Int64?
        /// Minor number.
        ///
        /// Absent means any.
        public var minor: Int64?
        /// Any of `r`, `w`, `m`.
        ///
        /// Absent means all three.
        public var access: String?

        /// Creates the object from its fields.
        public init(
            allow: Bool,
            type: String? = nil,
            major: Int64? = nil,
            minor: Int64? = nil,
            access: String? = nil
        ) {
            self.allow = allow
            self.type = type
            self.major = major
            self.minor = minor
            self.access = access
        }
    }

    /// Memory limits in bytes; -1 means unlimited.
    public struct Memory: Codable, Sendable, Equatable {
        /// Hard limit.
        public var limit: Int64?
        /// Soft limit.
        public var reservation: Int64?
        /// Limit on memory plus swap.
        public var swap: Int64?
        /// Kernel memory (cgroup v1, not recommended).
        public var kernel: Int64?
        /// TCP buffer memory (cgroup v1, not recommended).
        public var kernelTCP: Int64?
        /// 0 to 100 (cgroup v1).
        public var swappiness: UInt64?
        /// Whether tasks wait instead of being killed (cgroup v1).
        public var disableOOMKiller: Bool?
        /// Whether children count (cgroup v1).
        public var useHierarchy: Bool?
        /// Whether a new limit below the usage must be refused.
        public var checkBeforeUpdate: Bool?

        /// Creates the object from its fields.
        public init(
            limit: Int64? = nil,
            reservation: Int64? = nil,
            swap: Int64? = nil,
            kernel: Int64? = nil,
            kernelTCP: Int64? = nil,
            swappiness: UInt64? = nil,
            disableOOMKiller: Bool? = nil,
            useHierarchy: Bool? = nil,
            checkBeforeUpdate: Bool? = nil
        ) {
            self.limit = limit
            self.reservation = reservation
            self.swap = swap
            self.kernel = kernel
            self.kernelTCP = kernelTCP
            self.swappiness = swappiness
            self.disableOOMKiller = disableOOMKiller
            self.useHierarchy = useHierarchy
            self.checkBeforeUpdate = checkBeforeUpdate
        }
    }

    /// CPU limits.
    public struct CPU: Codable, Sendable, Equatable {
        /// Relative weight, 2 to 262144.
        public var shares: UInt64?
        /// Microseconds of CPU time per period; -1 means unlimited.
        public var quota: Int64?
        /// Microseconds that may be saved up.
        public var burst: UInt64?
        /// Microseconds of a period.
        public var period: UInt64?
        /// Microseconds of real-time scheduling per period (cgroup v1).
        public var realtimeRuntime: Int64?
        /// Microseconds of a real-time period (cgroup v1).
        public var realtimePeriod: UInt64?
        /// List of CPUs such as `0-3,7`.
        public var cpus: String?
        /// List of memory nodes.
        public var mems: String?
        /// 1 schedules only when nothing else runs.
        public var idle: Int64?

        /// Creates the object from its fields.
        public init(
            shares: UInt64? = nil,
            quota: Int64? = nil,
            burst: UInt64? = nil,
            period: UInt64? = nil,
            realtimeRuntime: Int64? = nil,
            realtimePeriod: UInt64? = nil,
            cpus: String? = nil,
            mems: String? = nil,
            idle: Int64? = nil
        ) {
            self.shares = shares
            self.quota = quota
            self.burst = burst
            self.period = period
            self.realtimeRuntime = realtimeRuntime
            self.realtimePeriod = realtimePeriod
            self.cpus = cpus
            self.mems = mems
            self.idle = idle
        }
    }

    /// Limit on the number of tasks.
    public struct Pids: Codable, Sendable, Equatable {
        /// Most tasks; -1 means unlimited, 0 is a value.
        public var limit: Int64?

        /// Creates the object from its fields.
        public init(limit: Int64? = nil) {
            self.limit = limit
        }
    }

    /// Block I/O weights and limits.
    public struct BlockIO: Codable, Sendable, Equatable {
        /// Relative weight, 10 to 1000.
        public var weight: UInt16?
        /// Weight against child groups (cgroup v1).
        public var leafWeight: UInt16?
        /// Weights of single devices.
        public var weightDevice: [WeightDevice]?
        /// Bytes read per second.
        public var throttleReadBpsDevice: [ThrottleDevice]?
        /// Bytes written per second.
        public var throttleWriteBpsDevice: [ThrottleDevice]?
        /// Reads per second.
        public var throttleReadIOPSDevice: [ThrottleDevice]?
        /// Writes per second.
        public var throttleWriteIOPSDevice: [ThrottleDevice]?

        /// Creates the object from its fields.
        public init(
            weight: UInt16? = nil,
            leafWeight: UInt16? = nil,
            weightDevice: [WeightDevice]? = nil,
            throttleReadBpsDevice: [ThrottleDevice]? = nil,
            throttleWriteBpsDevice: [ThrottleDevice]? = nil,
            throttleReadIOPSDevice: [ThrottleDevice]? = nil,
            throttleWriteIOPSDevice: [ThrottleDevice]? = nil
        ) {
            self.weight = weight
            self.leafWeight = leafWeight
            self.weightDevice = weightDevice
            self.throttleReadBpsDevice = throttleReadBpsDevice
            self.throttleWriteBpsDevice = throttleWriteBpsDevice
            self.throttleReadIOPSDevice = throttleReadIOPSDevice
            self.throttleWriteIOPSDevice = throttleWriteIOPSDevice
        }
    }

    /// Weight of one block device.
    public struct WeightDevice: Codable, Sendable, Equatable {
        /// Major number.
        public var major: Int64
        /// Minor number.
        public var minor: Int64
        /// Relative weight.
        public var weight: UInt16?
        /// Weight against child groups (cgroup v1).
        public var leafWeight: UInt16?

        /// Creates the object from its fields.
        public init(major: Int64, minor: Int64, weight: UInt16? = nil, leafWeight: UInt16? = nil) {
            self.major = major
            self.minor = minor
            self.weight = weight
            self.leafWeight = leafWeight
        }
    }

    /// Rate limit of one block device.
    public struct ThrottleDevice: Codable, Sendable, Equatable {
        /// Major number.
        public var major: Int64
        /// Minor number.
        public var minor: Int64
        /// Bytes or operations per second; 0 removes the limit.
        public var rate: UInt64

        /// Creates the object from its fields.
        public init(major: Int64, minor: Int64, rate: UInt64) {
            self.major = major
            self.minor = minor
            self.rate = rate
        }
    }

    /// Limit on huge pages of one size.
    public struct HugepageLimit: Codable, Sendable, Equatable {
        /// Size such as `2MB`.
        public var pageSize: String
        /// Bytes.
        public var limit: UInt64

        /// Creates the object from its fields.
        public init(pageSize: String, limit: UInt64) {
            self.pageSize = pageSize
            self.limit = limit
        }
    }

    /// Network class and priorities (cgroup v1).
    public struct Network: Codable, Sendable, Equatable {
        /// Class for net_cls.
        public var classID: UInt32?
        /// Priorities for net_prio.
        public var priorities: [InterfacePriority]?

        /// Creates the object from its fields.
        public init(classID: UInt32? = nil, priorities: [InterfacePriority]? = nil) {
            self.classID = classID
            self.priorities = priorities
        }
    }

    /// Priority of one interface.
    public struct InterfacePriority: Codable, Sendable, Equatable {
        /// Interface name.
        public var name: String
        /// Priority.
        public var priority: UInt32

        /// Creates the object from its fields.
        public init(name: String, priority: UInt32) {
            self.name = name
            self.priority = priority
        }
    }

    /// Limits of one RDMA device.
    public struct RDMA: Codable, Sendable, Equatable {
        /// Most handles.
        public var hcaHandles: UInt32?
        /// Most objects.
        public var hcaObjects: UInt32?

        /// Creates the object from its fields.
        public init(hcaHandles: UInt32? = nil, hcaObjects: UInt32? = nil) {
            self.hcaHandles = hcaHandles
            self.hcaObjects = hcaObjects
        }
    }
}
