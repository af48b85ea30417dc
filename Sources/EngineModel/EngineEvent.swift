public import Kernel

/// Something that happened, durable before anybody is told.
public struct EngineEvent: Sendable, Equatable {
    /// What it happened to.
    public enum Kind: String, Sendable, Codable {
        /// A container.
        case container
        /// An image.
        case image
        /// A volume.
        case volume
        /// A network.
        case network
        /// The engine.
        case daemon
    }

    /// Cursor: greater than that of every event before, also over restarts of the engine.
    public var sequence: Int64
    /// When.
    public var time: Timestamp
    /// What kind of thing.
    public var kind: Kind
    /// What happened by Docker's names, such as `start` or `exec_create: sh`.
    public var action: String
    /// Id of the thing.
    public var id: String
    /// Details; a container's are its labels, `image`, `name` and those of the action.
    public var attributes: [String: String]

    package init(
        sequence: Int64,
        time: Timestamp,
        kind: Kind,
        action: String,
        id: String,
        attributes: [String: String]
    ) {
        self.sequence = sequence
        self.time = time
        self.kind = kind
        self.action = action
        self.id = id
        self.attributes = attributes
    }
}

/// Which events.
public struct EventRequest: Sendable {
    /// Also those from this time on.
    public var since: Timestamp?
    /// Also those after this cursor.
    public var after: Int64?
    /// End here; without it, never.
    public var until: Timestamp?
    /// Keys as in docker-api 5.4.
    public var filters: Filters

    /// What happens from now on.
    public init(since: Timestamp? = nil, after: Int64? = nil, until: Timestamp? = nil, filters: Filters = [:]) {
        self.since = since
        self.after = after
        self.until = until
        self.filters = filters
    }
}
