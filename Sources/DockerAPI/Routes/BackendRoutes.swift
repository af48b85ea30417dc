import DockerTypes
import Engine
import EngineModel
import HTTPTypes

/// How containers can be isolated, beyond Docker's API.
struct BackendRoutes: Sendable {
    let engine: Engine

    func register(in table: inout RouteTable<APIHandler>) {
        table.add(.get, "/berth/v1/backends", list)
        table.add(.get, "/berth/v1/backends/{name}", inspect)
    }

    private func list(_ request: APIRequest) async throws -> Reply {
        try .json(await engine.backends().map(Self.row))
    }

    private func inspect(_ request: APIRequest) async throws -> Reply {
        try .json(Self.row(try await engine.backend(request.parameter("name"))))
    }

    private static func row(_ status: BackendStatus) -> BerthBackend {
        var row = BerthBackend()
        row.name = status.name
        row.program = status.program
        row.version = status.version
        row.capabilities = status.capabilities
        row.isDefault = status.isDefault
        row.source = status.isConfigured ? "configured" : "found"
        row.options = status.options
        row.error = status.problem
        return row
    }
}
