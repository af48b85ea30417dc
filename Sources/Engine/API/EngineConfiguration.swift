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
    /// Who makes the cgroups of containers.
    public var cgroupManager: CgroupManager
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
        self.defaultBackend = defaultBackend
        self.initPath = initPath
        self.cgroupParent = Self.derivedCgroupParent(root: root)
        self.defaultLogOptions = LogConfiguration()
        self.defaultSeccomp = .default
        self.defaultStopTimeout = 10
        self.userNamespaces = UserNamespaces()
        self.cgroupManager = .auto
        self.deadlines = Deadlines()
        self.faults = FaultPoints()
        self.version = "0.1.0"
        self.logger = logger
    }

    /// `berth` for the default root, else `berth-` and 12 hex digits that depend on the root alone.
    static func derivedCgroupParent(root: String) -> String {
        guard root != "/var/lib/berth" else { return "berth" }
        let digits = String(Hash.fnv1a(root), radix: 16)
        return "berth-" + (String(repeating: "0", count: 16 - digits.count) + digits).suffix(12)
    }
}

/// The places between two steps of create, start, exec, stop and remove.
///
/// Production has no handler. A test's handler may end the process there, which is how "killed between any two steps" is
/// made to happen at each step in turn.
public struct FaultPoints: Sendable {
    /// A place, named after the step that was just finished.
    public enum Step: String, Sendable, CaseIterable {
        /// The name is reserved in memory, nothing is on disk.
        case createReserved = "create.reserved"
        /// The container's directory under `<root>/containers` exists.
        case createDirectories = "create.directories"
        /// The container's writable snapshot exists.
        case createSnapshot = "create.snapshot"
        /// The row is committed.
        case createCommitted = "create.committed"
        /// The bundle directory exists under `<state>/containers`.
        case startBundle = "start.bundle"
        /// `config.json`, the token and the sockets are there.
        case startSockets = "start.sockets"
        /// The shim runs and nothing else is known of it.
        case startSpawned = "start.spawned"
        /// `shim.pid` is written.
        case startRecorded = "start.recorded"
        /// The shim answered.
        case startConnected = "start.connected"
        /// The task is created, its init waits before exec.
        case startCreated = "start.created"
        /// The clients that attached before the start are with the shim.
        case startAttached = "start.attached"
        /// The shim says that init runs; the database does not know.
        case startStarted = "start.started"
        /// The database says running.
        case startCommitted = "start.committed"
        /// The exec session is known to the engine only.
        case execCreated = "exec.created"
        /// The shim knows the exec session.
        case execAdded = "exec.added"
        /// The client's connection is with the shim.
        case execAttached = "exec.attached"
        /// The exec's process runs.
        case execStarted = "exec.started"
        /// The stop signal is sent.
        case stopSignalled = "stop.signalled"
        /// The grace is over and the container killed.
        case stopKilled = "stop.killed"
        /// The exit arrived, nothing is recorded.
        case exitReceived = "exit.received"
        /// The exit is in the database, the shim not told.
        case exitCommitted = "exit.committed"
        /// The shim has deleted its task.
        case exitDeleted = "exit.deleted"
        /// The shim is gone, the bundle is still there.
        case exitShutDown = "exit.shutdown"
        /// The row says removing.
        case removeMarked = "remove.marked"
        /// The bundle is gone.
        case removeBundle = "remove.bundle"
        /// The writable snapshot is gone.
        case removeSnapshot = "remove.snapshot"
        /// The directory under `<root>/containers` is gone, the row is still there.
        case removeDirectories = "remove.directories"
        /// The row is gone.
        case removeCommitted = "remove.committed"
    }

    private let handler: (@Sendable (Step) -> Void)?

    /// No faults, or `handler` called at each place on the thread that got there.
    public init(handler: (@Sendable (Step) -> Void)? = nil) {
        self.handler = handler
    }

    func reached(_ step: Step) {
        handler?(step)
    }
}
