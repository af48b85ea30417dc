/// Everything that a client asked of a container; immutable after create but for what `update` and `rename` change.
///
/// The fields follow Docker's `Config` and `HostConfig` one to one, in the engine's types and units. It is stored as JSON:
/// a field that a later version adds must be optional.
public struct ContainerConfiguration: Sendable, Equatable, Codable {
    /// Reference of the image as the client wrote it.
    public var image: String = ""
    /// Program and leading arguments; nil takes the image's, empty clears it.
    public var entrypoint: [String]?
    /// Arguments, or program and arguments without an entrypoint; nil takes the image's unless `entrypoint` is set.
    public var command: [String]?
    /// `NAME=value`, over the image's; `NAME` alone removes one.
    public var environment: [String] = []
    /// Working directory; empty takes the image's, else `/`.
    public var workingDirectory: String = ""
    /// `user`, `uid`, `user:group`, … ; empty takes the image's, else root.
    public var user: String = ""
    /// Whether the process gets a terminal.
    public var terminal = false
    /// Whether stdin stays open without a client.
    public var openStdin = false
    /// Whether stdin ends when its first client leaves.
    public var stdinOnce = false
    /// What a client said at create that it would attach to; only repeated by inspect.
    public var attachStdin = false
    /// See ``attachStdin``.
    public var attachStdout = false
    /// See ``attachStdin``.
    public var attachStderr = false
    /// Labels, over the image's.
    public var labels: [String: String] = [:]
    /// Annotations of the runtime spec.
    public var annotations: [String: String] = [:]
    /// Signal that stop sends, by name or number; nil takes the image's, else SIGTERM.
    public var stopSignal: String?
    /// Seconds between stop signal and kill; nil takes the engine's, negative waits without end.
    public var stopTimeout: Int?
    /// Host name; empty takes the first 12 digits of the id.
    public var hostname: String = ""
    /// Domain name; empty for none.
    public var domainname: String = ""
    /// Ports that the image or client declares, such as `80/tcp`; only repeated by inspect.
    public var exposedPorts: [String] = []
    /// Directories that get an anonymous volume.
    public var volumes: [String] = []
    /// Binds in the form `source:destination[:options]`; a source without `/` is a named volume.
    public var binds: [String] = []
    /// Mounts in the long form.
    public var mounts: [MountRequest] = []
    /// Options of a tmpfs by its destination.
    public var tmpfs: [String: String] = [:]
    /// Whether the root file system is read-only.
    public var readonlyRootfs = false
    /// Limits.
    public var resources = ResourceLimits()
    /// Capabilities to add, with or without `CAP_`; `ALL` for all.
    public var capabilitiesToAdd: [String] = []
    /// Capabilities to drop, with or without `CAP_`; `ALL` for all.
    public var capabilitiesToDrop: [String] = []
    /// Seccomp profile; nil takes the engine's default.
    public var seccomp: SeccompProfile?
    /// AppArmor profile of every process; `unconfined` or nil for none of the container's own.
    public var appArmorProfile: String?
    /// SELinux label; nil for none of the container's own.
    public var selinuxLabel: SELinuxLabel?
    /// The profile that it teaches or is held to; nil for none.
    public var restriction: Restriction?
    /// When it has rules for files, under the backend `restricted`; nil is where the kernel has them.
    public var accessRules: AccessRules?
    /// Whether it shares all namespaces with the host, under the backend `restricted`; nil is false.
    public var sharesNamespaces: Bool?
    /// Whether exec may never gain privileges: set-id bits and file capabilities have no effect.
    public var noNewPrivileges = true
    /// Whether to give all devices and capabilities and take all masks away.
    public var privileged = false
    /// Paths to hide; nil takes the default list.
    public var maskedPaths: [String]?
    /// Paths to make read-only; nil takes the default list.
    public var readonlyPaths: [String]?
    /// Resource limits of the process, by name without `RLIMIT_`, lower case.
    public var ulimits: [Ulimit] = []
    /// Kernel parameters of the container's own namespaces.
    public var sysctls: [String: String] = [:]
    /// Host devices to give.
    public var devices: [DeviceRequest] = []
    /// Rules in the form `c 1:3 rwm`.
    public var deviceCgroupRules: [String] = []
    /// Network.
    public var network = NetworkMode.none
    /// Process ids.
    public var pidMode = NamespaceMode.own
    /// System V IPC and `/dev/shm`.
    public var ipcMode = NamespaceMode.own
    /// Host name namespace: own or host.
    public var utsMode = NamespaceMode.own
    /// Cgroup namespace: own or host.
    public var cgroupMode = NamespaceMode.own
    /// User ids; nil takes the engine's default.
    public var userNamespace: UserNamespaceMode?
    /// What becomes of it when its shim dies; nil takes the engine's default.
    public var shimDeath: ShimDeath?
    /// What becomes of its name and addresses when it cannot be killed; nil releases them.
    public var stuckPolicy: StuckPolicy?
    /// The client's own name of the request: whoever sends it again finds the container that it has made.
    public var idempotencyKey: String?
    /// Parent of the container's cgroup in the form of the engine's cgroup manager; nil takes the engine's own.
    public var cgroupParent: String?
    /// What happens after an exit.
    public var restartPolicy = RestartPolicy.no
    /// How to find out whether it works; nil takes the image's.
    public var health: HealthConfiguration?
    /// Whether the container is removed after its exit.
    public var autoRemove = false
    /// Whether a small init runs as process 1; nil is false.
    public var useInit: Bool?
    /// Adjustment of the OOM score, -1000 to 1000; nil leaves the engine's.
    public var oomScoreAdjustment: Int?
    /// Logging; nil takes the engine's default.
    public var log: LogConfiguration?
    /// Size of `/dev/shm`; nil is 64 MiB.
    public var shmSizeInBytes: Int64?
    /// Extra groups, by name or number.
    public var additionalGroups: [String] = []
    /// Lines of `/etc/hosts` in the form `name:address`.
    public var extraHosts: [String] = []
    /// Name servers; empty takes the host's.
    public var dns: [String] = []
    /// Search domains; empty takes the host's.
    public var dnsSearch: [String] = []
    /// Resolver options; empty takes the host's.
    public var dnsOptions: [String] = []
    /// Backend; nil takes the engine's default.
    public var backend: String?
    /// Initial terminal size, rows and columns.
    public var consoleSize: TerminalSize?
    /// A face's own document, kept and returned unchanged and never read by the engine.
    ///
    /// DockerAPI keeps here what inspect must repeat and the engine has no use for.
    public var faceDocument: String?

