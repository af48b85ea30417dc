import Kernel
public import Logging

/// What an engine is opened with.
///
/// Every path is absolute.
public struct EngineConfiguration: Sendable {
    /// Durable state: database, images, snapshots, volumes, logs.
    public var root: String
    /// State of this boot, on a tmpfs: bundles, sockets, journals.
    public var state: String
    /// Executable of each backend by the name that `--runtime` takes.
    public var backends: [String: String]
    /// Names of the backends that were found beside the program, and are not of the configuration.
    public var foundBackends: Set<String>
    /// What each backend is told at every creation, by its name; the backend knows what the words mean.
    public var backendOptions: [String: [String: String]]
    /// The backend of a container that names none.
    public var defaultBackend: String
    /// Path of `berth-init` for `--init`; nil refuses `--init`.
    public var initPath: String?
    /// Directory below each cgroup hierarchy for this engine's containers, without a leading `/`.
    ///
    /// Everything below it belongs to this engine alone: recovery removes what it does not know. The default derives
    /// from the root, so that engines side by side do not meet.
    public var cgroupParent: String
    /// Log options of a container that gives none.
    public var defaultLogOptions: LogConfiguration
    /// Seccomp profile of a container that names none.
    public var defaultSeccomp: SeccompProfile
    /// Grace between the stop signal and the kill, in seconds, where neither request nor container names one.
    public var defaultStopTimeout: Int
    /// User namespaces of containers.
    public var userNamespaces: UserNamespaces
    /// Recent output of an exec session that its shim keeps, where the session does not say.
    public var execRingSizeInBytes: UInt64
    /// Where the doubling of the delay before a restart ends.
    public var longestRestartDelay: Duration
    /// Who makes the cgroups of containers.
    public var cgroupManager: CgroupManager
    /// What becomes of a container whose shim has died, where the container does not say.
    public var shimDeath: ShimDeath
    /// Whether this process inherits orphans and reaps all that ends below it.
    ///
    /// For a program whose only children are the engine's: whoever else waits for a child would not find it any more.
    public var inheritsOrphans: Bool
    /// Deadlines towards shims.
    public var deadlines: Deadlines
    /// Where a test ends this process; nothing in production.
    public var faults: FaultPoints
    /// Version text for `version` and `info`.
    public var version: String
    /// Where the engine logs; every line about a container carries the metadata key `container`.
    public var logger: Logger

    /// Deadlines of calls to shims; none of them ever ends a container.
    public struct Deadlines: Sendable {
        /// From spawning a shim to its first answer.
        public var connect: Duration = .seconds(10)
        /// One ordinary call.
        public var call: Duration = .seconds(10)
        /// `Create`, `Start` and `Exec`, which mount and may wait for storage.
        public var start: Duration = .seconds(60)
        /// Adopting one shim at start-up; after it the container is unreachable until the shim answers.
        public var adoption: Duration = .seconds(5)
        /// How long a start waits for clients that announced an attach but have not yet handed over.
        public var attach: Duration = .seconds(5)
        /// How long the work that is under way may take when the engine is told to end; nothing is waited for longer than twice that.
        public var end: Duration = .seconds(15)

        /// The defaults.
        public init() {}
    }

    /// A configuration with defaults for everything but the places.
    public init(
        root: String = "/var/lib/berth",
        state: String = "/run/berth",
        backends: [String: String],
        defaultBackend: String = "native",
        initPath: String? = nil,
        logger: Logger
    ) {
        self.root = root
        self.state = state
        self.backends = backends
        self.backendOptions = [:]
        self.foundBackends = []
        self.defaultBackend = defaultBackend
        self.initPath = initPath
        self.cgroupParent = Self.derivedCgroupParent(root: root)
        self.defaultLogOptions = LogConfiguration()
        self.defaultSeccomp = .default
        self.defaultStopTimeout = 10
        self.longestRestartDelay = .seconds(60)
        self.execRingSizeInBytes = 16 << 10
        self.userNamespaces = UserNamespaces()
        self.cgroupManager = .auto
        self.shimDeath = .adopt
        self.inheritsOrphans = false
        self.deadlines = Deadlines()
        self.faults = FaultPoints()
        self.version = BuildVersion.text
        self.logger = logger
    }

    /// `berth` for the default root, else `berth-` and 12 hex digits that depend on the root alone.
    static func derivedCgroupParent(root: String) -> String {
        guard root != "/var/lib/berth" else { return "berth" }
        let digits = String(Hash.fnv1a(root), radix: 16)
        return "berth-" + (String(repeating: "0", count: 16 - digits.count) + digits).suffix(12)
    }
}
