/// How much a volume is used.
public struct VolumeUsage: Codable, Sendable, Equatable, ZeroValue {
    /// Bytes; -1 when not computed.
    @Zero public var size: Int
    /// Containers that use it; -1 when not computed.
    @Zero public var refCount: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case size = "Size"
        case refCount = "RefCount"
    }
}

/// A volume.
public struct Volume: Codable, Sendable, Equatable, ZeroValue {
    /// Time of creation, RFC 3339.
    public var createdAt: GoTime?
    /// Name of the driver.
    @Zero public var driver: String
    /// Labels.
    public var labels: [String: String]?
    /// Path on the host.
    @Zero public var mountpoint: String
    /// Name.
    @Zero public var name: String
    /// Options of the driver.
    public var options: [String: String]?
    /// `local`.
    @Zero public var scope: String
    /// How much it is used.
    public var usageData: VolumeUsage?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case createdAt = "CreatedAt"
        case driver = "Driver"
        case labels = "Labels"
        case mountpoint = "Mountpoint"
        case name = "Name"
        case options = "Options"
        case scope = "Scope"
        case usageData = "UsageData"
    }
}

/// Volumes.
public struct VolumeListResponse: Codable, Sendable, Equatable, ZeroValue {
    /// The volumes.
    @Zero public var volumes: [Volume]
    /// What went wrong on the way.
    public var warnings: [String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case volumes = "Volumes"
        case warnings = "Warnings"
    }
}

/// Answer to a prune of volumes.
public struct VolumePruneResponse: Codable, Sendable, Equatable, ZeroValue {
    /// Names.
    @Zero public var volumesDeleted: [String]
    /// Bytes.
    @Zero public var spaceReclaimed: UInt64

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case volumesDeleted = "VolumesDeleted"
        case spaceReclaimed = "SpaceReclaimed"
    }
}

/// Answer to a prune of networks.
public struct NetworkPruneResponse: Codable, Sendable, Equatable, ZeroValue {
    /// Names.
    @Zero public var networksDeleted: [String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case networksDeleted = "NetworksDeleted"
    }
}
