/// Name of a platform.
public struct PlatformName: Codable, Sendable, Equatable, ZeroValue {
    /// The name.
    @Zero public var name: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
    }
}

/// A part of the daemon with its version.
public struct ComponentVersion: Codable, Sendable, Equatable, ZeroValue {
    /// Name.
    @Zero public var name: String
    /// Version.
    @Zero public var version: String
    /// Facts by name.
    public var details: [String: String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case version = "Version"
        case details = "Details"
    }
}

/// Versions of the daemon and its parts.
public struct VersionResponse: Codable, Sendable, Equatable, ZeroValue {
    /// The platform.
    public var platform: PlatformName?
    /// Parts.
    public var components: [ComponentVersion]?
    /// Version of the daemon.
    @Zero public var version: String
    /// Highest API version.
    @Zero public var apiVersion: String
    /// Lowest API version.
    @Zero public var minAPIVersion: String
    /// Commit it was built from.
    @Zero public var gitCommit: String
    /// Kept for clients; the compiler's version.
    @Zero public var goVersion: String
    /// Operating system.
    @Zero public var os: String
    /// Architecture.
    @Zero public var arch: String
    /// Version of the kernel.
    @Zero public var kernelVersion: String
    /// Whether experimental features are on.
    public var experimental: Bool?
    /// When it was built.
    @Zero public var buildTime: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case platform = "Platform"
        case components = "Components"
        case version = "Version"
        case apiVersion = "ApiVersion"
        case minAPIVersion = "MinAPIVersion"
        case gitCommit = "GitCommit"
        case goVersion = "GoVersion"
        case os = "Os"
        case arch = "Arch"
        case kernelVersion = "KernelVersion"
        case experimental = "Experimental"
        case buildTime = "BuildTime"
    }
}

/// Names of drivers by kind.
public struct PluginsInfo: Codable, Sendable, Equatable, ZeroValue {
    /// Volume drivers.
    @Zero public var volume: [String]
    /// Network drivers.
    @Zero public var network: [String]
    /// Authorisation plugins.
    public var authorization: [String]?
    /// Log drivers.
    @Zero public var log: [String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case volume = "Volume"
        case network = "Network"
        case authorization = "Authorization"
        case log = "Log"
    }
}

/// A backend.
public struct RuntimeInfo: Codable, Sendable, Equatable, ZeroValue {
    /// Path of the program.
    public var path: String?
    /// Arguments.
    public var runtimeArgs: [String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case path
        case runtimeArgs
    }
}

/// Version of a program.
public struct CommitInfo: Codable, Sendable, Equatable, ZeroValue {
    /// Version.
    @Zero public var id: String
    /// Version that was expected.
    public var expected: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID"
        case expected = "Expected"
    }
}

/// Swarm state; always inactive.
public struct SwarmInfo: Codable, Sendable, Equatable, ZeroValue {
    /// Empty.
    @Zero public var nodeID: String
    /// Empty.
    @Zero public var nodeAddr: String
    /// `inactive`.
    @Zero public var localNodeState: String
    /// False.
    @Zero public var controlAvailable: Bool
    /// Empty.
    @Zero public var error: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case nodeID = "NodeID"
        case nodeAddr = "NodeAddr"
        case localNodeState = "LocalNodeState"
        case controlAvailable = "ControlAvailable"
        case error = "Error"
    }
}

/// Registry settings.
public struct RegistryConfigInfo: Codable, Sendable, Equatable, ZeroValue {
    /// Registries by name.
    @Zero public var indexConfigs: [String: Empty]
    /// Networks whose registries need no TLS.
    @Zero public var insecureRegistryCIDRs: [String]
    /// Mirrors.
    @Zero public var mirrors: [String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case indexConfigs = "IndexConfigs"
        case insecureRegistryCIDRs = "InsecureRegistryCIDRs"
        case mirrors = "Mirrors"
    }
}

