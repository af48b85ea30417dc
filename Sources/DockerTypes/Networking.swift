/// Addresses that a client asks for.
public struct EndpointIPAMConfig: Codable, Sendable, Equatable, ZeroValue {
    /// IPv4 address.
    public var ipv4Address: String?
    /// IPv6 address.
    public var ipv6Address: String?
    /// Link-local addresses.
    public var linkLocalIPs: [String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case ipv4Address = "IPv4Address"
        case ipv6Address = "IPv6Address"
        case linkLocalIPs = "LinkLocalIPs"
    }
}

/// One container's end of a network.
public struct EndpointSettings: Codable, Sendable, Equatable, ZeroValue {
    /// Addresses asked for.
    public var ipamConfig: EndpointIPAMConfig?
    /// Links to other containers on this network.
    public var links: [String]?
    /// Hardware address.
    @Zero public var macAddress: String
    /// Further names on this network.
    public var aliases: [String]?
    /// Options of the driver.
    public var driverOpts: [String: String]?
    /// Priority for being the default gateway.
    @Zero public var gwPriority: Int
    /// Id of the network.
    @Zero public var networkID: String
    /// Id of the endpoint; empty while the container does not run.
    @Zero public var endpointID: String
    /// IPv4 gateway.
    @Zero public var gateway: String
    /// IPv4 address.
    @Zero public var ipAddress: String
    /// Length of the IPv4 prefix.
    @Zero public var ipPrefixLen: Int
    /// IPv6 gateway.
    @Zero public var ipv6Gateway: String
    /// IPv6 address.
    @Zero public var globalIPv6Address: String
    /// Length of the IPv6 prefix.
    @Zero public var globalIPv6PrefixLen: Int
    /// All names that the network's resolver knows.
    public var dnsNames: [String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case ipamConfig = "IPAMConfig"
        case links = "Links"
        case macAddress = "MacAddress"
        case aliases = "Aliases"
        case driverOpts = "DriverOpts"
        case gwPriority = "GwPriority"
        case networkID = "NetworkID"
        case endpointID = "EndpointID"
        case gateway = "Gateway"
        case ipAddress = "IPAddress"
        case ipPrefixLen = "IPPrefixLen"
        case ipv6Gateway = "IPv6Gateway"
        case globalIPv6Address = "GlobalIPv6Address"
        case globalIPv6PrefixLen = "GlobalIPv6PrefixLen"
        case dnsNames = "DNSNames"
    }
}

/// Networks of a container at its creation.
public struct NetworkingConfig: Codable, Sendable, Equatable, ZeroValue {
    /// Endpoint settings by network name or id.
    public var endpointsConfig: [String: EndpointSettings?]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case endpointsConfig = "EndpointsConfig"
    }
}

/// An address with its prefix.
public struct NetworkAddress: Codable, Sendable, Equatable, ZeroValue {
    /// Address.
    @Zero public var addr: String
    /// Length of the prefix.
    @Zero public var prefixLen: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case addr = "Addr"
        case prefixLen = "PrefixLen"
    }
}

/// The network state of a container.
public struct NetworkSettings: Codable, Sendable, Equatable, ZeroValue {
    /// Name of the bridge; deprecated, empty.
    @Zero public var bridge: String
    /// Id of the network namespace.
    @Zero public var sandboxID: String
    /// Path of the network namespace.
    @Zero public var sandboxKey: String
    /// Published ports by container port; null where exposed only.
    @Zero public var ports: [String: [PortBinding]?]
    /// Endpoint on the default network.
    @Zero public var endpointID: String
    /// IPv4 gateway on the default network.
    @Zero public var gateway: String
    /// IPv6 address on the default network.
    @Zero public var globalIPv6Address: String
    /// Length of the IPv6 prefix on the default network.
    @Zero public var globalIPv6PrefixLen: Int
    /// IPv4 address on the default network.
    @Zero public var ipAddress: String
    /// Length of the IPv4 prefix on the default network.
    @Zero public var ipPrefixLen: Int
    /// IPv6 gateway on the default network.
    @Zero public var ipv6Gateway: String
    /// Hardware address on the default network.
    @Zero public var macAddress: String
    /// Endpoints by network name.
    @Zero public var networks: [String: EndpointSettings]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case bridge = "Bridge"
        case sandboxID = "SandboxID"
        case sandboxKey = "SandboxKey"
        case ports = "Ports"
        case endpointID = "EndpointID"
        case gateway = "Gateway"
        case globalIPv6Address = "GlobalIPv6Address"
        case globalIPv6PrefixLen = "GlobalIPv6PrefixLen"
        case ipAddress = "IPAddress"
        case ipPrefixLen = "IPPrefixLen"
        case ipv6Gateway = "IPv6Gateway"
        case macAddress = "MacAddress"
        case networks = "Networks"
    }
}

