/// One shim.
public struct BerthShim: Codable, Sendable, Equatable, ZeroValue {
    /// Id of its container.
    @Zero public var id: String
    /// Name of its container.
    @Zero public var name: String
    /// Backend.
    @Zero public var backend: String
    /// `reachable`, `unreachable`, `incompatible`, `unsupervised` or `upgrading`.
    @Zero public var state: String
    /// Version of its program; empty when it does not answer.
    @Zero public var version: String
    /// Version of the protocol; 0 when it does not answer.
    @Zero public var `protocol`: Int
    /// Its process; 0 when there is none.
    @Zero public var pid: Int
    /// Bytes that it shares with nobody, without its program's own.
    @Zero public var privateMemory: Int
    /// When it took over its container; empty when it does not answer.
    @Zero public var startedAt: String
    /// Since when it does not answer; empty while it does.
    @Zero public var silentSince: String
    /// What the process of one that does not answer does: letter and word as in `/proc/PID/status`; empty while it answers.
    @Zero public var processState: String
    /// The kernel's function that one that does not answer waits in; empty while it answers, and when the kernel does not say.
    @Zero public var waitChannel: String
    /// Why one is `incompatible`, and what to do, or why its container is `unsupervised`; empty otherwise.
    @Zero public var reason: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID"
        case name = "Name"
        case backend = "Backend"
        case state = "State"
        case version = "Version"
        case `protocol` = "Protocol"
        case pid = "Pid"
        case privateMemory = "PrivateMemory"
        case startedAt = "StartedAt"
        case silentSince = "SilentSince"
        case processState = "ProcessState"
        case waitChannel = "WaitChannel"
        case reason = "Reason"
    }
}

/// Which shims to upgrade, and to what.
public struct BerthShimUpgradeRequest: Codable, Sendable, Equatable, ZeroValue {
    /// Containers by id, beginning of an id, or name.
    public var ids: [String]?
    /// All that there are.
    @Zero public var all: Bool
    /// Absolute path of the new program; absent or empty is the one that each backend is configured with.
    public var binary: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case ids = "IDs"
        case all = "All"
        case binary = "Binary"
    }
}

/// How the upgrade of one shim came out.
public struct BerthShimUpgrade: Codable, Sendable, Equatable, ZeroValue {
    /// Id of its container.
    @Zero public var id: String
    /// Name of its container.
    @Zero public var name: String
    /// Version before.
    @Zero public var from: String
    /// Version now; empty after a failure.
    @Zero public var to: String
    /// Why it failed; absent when it did not.
    public var error: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID"
        case name = "Name"
        case from = "From"
        case to = "To"
        case error = "Error"
    }
}
