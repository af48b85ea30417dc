import DockerTypes
import HTTPTypes

/// The three networks that always exist, to look at.
struct NetworkRoutes: Sendable {
    func register(in table: inout RouteTable<APIHandler>) {
        table.add(.get, "/networks", list)
        table.add(.get, "/networks/{id}", inspect)
        table.add(.post, "/networks/prune") { _ in try .json(NetworkPruneResponse()) }
    }

    private static let drivers = ["bridge": "bridge", "host": "host", "none": "null"]

    /// The id of a network: its name in hexadecimal, filled up to 64 digits.
    static func identifier(of name: String) -> String {
        let digits = name.utf8.prefix(32).map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
        return digits + String(repeating: "0", count: 64 - digits.count)
    }

    private func network(_ name: String) -> NetworkResource {
        var network = NetworkResource()
        network.name = name
        network.id = Self.identifier(of: name)
        network.scope = "local"
        network.driver = Self.drivers[name] ?? ""
        network.ipam.driver = "default"
        network.enableIPv4 = true
        return network
    }

    private func list(_ request: APIRequest) async throws -> Reply {
        let filters = try request.query.filters(
            allowed: ["dangling", "driver", "id", "label", "name", "scope", "type"]
        )
        let rows = Self.drivers.keys.sorted().map(network).filter { network in
            matches(filters["name"]) { network.name.contains($0) }
                && matches(filters["id"]) { network.id.hasPrefix($0) }
                && matches(filters["driver"]) { network.driver == $0 }
                && matches(filters["scope"]) { network.scope == $0 }
                && matches(filters["type"]) { $0 == "builtin" }
                && matches(filters["label"]) { _ in false }
                && matches(filters["dangling"]) { $0 == "false" || $0 == "0" }
        }
        return try .json(rows)
    }

    private func matches(_ values: [String]?, _ test: (String) -> Bool) -> Bool {
        values.map { $0.contains(where: test) } ?? true
    }

    private func inspect(_ request: APIRequest) async throws -> Reply {
        let wanted = request.parameter("id")
        let found = Self.drivers.keys.sorted().map(network).first { $0.name == wanted || $0.id == wanted }
        guard let found else { throw APIError.notFound("network \(wanted) not found") }
        return try .json(found)
    }
}