/// Networks of a container in a list.
public struct NetworkSummarySettings: Codable, Sendable, Equatable, ZeroValue {
    /// Endpoints by network name.
    @Zero public var networks: [String: EndpointSettings]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case networks = "Networks"
    }
}

/// One address pool of a network.
public struct IPAMPoolConfig: Codable, Sendable, Equatable, ZeroValue {
    /// Subnet in CIDR form.
    public var subnet: String?
    /// Range inside the subnet that addresses come from.
    public var ipRange: String?
    /// Gateway address.
    public var gateway: String?
    /// Addresses that the network does not hand out.
    public var auxiliaryAddresses: [String: String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case subnet = "Subnet"
        case ipRange = "IPRange"
        case gateway = "Gateway"
        case auxiliaryAddresses = "AuxiliaryAddresses"
    }
}

/// Address management of a network.
public struct IPAM: Codable, Sendable, Equatable, ZeroValue {
    /// Name of the driver.
    @Zero public var driver: String
    /// Options of the driver.
    public var options: [String: String]?
    /// Address pools.
    @Zero public var config: [IPAMPoolConfig]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case driver = "Driver"
        case options = "Options"
        case config = "Config"
    }
}

/// Names another network.
public struct NetworkReference: Codable, Sendable, Equatable, ZeroValue {
    /// Name of the network.
    @Zero public var network: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case network = "Network"
    }
}

/// A container on a network.
public struct NetworkContainer: Codable, Sendable, Equatable, ZeroValue {
    /// Name of the container.
    @Zero public var name: String
    /// Id of the endpoint.
    @Zero public var endpointID: String
    /// Hardware address.
    @Zero public var macAddress: String
    /// IPv4 address with prefix.
    @Zero public var ipv4Address: String
    /// IPv6 address with prefix.
    @Zero public var ipv6Address: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case endpointID = "EndpointID"
        case macAddress = "MacAddress"
        case ipv4Address = "IPv4Address"
        case ipv6Address = "IPv6Address"
    }
}

/// A network.
public struct NetworkResource: Codable, Sendable, Equatable, ZeroValue {
    /// Name.
    @Zero public var name: String
    /// Id.
    @Zero public var id: String
    /// Time of creation, RFC 3339.
    @Zero public var created: GoTime
    /// `local`.
    @Zero public var scope: String
    /// Name of the driver.
    @Zero public var driver: String
    /// Whether IPv4 addresses are given out.
    @Zero public var enableIPv4: Bool
    /// Whether IPv6 addresses are given out.
    @Zero public var enableIPv6: Bool
    /// Address management.
    @Zero public var ipam: IPAM
    /// Whether the network has no way out.
    @Zero public var `internal`: Bool
    /// Swarm only.
    @Zero public var attachable: Bool
    /// Swarm only.
    @Zero public var ingress: Bool
    /// Network that the configuration comes from.
    @Zero public var configFrom: NetworkReference
    /// Whether this only holds configuration.
    @Zero public var configOnly: Bool
    /// Containers by id.
    @Zero public var containers: [String: NetworkContainer]
    /// Options of the driver.
    @Zero public var options: [String: String]
    /// Labels.
    @Zero public var labels: [String: String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case id = "Id"
        case created = "Created"
        case scope = "Scope"
        case driver = "Driver"
        case enableIPv4 = "EnableIPv4"
        case enableIPv6 = "EnableIPv6"
        case ipam = "IPAM"
        case `internal` = "Internal"
        case attachable = "Attachable"
        case ingress = "Ingress"
        case configFrom = "ConfigFrom"
        case configOnly = "ConfigOnly"
        case containers = "Containers"
        case options = "Options"
        case labels = "Labels"
    }
}
