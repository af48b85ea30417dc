/// What an event happened to.
public struct EventActor: Codable, Sendable, Equatable, ZeroValue {
    /// Id of the object.
    @Zero public var id: String
    /// Labels and facts of the object.
    @Zero public var attributes: [String: String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID"
        case attributes = "Attributes"
    }
}

/// Something that happened.
public struct EventMessage: Codable, Sendable, Equatable, ZeroValue {
    /// Action, for containers and images (old form).
    public var status: String?
    /// Id, for containers and images (old form).
    public var id: String?
    /// Image, for containers (old form).
    public var from: String?
    /// `container`, `image`, `network`, `volume`, `daemon`.
    @Zero public var type: String
    /// What happened.
    @Zero public var action: String
    /// What it happened to.
    @Zero public var actor: EventActor
    /// `local`.
    @Zero public var scope: String
    /// Seconds since 1970.
    @Zero public var time: Int
    /// Nanoseconds since 1970.
    @Zero public var timeNano: Int
    /// Cursor of this event, in Berth's own stream only: greater than that of every event before, over restarts and upgrades.
    public var cursor: Int?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case status
        case id
        case from
        case type = "Type"
        case action = "Action"
        case actor = "Actor"
        case scope
        case time
        case timeNano
        case cursor = "Cursor"
    }
}

/// The first line of Berth's own stream of events: from where it reads.
public struct BerthEventStart: Codable, Sendable, Equatable, ZeroValue {
    /// The events that follow have greater cursors.
    @Zero public var start: Int
    /// Whether events between the asked-for cursor and this one are not kept any more.
    @Zero public var missed: Bool

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case start = "Start"
        case missed = "Missed"
    }
}
