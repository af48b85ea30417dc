/// One backend: how containers can be isolated here.
public struct BerthBackend: Codable, Sendable, Equatable, ZeroValue {
    /// The name that `--runtime` takes.
    @Zero public var name: String
    /// Absolute path of its program.
    @Zero public var program: String
    /// Version of its program; empty when it does not say.
    @Zero public var version: String
    /// What it can beyond the contract, as words in alphabetical order.
    @Zero public var capabilities: [String]
    /// Whether containers that name no backend get it.
    @Zero public var isDefault: Bool
    /// `configured`, or `found` beside the manager.
    @Zero public var source: String
    /// What it is told at every creation.
    @Zero public var options: [String: String]
    /// Why it could not be asked; absent when it could.
    public var error: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case program = "Program"
        case version = "Version"
        case capabilities = "Capabilities"
        case isDefault = "Default"
        case source = "Source"
        case options = "Options"
        case error = "Error"
    }
}
