/// What a container gets from the machine: limits, mounts, namespaces, privileges.
public struct HostConfig: Codable, Sendable, Equatable, ZeroValue {
    /// Relative CPU weight; 0 for the default.
    @Zero public var cpuShares: Int
    /// Memory limit in bytes; 0 for none.
    @Zero public var memory: Int
    /// Parent of the container's cgroup.
    @Zero public var cgroupParent: String
    /// Relative block I/O weight, 10 to 1000; 0 for the default.
    @Zero public var blkioWeight: Int
    /// Weights per device.
    public var blkioWeightDevice: [WeightDevice]?
    /// Bytes read per second and device.
    public var blkioDeviceReadBps: [ThrottleDevice]?
    /// Bytes written per second and device.
    public var blkioDeviceWriteBps: [ThrottleDevice]?
    /// Reads per second and device.
    public var blkioDeviceReadIOps: [ThrottleDevice]?
    /// Writes per second and device.
    public var blkioDeviceWriteIOps: [ThrottleDevice]?
    /// Length of a CPU quota period in microseconds.
    @Zero public var cpuPeriod: Int
    /// CPU time per period in microseconds; -1 for no limit.
    @Zero public var cpuQuota: Int
    /// Length of a realtime period in microseconds.
    @Zero public var cpuRealtimePeriod: Int
    /// Realtime per period in microseconds.
    @Zero public var cpuRealtimeRuntime: Int
    /// CPUs that may be used, such as `0-2,4`.
    @Zero public var cpusetCpus: String
    /// Memory nodes that may be used.
    @Zero public var cpusetMems: String
    /// Host devices shown inside.
    public var devices: [DeviceMapping]?
    /// Device rules such as `c 13:* rwm`.
    public var deviceCgroupRules: [String]?
    /// Devices that drivers find.
    public var deviceRequests: [DeviceRequest]?
    /// Soft memory limit in bytes.
    @Zero public var memoryReservation: Int
    /// Memory plus swap in bytes; 0 for twice the memory, -1 for no limit.
    @Zero public var memorySwap: Int
    /// Swappiness 0 to 100; nil or -1 for the kernel's.
    public var memorySwappiness: Int?
    /// CPU limit in billionths of a CPU; 0 for none.
    @Zero public var nanoCpus: Int
    /// Whether the OOM killer leaves the container alone.
    public var oomKillDisable: Bool?
    /// Whether a small init process reaps zombies; nil for the daemon's default.
    public var `init`: Bool?
    /// Limit of tasks; nil, 0 or -1 for none.
    public var pidsLimit: Int?
    /// Resource limits.
    public var ulimits: [Ulimit]?
    /// Bind mounts as `source:target[:options]`.
    public var binds: [String]?
    /// File on the client's side; kept, not used.
    @Zero public var containerIDFile: String
    /// Where output goes.
    @Zero public var logConfig: LogConfig
    /// `default`, `bridge`, `host`, `none`, `container:<id>` or a network's name.
    @Zero public var networkMode: String
    /// Host ports by container port, such as `80/tcp`.
    public var portBindings: [String: [PortBinding]?]?
    /// What happens when the process ends.
    @Zero public var restartPolicy: RestartPolicy
    /// Whether the daemon removes the container when it ends.
    @Zero public var autoRemove: Bool
    /// Driver of volumes that this container creates.
    @Zero public var volumeDriver: String
    /// Containers whose mounts are taken over, as `id[:ro]`.
    public var volumesFrom: [String]?
    /// Mounts in the long form.
    public var mounts: [Mount]?
    /// Height and width of the first terminal.
    public var consoleSize: [Int]?
    /// Annotations passed on to the runtime.
    public var annotations: [String: String]?
    /// Capabilities to add; `ALL` for all.
    public var capAdd: StringList?
    /// Capabilities to drop; `ALL` for all.
    public var capDrop: StringList?
    /// `private`, `host` or empty for the daemon's default.
    @Zero public var cgroupnsMode: String
    /// Name servers.
    public var dns: [String]?
    /// Resolver options.
    public var dnsOptions: [String]?
    /// Search domains.
    public var dnsSearch: [String]?
    /// Further lines for the hosts file, as `name:address`.
    public var extraHosts: [String]?
    /// Supplementary groups by name or number.
    public var groupAdd: [String]?
    /// `private`, `shareable`, `host`, `none`, `container:<id>` or empty.
    @Zero public var ipcMode: String
    /// Cgroup of another container.
    @Zero public var cgroup: String
    /// Links to other containers.
    public var links: [String]?
    /// Adjustment for the OOM killer, -1000 to 1000.
    @Zero public var oomScoreAdj: Int
    /// `host`, `container:<id>` or empty.
    @Zero public var pidMode: String
    /// Whether the container gets all privileges.
    @Zero public var privileged: Bool
    /// Whether every exposed port is published.
    @Zero public var publishAllPorts: Bool
    /// Whether the root file system is read-only.
    @Zero public var readonlyRootfs: Bool
    /// Security options such as `seccomp=unconfined`, `no-new-privileges`.
    public var securityOpt: [String]?
    /// Options of the storage driver.
    public var storageOpt: [String: String]?
    /// tmpfs options by path in the container.
    public var tmpfs: [String: String]?
    /// `host` or empty.
    @Zero public var utsMode: String
    /// `auto`, `auto:size=N`, `host`, or empty for the daemon's default.
    @Zero public var usernsMode: String
    /// Size of `/dev/shm` in bytes; 0 for the default.
    @Zero public var shmSize: Int
    /// Kernel parameters of the container's namespaces.
    public var sysctls: [String: String]?
    /// Name of the backend; nil or empty for the default.
    public var runtime: String?
    /// Windows only; empty or `default`.
    @Zero public var isolation: String
    /// Paths that are hidden; nil for the default list.
    public var maskedPaths: [String]?
    /// Paths that are read-only; nil for the default list.
    public var readonlyPaths: [String]?
    /// What Berth offers beyond Docker.
    public var berth: BerthHostConfig?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case cpuShares = "CpuShares"
        case memory = "Memory"
        case cgroupParent = "CgroupParent"
        case blkioWeight = "BlkioWeight"
        case blkioWeightDevice = "BlkioWeightDevice"
        case blkioDeviceReadBps = "BlkioDeviceReadBps"
        case blkioDeviceWriteBps = "BlkioDeviceWriteBps"
        case blkioDeviceReadIOps = "BlkioDeviceReadIOps"
        case blkioDeviceWriteIOps = "BlkioDeviceWriteIOps"
        case cpuPeriod = "CpuPeriod"
        case cpuQuota = "CpuQuota"
        case cpuRealtimePeriod = "CpuRealtimePeriod"
        case cpuRealtimeRuntime = "CpuRealtimeRuntime"
        case cpusetCpus = "CpusetCpus"
        case cpusetMems = "CpusetMems"
        case devices = "Devices"
        case deviceCgroupRules = "DeviceCgroupRules"
        case deviceRequests = "DeviceRequests"
        case memoryReservation = "MemoryReservation"
        case memorySwap = "MemorySwap"
        case memorySwappiness = "MemorySwappiness"
        case nanoCpus = "NanoCpus"
        case oomKillDisable = "OomKillDisable"
        case `init` = "Init"
        case pidsLimit = "PidsLimit"
        case ulimits = "Ulimits"
        case binds = "Binds"
        case containerIDFile = "ContainerIDFile"
        case logConfig = "LogConfig"
        case networkMode = "NetworkMode"
        case portBindings = "PortBindings"
        case restartPolicy = "RestartPolicy"
        case autoRemove = "AutoRemove"
        case volumeDriver = "VolumeDriver"
        case volumesFrom = "VolumesFrom"
        case mounts = "Mounts"
        case consoleSize = "ConsoleSize"
        case annotations = "Annotations"
        case capAdd = "CapAdd"
        case capDrop = "CapDrop"
        case cgroupnsMode = "CgroupnsMode"
        case dns = "Dns"
        case dnsOptions = "DnsOptions"
        case dnsSearch = "DnsSearch"
        case extraHosts = "ExtraHosts"
        case groupAdd = "GroupAdd"
        case ipcMode = "IpcMode"
        case cgroup = "Cgroup"
        case links = "Links"
        case oomScoreAdj = "OomScoreAdj"
        case pidMode = "PidMode"
        case privileged = "Privileged"
        case publishAllPorts = "PublishAllPorts"
        case readonlyRootfs = "ReadonlyRootfs"
        case securityOpt = "SecurityOpt"
        case storageOpt = "StorageOpt"
        case tmpfs = "Tmpfs"
        case utsMode = "UTSMode"
        case usernsMode = "UsernsMode"
        case shmSize = "ShmSize"
        case sysctls = "Sysctls"
        case runtime = "Runtime"
        case isolation = "Isolation"
        case maskedPaths = "MaskedPaths"
        case readonlyPaths = "ReadonlyPaths"
        case berth = "Berth"
    }
}
