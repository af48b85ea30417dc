/// A port of a container in a list.
public struct Port: Codable, Sendable, Equatable, ZeroValue {
    /// Address on the host.
    public var ip: String?
    /// Port in the container.
    @Zero public var privatePort: Int
    /// Port on the host.
    public var publicPort: Int?
    /// `tcp`, `udp` or `sctp`.
    @Zero public var type: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case ip = "IP"
        case privatePort = "PrivatePort"
        case publicPort = "PublicPort"
        case type = "Type"
    }
}

/// The part of the host configuration that lists show.
public struct HostConfigSummary: Codable, Sendable, Equatable, ZeroValue {
    /// Network mode.
    @Zero public var networkMode: String
    /// Annotations.
    public var annotations: [String: String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case networkMode = "NetworkMode"
        case annotations = "Annotations"
    }
}

/// A container in a list.
public struct ContainerSummary: Codable, Sendable, Equatable, ZeroValue {
    /// Id.
    @Zero public var id: String
    /// Names, each with a leading slash.
    @Zero public var names: [String]
    /// Image as the client named it.
    @Zero public var image: String
    /// Id of the image.
    @Zero public var imageID: String
    /// Command line, quoted for reading.
    @Zero public var command: String
    /// Time of creation in seconds since 1970.
    @Zero public var created: Int
    /// Ports.
    @Zero public var ports: [Port]
    /// Bytes that the container wrote; only when asked for.
    public var sizeRw: Int?
    /// Bytes of the whole root file system; only when asked for.
    public var sizeRootFs: Int?
    /// Labels.
    @Zero public var labels: [String: String]
    /// State, as in `ContainerState.status`.
    @Zero public var state: String
    /// State for people, such as `Up 5 minutes`.
    @Zero public var status: String
    /// Part of the host configuration.
    @Zero public var hostConfig: HostConfigSummary
    /// Networks.
    @Zero public var networkSettings: NetworkSummarySettings
    /// Mounts.
    @Zero public var mounts: [MountPoint]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id"
        case names = "Names"
        case image = "Image"
        case imageID = "ImageID"
        case command = "Command"
        case created = "Created"
        case ports = "Ports"
        case sizeRw = "SizeRw"
        case sizeRootFs = "SizeRootFs"
        case labels = "Labels"
        case state = "State"
        case status = "Status"
        case hostConfig = "HostConfig"
        case networkSettings = "NetworkSettings"
        case mounts = "Mounts"
    }
}
