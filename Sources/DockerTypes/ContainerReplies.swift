/// The body of every failed request.
public struct ErrorResponse: Codable, Sendable, Equatable, ZeroValue {
    /// What went wrong.
    @Zero public var message: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case message
    }
}

/// Answer to a creation.
public struct ContainerCreateResponse: Codable, Sendable, Equatable, ZeroValue {
    /// Id of the new container.
    @Zero public var id: String
    /// What was accepted but has no effect.
    @Zero public var warnings: [String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id"
        case warnings = "Warnings"
    }
}

/// Why waiting gave no exit code.
public struct WaitError: Codable, Sendable, Equatable, ZeroValue {
    /// The reason.
    @Zero public var message: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case message = "Message"
    }
}

/// Answer to a wait.
public struct WaitResponse: Codable, Sendable, Equatable, ZeroValue {
    /// Exit code; 128 plus the number for a signal.
    @Zero public var statusCode: Int
    /// Set when the exit code is not known.
    public var error: WaitError?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case statusCode = "StatusCode"
        case error = "Error"
    }
}

/// Processes of a container.
public struct TopResponse: Codable, Sendable, Equatable, ZeroValue {
    /// Column titles.
    @Zero public var titles: [String]
    /// One row a process, in the order of the titles.
    @Zero public var processes: [[String]]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case titles = "Titles"
        case processes = "Processes"
    }
}

/// Answer to a prune of containers.
public struct ContainerPruneResponse: Codable, Sendable, Equatable, ZeroValue {
    /// Ids.
    @Zero public var containersDeleted: [String]
    /// Bytes.
    @Zero public var spaceReclaimed: UInt64

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case containersDeleted = "ContainersDeleted"
        case spaceReclaimed = "SpaceReclaimed"
    }
}

/// A path that differs from the image.
public struct FilesystemChange: Codable, Sendable, Equatable, ZeroValue {
    /// Absolute path in the container.
    @Zero public var path: String
    /// 0 modified, 1 added, 2 deleted.
    @Zero public var kind: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case path = "Path"
        case kind = "Kind"
    }
}
