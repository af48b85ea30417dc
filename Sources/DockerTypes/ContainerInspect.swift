/// One run of a health check.
public struct HealthResult: Codable, Sendable, Equatable, ZeroValue {
    /// When it began, RFC 3339.
    @Zero public var start: GoTime
    /// When it ended, RFC 3339.
    @Zero public var end: GoTime
    /// 0 healthy, 1 unhealthy, 2 reserved, else an error.
    @Zero public var exitCode: Int
    /// What it printed, cut to 4 KiB.
    @Zero public var output: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case start = "Start"
        case end = "End"
        case exitCode = "ExitCode"
        case output = "Output"
    }
}

/// Health of a container.
public struct HealthState: Codable, Sendable, Equatable, ZeroValue {
    /// `none`, `starting`, `healthy` or `unhealthy`.
    @Zero public var status: String
    /// Consecutive failures.
    @Zero public var failingStreak: Int
    /// The last runs, oldest first.
    @Zero public var log: [HealthResult]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case status = "Status"
        case failingStreak = "FailingStreak"
        case log = "Log"
    }
}

/// State of a container.
public struct ContainerState: Codable, Sendable, Equatable, ZeroValue {
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    @Zero public var status: String
    /// Whether the process runs (also while paused).
    @Zero public var running: Bool
    /// Whether the processes are frozen.
    @Zero public var paused: Bool
    /// Whether the restart policy is about to start it again.
    @Zero public var restarting: Bool
    /// Whether the kernel killed for memory during the last run.
    @Zero public var oomKilled: Bool
    /// Whether removal failed half-way.
    @Zero public var dead: Bool
    /// Process id on the host; 0 while not running.
    @Zero public var pid: Int
    /// Exit code of the last run.
    @Zero public var exitCode: Int
    /// Why the last start failed.
    @Zero public var error: String
    /// Start of the last run, RFC 3339.
    @Zero public var startedAt: GoTime
    /// End of the last run, RFC 3339.
    @Zero public var finishedAt: GoTime
    /// Health; nil without a health check.
    public var health: HealthState?
    /// What Berth says beyond Docker; nil when there is nothing.
    public var berth: BerthContainerState?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case status = "Status"
        case running = "Running"
        case paused = "Paused"
        case restarting = "Restarting"
        case oomKilled = "OOMKilled"
        case dead = "Dead"
        case pid = "Pid"
        case exitCode = "ExitCode"
        case error = "Error"
        case startedAt = "StartedAt"
        case finishedAt = "FinishedAt"
        case health = "Health"
        case berth = "Berth"
    }
}

/// How a root file system is stored.
public struct GraphDriverData: Codable, Sendable, Equatable, ZeroValue {
    /// Name of the storage driver.
    @Zero public var name: String
    /// Directories by role.
    public var data: [String: String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case data = "Data"
    }
}

/// A mount of a container as it is.
public struct MountPoint: Codable, Sendable, Equatable, ZeroValue {
    /// `bind`, `volume`, `tmpfs` or `image`.
    @Zero public var type: String
    /// Name of the volume.
    public var name: String?
    /// Path on the host.
    @Zero public var source: String
    /// Path in the container.
    @Zero public var destination: String
    /// Driver of the volume.
    public var driver: String?
    /// Options as given.
    @Zero public var mode: String
    /// Whether writing is allowed.
    @Zero public var rw: Bool
    /// Mount propagation.
    @Zero public var propagation: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case type = "Type"
        case name = "Name"
        case source = "Source"
        case destination = "Destination"
        case driver = "Driver"
        case mode = "Mode"
        case rw = "RW"
        case propagation = "Propagation"
    }
}

/// Everything about one container.
public struct ContainerInspect: Codable, Sendable, Equatable, ZeroValue {
    /// Id: 64 hexadecimal digits.
    @Zero public var id: String
    /// Time of creation, RFC 3339.
    @Zero public var created: GoTime
    /// Program that runs.
    @Zero public var path: String
    /// Arguments of the program.
    @Zero public var args: [String]
    /// State.
    @Zero public var state: ContainerState
    /// Id of the image.
    @Zero public var image: String
    /// The container's resolv.conf on the host.
    @Zero public var resolvConfPath: String
    /// The container's hostname file on the host.
    @Zero public var hostnamePath: String
    /// The container's hosts file on the host.
    @Zero public var hostsPath: String
    /// The container's log on the host.
    @Zero public var logPath: String
    /// Name with a leading slash.
    @Zero public var name: String
    /// Restarts by the restart policy.
    @Zero public var restartCount: Int
    /// Storage driver.
    @Zero public var driver: String
    /// Operating system.
    @Zero public var platform: String
    /// SELinux label of its files; empty for none of its own.
    @Zero public var mountLabel: String
    /// SELinux label of its processes; empty for none of its own.
    @Zero public var processLabel: String
    /// AppArmor profile; empty for none of its own.
    @Zero public var appArmorProfile: String
    /// Ids of running exec sessions.
    public var execIDs: [String]?
    /// What it gets from the machine.
    @Zero public var hostConfig: HostConfig
    /// How its root file system is stored.
    @Zero public var graphDriver: GraphDriverData
    /// Bytes that the container wrote; only when asked for.
    public var sizeRw: Int?
    /// Bytes of the whole root file system; only when asked for.
    public var sizeRootFs: Int?
    /// Mounts.
    @Zero public var mounts: [MountPoint]
    /// What runs.
    @Zero public var config: ContainerConfig
    /// Network state.
    @Zero public var networkSettings: NetworkSettings
    /// What Berth adds; nil from other daemons.
    public var berth: BerthContainer?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id"
        case created = "Created"
        case path = "Path"
        case args = "Args"
        case state = "State"
        case image = "Image"
        case resolvConfPath = "ResolvConfPath"
        case hostnamePath = "HostnamePath"
        case hostsPath = "HostsPath"
        case logPath = "LogPath"
        case name = "Name"
        case restartCount = "RestartCount"
        case driver = "Driver"
        case platform = "Platform"
        case mountLabel = "MountLabel"
        case processLabel = "ProcessLabel"
        case appArmorProfile = "AppArmorProfile"
        case execIDs = "ExecIDs"
        case hostConfig = "HostConfig"
        case graphDriver = "GraphDriver"
        case sizeRw = "SizeRw"
        case sizeRootFs = "SizeRootFs"
        case mounts = "Mounts"
        case config = "Config"
        case networkSettings = "NetworkSettings"
        case berth = "Berth"
    }
}
