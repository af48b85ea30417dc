/// The body of a container's creation: what runs, beside what the machine gives.
///
/// In JSON the fields of `config` stand at the top level, next to `HostConfig` and `NetworkingConfig`.
public struct ContainerCreateRequest: Codable, Sendable, Equatable, ZeroValue {
    /// What runs.
    public var config: ContainerConfig
    /// What it gets from the machine.
    public var hostConfig: HostConfig
    /// Networks that it joins.
    public var networkingConfig: NetworkingConfig

    /// Everything at its zero value.
    public init() {
        config = ContainerConfig()
        hostConfig = HostConfig()
        networkingConfig = NetworkingConfig()
    }

    private enum CodingKeys: String, CodingKey {
        case hostConfig = "HostConfig"
        case networkingConfig = "NetworkingConfig"
    }

    /// Decodes the three parts from one object.
    public init(from decoder: any Decoder) throws {
        config = try ContainerConfig(from: decoder)
        let container = try decoder.container(keyedBy: CodingKeys.self)
        hostConfig = try container.decodeIfPresent(HostConfig.self, forKey: .hostConfig) ?? HostConfig()
        networkingConfig =
            try container.decodeIfPresent(NetworkingConfig.self, forKey: .networkingConfig) ?? NetworkingConfig()
    }

    /// Encodes the three parts into one object.
    public func encode(to encoder: any Encoder) throws {
        try config.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(hostConfig, forKey: .hostConfig)
        try container.encode(networkingConfig, forKey: .networkingConfig)
    }
}
