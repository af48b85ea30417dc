/// What Berth says of a container beyond Docker's documents.
public struct BerthContainer: Codable, Sendable, Equatable, ZeroValue {
    /// Its user namespace.
    @Zero public var userNamespace: BerthUserNamespace
    /// What becomes of it when its shim dies: `adopt` or `kill`.
    @Zero public var shimDeath: String
    /// What becomes of its name when it cannot be killed and is to be removed: `release` or `keep`.
    @Zero public var stuck: String
    /// The profile that it teaches or is held to; absent without one.
    public var profile: BerthContainerProfile?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case profile = "Profile"
        case userNamespace = "UserNamespace"
        case shimDeath = "ShimDeath"
        case stuck = "Stuck"
    }
}

/// The profile of a container.
public struct BerthContainerProfile: Codable, Sendable, Equatable, ZeroValue {
    /// Its name.
    @Zero public var name: String
    /// `learn`, `enforce`, `kill` or `audit`.
    @Zero public var mode: String
    /// When the profile was promoted that the present run is held to; absent for one that learns, and where nothing runs.
    public var promoted: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case mode = "Mode"
        case promoted = "Promoted"
    }
}

/// The user namespace of a container, and why it is so.
public struct BerthUserNamespace: Codable, Sendable, Equatable, ZeroValue {
    /// `auto` for ids of its own, `shared` for those of another container, `host` for none.
    @Zero public var mode: String
    /// What root in the container is on the host; absent without a user namespace.
    public var hostID: Int?
    /// Number of ids.
    public var size: Int?
    /// Id of the container whose user namespace it shares.
    public var sharedWith: String?
    /// Why, for people.
    @Zero public var reason: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case mode = "Mode"
        case hostID = "HostID"
        case size = "Size"
        case sharedWith = "SharedWith"
        case reason = "Reason"
    }
}

/// What Berth says of a node beyond Docker's documents.
public struct BerthNode: Codable, Sendable, Equatable, ZeroValue {
    /// User namespaces.
    @Zero public var userNamespaces: BerthUserNamespaces
    /// Containers whose shims the manager has not found yet since its start.
    @Zero public var adopting: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case userNamespaces = "UserNamespaces"
        case adopting = "Adopting"
    }
}

/// Whether containers get user namespaces on a node, and what it lacks.
public struct BerthUserNamespaces: Codable, Sendable, Equatable, ZeroValue {
    /// Whether a container that asks for nothing gets one.
    @Zero public var `default`: Bool
    /// What the configuration says: `auto` or `host`.
    @Zero public var configured: String
    /// What the node lacks, by name.
    @Zero public var missing: [String]
    /// Ids of the host for containers, as `first:count`.
    @Zero public var pool: [String]
    /// Where the pool comes from.
    @Zero public var poolSource: String
    /// Ids in the pool.
    @Zero public var ids: Int
    /// Ids that containers hold.
    @Zero public var held: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case `default` = "Default"
        case configured = "Configured"
        case missing = "Missing"
        case pool = "Pool"
        case poolSource = "PoolSource"
        case ids = "IDs"
        case held = "Held"
    }
}

/// What an upgrade of the manager in place is asked for with.
public struct BerthUpgradeRequest: Codable, Sendable, Equatable, ZeroValue {
    /// Absolute path of the new program; absent or empty is the one that the manager was started from.
    public var binary: String?
    /// Whether only to look whether it could take over.
    @Zero public var check: Bool

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case binary = "Binary"
        case check = "Check"
    }
}

/// How an upgrade of the manager came out, or would.
public struct BerthUpgrade: Codable, Sendable, Equatable, ZeroValue {
    /// Version that was replaced.
    @Zero public var from: String
    /// Version that serves now, or would.
    @Zero public var to: String
    /// Path of its program.
    @Zero public var binary: String
    /// Process id, the same before and after.
    @Zero public var pid: Int
    /// Whether nothing stands in the way.
    @Zero public var ready: Bool
    /// What stands in the way, one line each.
    @Zero public var problems: [String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case from = "From"
        case to = "To"
        case binary = "Binary"
        case pid = "Pid"
        case ready = "Ready"
        case problems = "Problems"
    }
}

/// What an exec session can have beyond Docker.
public struct BerthExecOptions: Codable, Sendable, Equatable, ZeroValue {
    /// Milliseconds after which it is killed with all that it has started; 0 is without limit.
    @Zero public var timeout: Int
    /// Bytes of recent output that are kept; nil for the manager's default.
    public var ringSize: Int?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case timeout = "Timeout"
        case ringSize = "RingSize"
    }
}

/// What Berth says of an exec session beyond Docker.
public struct BerthExec: Codable, Sendable, Equatable, ZeroValue {
    /// When it was started.
    @Zero public var startedAt: GoTime
    /// When it ended.
    @Zero public var finishedAt: GoTime
    /// Whether it was killed because its time was over.
    @Zero public var timedOut: Bool
    /// What is the matter with it beyond its end; empty for nothing.
    @Zero public var problem: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case startedAt = "StartedAt"
        case finishedAt = "FinishedAt"
        case timedOut = "TimedOut"
        case problem = "Problem"
    }
}
