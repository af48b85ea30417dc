/// What Berth offers in a create request beyond Docker.
public struct BerthHostConfig: Codable, Sendable, Equatable, ZeroValue {
    /// When the container's shim dies: `adopt` or `kill`; nil or empty for the manager's default.
    public var shimDeath: String?
    /// When the container cannot be killed and is to be removed: `release` its name or `keep` it; nil or empty releases.
    public var stuck: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case shimDeath = "ShimDeath"
        case stuck = "Stuck"
    }
}

/// What is the matter with a container.
public struct BerthContainerState: Codable, Sendable, Equatable, ZeroValue {
    /// Whether its shim answers.
    @Zero public var reachable: Bool
    /// The shim that does not answer; absent when it does.
    public var shim: BerthSilentShim?
    /// Why nobody supervises it; absent when its shim does.
    public var unsupervised: String?
    /// What is left of it after a kill; absent when nothing is.
    public var stuck: BerthStuck?
    /// The cgroup whose memory limit ended it: its own, its pod's or one above; absent unless one did.
    public var oomOwner: String?
    /// What of its configuration is damaged and stands nowhere else; absent when nothing is.
    public var damaged: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case reachable = "Reachable"
        case shim = "Shim"
        case unsupervised = "Unsupervised"
        case stuck = "Stuck"
        case oomOwner = "OOMOwner"
        case damaged = "Damaged"
    }
}

/// A shim that does not answer, as it was seen last.
public struct BerthSilentShim: Codable, Sendable, Equatable, ZeroValue {
    /// Its process; 0 when nobody knows it.
    @Zero public var pid: Int
    /// Letter and word as in `/proc/PID/status`, such as `T (stopped)`; empty when the process is gone.
    @Zero public var state: String
    /// The kernel's function that it waits in; empty when the kernel does not say.
    @Zero public var waitChannel: String
    /// When it was noticed.
    @Zero public var since: GoTime

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case pid = "Pid"
        case state = "State"
        case waitChannel = "WaitChannel"
        case since = "Since"
    }
}

/// What is left of a container after a kill.
public struct BerthStuck: Codable, Sendable, Equatable, ZeroValue {
    /// When the kill was given up.
    @Zero public var since: GoTime
    /// The processes, as they were seen last.
    @Zero public var tasks: [BerthStuckTask]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case since = "Since"
        case tasks = "Tasks"
    }
}

/// One process that cannot be killed.
public struct BerthStuckTask: Codable, Sendable, Equatable, ZeroValue {
    /// Its number on the host.
    @Zero public var pid: Int
    /// Its program's name.
    @Zero public var command: String
    /// One letter as in proc(5).
    @Zero public var state: String
    /// The kernel's function that it waits in; empty when the kernel does not say.
    @Zero public var waitChannel: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case pid = "Pid"
        case command = "Command"
        case state = "State"
        case waitChannel = "WaitChannel"
    }
}
