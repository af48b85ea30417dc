public import Kernel

/// A container at one moment, for inspect and list.
public struct ContainerSnapshot: Sendable {
    /// Its id.
    public var id: ContainerID
    /// Its name, without `/`.
    public var name: String
    /// When it was created.
    public var created: Timestamp
    /// What was asked for.
    public var configuration: ContainerConfiguration
    /// Digest of the image's configuration, `sha256:…`.
    public var imageID: String
    /// Program that it runs or would run.
    public var path: String
    /// Arguments of the program.
    public var arguments: [String]
    /// What was made of the configuration and the image: environment, labels, directory, user, signal.
    public var resolved: ResolvedConfiguration
    /// What it does.
    public var state: ContainerState
    /// Binds, volumes and tmpfs.
    public var mounts: [MountPoint]
    /// How often its policy restarted it.
    public var restartCount: Int
    /// The engine's log file; nil with logging off.
    public var logPath: String?
    /// Host path of the container's `/etc/hosts`.
    public var hostsPath: String
    /// Host path of the container's `/etc/resolv.conf`.
    public var resolvConfPath: String
    /// Host path of the container's `/etc/hostname`.
    public var hostnamePath: String
    /// Backend that runs it.
    public var backend: String
    /// What became of its user namespace.
    public var userNamespace: UserNamespaceSetting
    /// Exec sessions that exist.
    public var execIDs: [ExecID]
    /// What becomes of it when its shim dies.
    public var shimDeath: ShimDeath
    /// When the profile was promoted that its present run is held to; nil without one, and where only one container is not looked at.
    public var promotion: String?

    package init(
        id: ContainerID,
        name: String,
        created: Timestamp,
        configuration: ContainerConfiguration,
        imageID: String,
        path: String,
        arguments: [String],
        resolved: ResolvedConfiguration,
        state: ContainerState,
        mounts: [MountPoint],
        restartCount: Int,
        logPath: String? = nil,
        hostsPath: String,
        resolvConfPath: String,
        hostnamePath: String,
        backend: String,
        userNamespace: UserNamespaceSetting,
        execIDs: [ExecID],
        shimDeath: ShimDeath = .adopt
    ) {
        self.id = id
        self.name = name
        self.created = created
        self.configuration = configuration
        self.imageID = imageID
        self.path = path
        self.arguments = arguments
        self.resolved = resolved
        self.state = state
        self.mounts = mounts
        self.restartCount = restartCount
        self.logPath = logPath
        self.hostsPath = hostsPath
        self.resolvConfPath = resolvConfPath
        self.hostnamePath = hostnamePath
        self.backend = backend
        self.userNamespace = userNamespace
        self.execIDs = execIDs
        self.shimDeath = shimDeath
    }
}

/// What create made of a configuration and its image.
public struct ResolvedConfiguration: Sendable, Equatable, Codable {
    /// Entrypoint that holds, maybe the image's.
    public var entrypoint: [String]
    /// Command that holds, maybe the image's.
    public var command: [String]
    /// The complete environment.
    public var environment: [String]
    /// Labels of image and request.
    public var labels: [String: String]
    /// Absolute working directory.
    public var workingDirectory: String
    /// User as text; empty is root.
    public var user: String
    /// Stop signal as text.
    public var stopSignal: String
    /// Host name that the container sees.
    public var hostname: String
    /// Declared ports of image and request.
    public var exposedPorts: [String]
    /// How to find out whether it works; nil without a check.
    public var health: HealthConfiguration?
    /// What a probe runs; nil when there is nothing to look at.
    public var healthCommand: [String]?

    package init(
        entrypoint: [String],
        command: [String],
        environment: [String],
        labels: [String: String],
        workingDirectory: String,
        user: String,
        stopSignal: String,
        hostname: String,
        exposedPorts: [String]
    ) {
        self.entrypoint = entrypoint
        self.command = command
        self.environment = environment
        self.labels = labels
        self.workingDirectory = workingDirectory
        self.user = user
        self.stopSignal = stopSignal
        self.hostname = hostname
        self.exposedPorts = exposedPorts
    }
}