    /// A configuration of `image` with defaults for everything else.
    public init(image: String) {
        self.image = image
    }
}

/// A mount in the long form.
public struct MountRequest: Sendable, Equatable, Codable {
    /// What is mounted.
    public enum Kind: String, Sendable, Codable {
        /// A file or directory of the host.
        case bind
        /// A named or, without a source, anonymous volume.
        case volume
        /// A file system in memory.
        case tmpfs
    }

    /// What is mounted.
    public var kind: Kind
    /// Host path or volume name; nil for tmpfs and anonymous volumes.
    public var source: String?
    /// Where, absolute.
    public var target: String
    /// Whether writing is refused.
    public var readOnly: Bool
    /// Propagation of a bind, such as `rprivate` or `rslave`; nil is `rprivate`.
    public var propagation: String?
    /// Whether a bind leaves out what is mounted below its source.
    public var nonRecursive: Bool
    /// Whether a missing bind source is made as a directory.
    public var createSource: Bool
    /// Whether a new volume stays empty instead of taking the image's files.
    public var noCopy: Bool
    /// Size of a tmpfs; nil for no limit.
    public var tmpfsSizeInBytes: Int64?
    /// Mode of a tmpfs's root; nil is 01777.
    public var tmpfsMode: UInt32?

    /// A mount of `source` on `target`.
    public init(
        kind: Kind,
        source: String? = nil,
        target: String,
        readOnly: Bool = false,
        propagation: String? = nil,
        nonRecursive: Bool = false,
        createSource: Bool = false,
        noCopy: Bool = false,
        tmpfsSizeInBytes: Int64? = nil,
        tmpfsMode: UInt32? = nil
    ) {
        self.kind = kind
        self.source = source
        self.target = target
        self.readOnly = readOnly
        self.propagation = propagation
        self.nonRecursive = nonRecursive
        self.createSource = createSource
        self.noCopy = noCopy
        self.tmpfsSizeInBytes = tmpfsSizeInBytes
        self.tmpfsMode = tmpfsMode
    }
}

