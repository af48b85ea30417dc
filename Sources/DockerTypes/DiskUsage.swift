/// Disk use of images, containers and volumes.
public struct DiskUsage: Codable, Sendable, Equatable, ZeroValue {
    /// Bytes of all layers.
    @Zero public var layersSize: Int
    /// Images.
    @Zero public var images: [ImageSummary]
    /// Containers with sizes.
    @Zero public var containers: [ContainerSummary]
    /// Volumes.
    @Zero public var volumes: [Volume]
    /// Build cache; empty.
    @Zero public var buildCache: [Empty]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case layersSize = "LayersSize"
        case images = "Images"
        case containers = "Containers"
        case volumes = "Volumes"
        case buildCache = "BuildCache"
    }
}

/// Answer to a login.
public struct AuthResponse: Codable, Sendable, Equatable, ZeroValue {
    /// Result.
    @Zero public var status: String
    /// Token for later requests.
    public var identityToken: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case status = "Status"
        case identityToken = "IdentityToken"
    }
}

/// Berth's own answer to a ping.
public struct BerthPing: Codable, Sendable, Equatable, ZeroValue {
    /// Version of the daemon.
    @Zero public var version: String
    /// Process id of the daemon.
    @Zero public var pid: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case version
        case pid
    }
}