/// What a container does.
public struct ContainerState: Sendable, Equatable {
    /// The state by Docker's names.
    public enum Status: String, Sendable, Codable, CaseIterable {
        /// Never started.
        case created
        /// Its init runs.
        case running
        /// Frozen.
        case paused
        /// Ended, and its policy will start it again.
        case restarting
        /// Being removed.
        case removing
        /// Ended.
        case exited
        /// It could not be removed.
        case dead
    }

    /// The state.
    public var status: Status
    /// Host pid of init while it runs.
    public var pid: Int32?
    /// How it ended last; nil while it runs, and before the first exit.
    public var exit: ContainerExit?
    /// Why the last start failed, or why it is dead; empty when nothing is wrong.
    public var error: String
    /// Last successful start.
    public var startedAt: Timestamp?
    /// Last end.
    public var finishedAt: Timestamp?
    /// Whether it works; nil without a check.
    public var health: HealthSnapshot?
    /// False while its shim does not answer.
    ///
    /// What else is said here is the last that was known.
    public var reachable: Bool
    /// The shim that does not answer; nil while it does, and when there is none.
    public var silence: SilentShim?
    /// Why nobody supervises what runs; nil when its shim does.
    public var unsupervised: String?
    /// What is left of it after it was killed; nil when nothing is, or nobody has killed it.
    public var stuck: StuckState?
    /// What of its configuration is damaged and stands nowhere else; nil for nothing.
    ///
    /// It can be stopped and removed, and not be started or changed.
    public var damaged: String?

    package init(
        status: Status,
        pid: Int32? = nil,
        exit: ContainerExit? = nil,
        error: String,
        startedAt: Timestamp? = nil,
        finishedAt: Timestamp? = nil,
        reachable: Bool,
        unsupervised: String? = nil,
        stuck: StuckState? = nil,
        damaged: String? = nil
    ) {
        self.status = status
        self.pid = pid
        self.exit = exit
        self.error = error
        self.startedAt = startedAt
        self.finishedAt = finishedAt
        self.reachable = reachable
        self.unsupervised = unsupervised
        self.stuck = stuck
        self.damaged = damaged
    }

    /// The number that clients see: code, 128 + signal, 255 for unknown; 0 while it runs, and before the first exit.
    public var exitCode: Int { exit?.status.number ?? 0 }
    /// Whether the last end was the OOM killer's.
    public var oomKilled: Bool { exit?.oomKilled ?? false }
}

/// How an init ended.
public struct ContainerExit: Sendable, Equatable, Codable {
    /// Code, signal, or the reason why neither is known.
    public var status: ProcessExit
    /// When the OOM killer ended it.
    public var oomKilled: Bool
    /// Owner of the limit that the OOM killer enforced; empty when unknown.
    public var oomOwner: String

    /// An end by `status`.
    public init(status: ProcessExit, oomKilled: Bool = false, oomOwner: String = "") {
        self.status = status
        self.oomKilled = oomKilled
        self.oomOwner = oomOwner
    }
}

/// How a process ended.
public enum ProcessExit: Sendable, Equatable, Codable {
    /// By itself, with a code.
    case code(UInt8)
    /// By a signal.
    case signal(Int32)
    /// Nobody saw it; the reason.
    case unknown(String)

    /// The number that clients see: code, 128 + signal, 255 for unknown.
    public var number: Int {
        switch self {
        case .code(let code): Int(code)
        case .signal(let signal): 128 + Int(signal)
        case .unknown: 255
        }
    }
}

/// A mount that a container has.
public struct MountPoint: Sendable, Equatable, Codable {
    /// What is mounted.
    public var kind: MountRequest.Kind
    /// Volume name; nil for others.
    public var name: String?
    /// Host path; empty for tmpfs.
    public var source: String
    /// Path in the container.
    public var destination: String
    /// Options as given.
    public var mode: String
    /// Whether writing is allowed.
    public var readWrite: Bool
    /// Propagation.
    public var propagation: String
    /// Whether the volume was made for this container and goes with it.
    public var anonymous: Bool

    package init(
        kind: MountRequest.Kind,
        name: String? = nil,
        source: String,
        destination: String,
        mode: String,
        readWrite: Bool,
        propagation: String,
        anonymous: Bool
    ) {
        self.kind = kind
        self.name = name
        self.source = source
        self.destination = destination
        self.mode = mode
        self.readWrite = readWrite
        self.propagation = propagation
        self.anonymous = anonymous
    }
}