/// Limits of a container; nil is "not limited" or "the kernel's default".
public struct ResourceLimits: Sendable, Equatable, Codable {
    /// Memory limit.
    public var memoryInBytes: Int64?
    /// Memory and swap together; -1 is unlimited swap.
    public var memorySwapInBytes: Int64?
    /// Soft memory limit.
    public var memoryReservationInBytes: Int64?
    /// Swappiness, 0 to 100.
    public var memorySwappiness: Int64?
    /// Whether the OOM killer is off.
    public var oomKillDisable: Bool?
    /// Processors in units of 10⁻⁹; excludes period and quota.
    public var nanoCPUs: Int64?
    /// Relative weight, 2 to 262144.
    public var cpuShares: Int64?
    /// CFS quota in microseconds per period.
    public var cpuQuotaInMicroseconds: Int64?
    /// CFS period in microseconds.
    public var cpuPeriodInMicroseconds: Int64?
    /// Processors in list form, such as `0-1,3`.
    public var cpusetCPUs: String?
    /// Memory nodes in list form.
    public var cpusetMemories: String?
    /// Number of tasks; 0 and negative are unlimited.
    public var pids: Int64?
    /// Relative block I/O weight, 10 to 1000.
    public var blockIOWeight: UInt16?

    /// No limits.
    public init() {}
}

/// A seccomp profile.
public enum SeccompProfile: Sendable, Equatable, Codable {
    /// Berth's own allow-list.
    case `default`
    /// None.
    case unconfined
    /// A profile in Docker's JSON form.
    case json(String)
}

/// A resource limit of the process.
public struct Ulimit: Sendable, Equatable, Codable {
    /// Name without `RLIMIT_`, lower case, such as `nofile`.
    public var name: String
    /// Soft limit; -1 is unlimited.
    public var soft: Int64
    /// Hard limit; -1 is unlimited.
    public var hard: Int64

    /// The limit `name` with both values.
    public init(name: String, soft: Int64, hard: Int64) {
        self.name = name
        self.soft = soft
        self.hard = hard
    }
}

/// A host device given to a container.
public struct DeviceRequest: Sendable, Equatable, Codable {
    /// Path on the host.
    public var hostPath: String
    /// Path in the container.
    public var containerPath: String
    /// Any of `r`, `w`, `m`.
    public var permissions: String

    /// The device `hostPath` as `containerPath`.
    public init(hostPath: String, containerPath: String, permissions: String = "rwm") {
        self.hostPath = hostPath
        self.containerPath = containerPath
        self.permissions = permissions
    }
}

/// How a container is connected.
public enum NetworkMode: Sendable, Equatable, Codable {
    /// A network namespace of its own with loopback only.
    case none
    /// The host's.
    case host
    /// The default network. Until networks exist this is loopback only, and create answers with a warning.
    case bridge
    /// That of another container, by reference.
    case container(String)
    /// A named network; refused until networks exist.
    case named(String)

    /// The mode as Docker's clients write it.
    public var name: String {
        switch self {
        case .none: "none"
        case .host: "host"
        case .bridge: "bridge"
        case .container(let reference): "container:" + reference
        case .named(let name): name
        }
    }
}

/// Whose namespace a container uses.
public enum NamespaceMode: Sendable, Equatable, Codable {
    /// A new one.
    case own
    /// The host's.
    case host
    /// A new one that others may join (ipc only).
    case shareable
    /// That of another container, by reference.
    case container(String)
}

/// What happens after an exit.
public enum RestartPolicy: Sendable, Equatable, Codable {
    /// Nothing.
    case no
    /// A restart after a code that is not 0, at most `maximum` times in a row; 0 is without end.
    case onFailure(maximum: Int)
    /// Always, also at engine start after a stop by the user.
    case always
    /// Always, but not at engine start after a stop by the user.
    case unlessStopped
}

/// Where output goes.
public struct LogConfiguration: Sendable, Equatable, Codable {
    /// The name to repeat in inspect; every enabled driver writes Berth's own log files.
    public var driver: String = "json-file"
    /// False with the driver `none`: nothing is kept.
    public var enabled = true
    /// Size at which a file is rotated; 0 never rotates.
    public var maxSizeInBytes: Int64 = 0
    /// Number of files kept, at least 1.
    public var maxFiles: Int = 1
    /// The options as given, to repeat in inspect.
    public var options: [String: String] = [:]

    /// No rotation, driver `json-file`.
    public init() {}

    /// Options of a driver by Docker's names (`max-size`, `max-file`).
    /// - Throws: ``EngineError`` `.invalidArgument` for an unknown driver or option, or a bad value.
    public init(driver: String, options: [String: String]) throws {
        self.driver = driver.isEmpty ? "json-file" : driver
        self.options = options
        try parseOptions()
    }
}

/// A terminal's size in characters.
public struct TerminalSize: Sendable, Equatable, Codable {
    /// Rows.
    public var height: UInt16
    /// Columns.
    public var width: UInt16

    /// `height` rows of `width` columns.
    public init(height: UInt16, width: UInt16) {
        self.height = height
        self.width = width
    }
}