/// State of the daemon and its machine.
public struct SystemInfo: Codable, Sendable, Equatable, ZeroValue {
    /// Id of the daemon.
    @Zero public var id: String
    /// Number of containers.
    @Zero public var containers: Int
    /// Of these running.
    @Zero public var containersRunning: Int
    /// Of these paused.
    @Zero public var containersPaused: Int
    /// Of these stopped.
    @Zero public var containersStopped: Int
    /// Number of images.
    @Zero public var images: Int
    /// Storage driver.
    @Zero public var driver: String
    /// Facts of the storage driver as pairs.
    public var driverStatus: [[String]]?
    /// Root directory.
    @Zero public var dockerRootDir: String
    /// Drivers.
    @Zero public var plugins: PluginsInfo
    /// Whether memory limits work.
    @Zero public var memoryLimit: Bool
    /// Whether swap limits work.
    @Zero public var swapLimit: Bool
    /// Whether CPU periods work.
    @Zero public var cpuCfsPeriod: Bool
    /// Whether CPU quotas work.
    @Zero public var cpuCfsQuota: Bool
    /// Whether CPU weights work.
    @Zero public var cpuShares: Bool
    /// Whether CPU sets work.
    @Zero public var cpuSet: Bool
    /// Whether limits of tasks work.
    @Zero public var pidsLimit: Bool
    /// Whether the OOM killer can be held off.
    @Zero public var oomKillDisable: Bool
    /// Whether the machine forwards IPv4.
    @Zero public var ipv4Forwarding: Bool
    /// Whether the daemon logs at debug level.
    @Zero public var debug: Bool
    /// Open descriptors of the daemon.
    @Zero public var nFd: Int
    /// Threads of the daemon.
    @Zero public var nGoroutines: Int
    /// Time on the machine, RFC 3339.
    @Zero public var systemTime: String
    /// Default log driver.
    @Zero public var loggingDriver: String
    /// `cgroupfs` or `systemd`.
    @Zero public var cgroupDriver: String
    /// `1` or `2`.
    public var cgroupVersion: String?
    /// Clients that follow events.
    @Zero public var nEventsListener: Int
    /// Version of the kernel.
    @Zero public var kernelVersion: String
    /// Name of the distribution.
    @Zero public var operatingSystem: String
    /// Version of the distribution.
    @Zero public var osVersion: String
    /// `linux`.
    @Zero public var osType: String
    /// Architecture as the kernel calls it.
    @Zero public var architecture: String
    /// Default registry.
    @Zero public var indexServerAddress: String
    /// Registry settings.
    public var registryConfig: RegistryConfigInfo?
    /// CPUs.
    @Zero public var ncpu: Int
    /// Memory in bytes.
    @Zero public var memTotal: Int
    /// Proxy.
    @Zero public var httpProxy: String
    /// Proxy.
    @Zero public var httpsProxy: String
    /// Names that need no proxy.
    @Zero public var noProxy: String
    /// Host name.
    @Zero public var name: String
    /// Labels of the daemon.
    @Zero public var labels: [String]
    /// Whether experimental features are on.
    @Zero public var experimentalBuild: Bool
    /// Version of the daemon.
    @Zero public var serverVersion: String
    /// Backends by name.
    public var runtimes: [String: RuntimeInfo]?
    /// Name of the default backend.
    @Zero public var defaultRuntime: String
    /// Swarm state.
    @Zero public var swarm: SwarmInfo
    /// Whether containers outlive the daemon; always true.
    @Zero public var liveRestoreEnabled: Bool
    /// Windows only.
    @Zero public var isolation: String
    /// Name of the init program.
    @Zero public var initBinary: String
    /// Version of the shim protocol's other side; `N/A`.
    @Zero public var containerdCommit: CommitInfo
    /// Version of the default backend.
    @Zero public var runcCommit: CommitInfo
    /// Version of the init program.
    @Zero public var initCommit: CommitInfo
    /// Security features as `name=…`.
    @Zero public var securityOptions: [String]
    /// What an operator should know.
    public var warnings: [String]?
    /// What Berth adds; nil from other daemons.
    public var berth: BerthNode?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID"
        case containers = "Containers"
        case containersRunning = "ContainersRunning"
        case containersPaused = "ContainersPaused"
        case containersStopped = "ContainersStopped"
        case images = "Images"
        case driver = "Driver"
        case driverStatus = "DriverStatus"
        case dockerRootDir = "DockerRootDir"
        case plugins = "Plugins"
        case memoryLimit = "MemoryLimit"
        case swapLimit = "SwapLimit"
        case cpuCfsPeriod = "CpuCfsPeriod"
        case cpuCfsQuota = "CpuCfsQuota"
        case cpuShares = "CPUShares"
        case cpuSet = "CPUSet"
        case pidsLimit = "PidsLimit"
        case oomKillDisable = "OomKillDisable"
        case ipv4Forwarding = "IPv4Forwarding"
        case debug = "Debug"
        case nFd = "NFd"
        case nGoroutines = "NGoroutines"
        case systemTime = "SystemTime"
        case loggingDriver = "LoggingDriver"
        case cgroupDriver = "CgroupDriver"
        case cgroupVersion = "CgroupVersion"
        case nEventsListener = "NEventsListener"
        case kernelVersion = "KernelVersion"
        case operatingSystem = "OperatingSystem"
        case osVersion = "OSVersion"
        case osType = "OSType"
        case architecture = "Architecture"
        case indexServerAddress = "IndexServerAddress"
        case registryConfig = "RegistryConfig"
        case ncpu = "NCPU"
        case memTotal = "MemTotal"
        case httpProxy = "HttpProxy"
        case httpsProxy = "HttpsProxy"
        case noProxy = "NoProxy"
        case name = "Name"
        case labels = "Labels"
        case experimentalBuild = "ExperimentalBuild"
        case serverVersion = "ServerVersion"
        case runtimes = "Runtimes"
        case defaultRuntime = "DefaultRuntime"
        case swarm = "Swarm"
        case liveRestoreEnabled = "LiveRestoreEnabled"
        case isolation = "Isolation"
        case initBinary = "InitBinary"
        case containerdCommit = "ContainerdCommit"
        case runcCommit = "RuncCommit"
        case initCommit = "InitCommit"
        case securityOptions = "SecurityOptions"
        case warnings = "Warnings"
        case berth = "Berth"
    }
}
