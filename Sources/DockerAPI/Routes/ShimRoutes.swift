import DockerTypes
import Engine
import EngineModel
import HTTPTypes
import Kernel

/// The processes that hold containers, beyond Docker's API.
struct ShimRoutes: Sendable {
    let engine: Engine

    func register(in table: inout RouteTable<APIHandler>) {
        table.add(.get, "/berth/v1/shims", list)
        table.add(.post, "/berth/v1/shims/upgrade", body: .json, upgrade)
    }

    private func list(_ request: APIRequest) async throws -> Reply {
        try .json(
            await engine.shims().map { shim in
                var row = BerthShim()
                row.id = shim.container.description
                row.name = shim.name
                row.backend = shim.backend
                row.state = shim.state.rawValue
                row.version = shim.version ?? ""
                row.protocol = Int(shim.protocol ?? 0)
                row.pid = Int(shim.pid ?? 0)
                row.privateMemory = shim.privateMemory ?? 0
                row.startedAt = shim.startedAt?.description ?? ""
                row.silentSince = shim.silence?.since.description ?? ""
                row.processState = shim.silence?.state ?? ""
                row.waitChannel = shim.silence?.waitChannel ?? ""
                row.reason = shim.reason ?? ""
                return row
            }
        )
    }

    private func upgrade(_ request: APIRequest) async throws -> Reply {
        let body = try request.decodeIfPresent(BerthShimUpgradeRequest.self) ?? BerthShimUpgradeRequest()
        guard body.all != !(body.ids ?? []).isEmpty else {
            throw APIError.invalid("name the containers in 'IDs', or set 'All'; not both")
        }
        let binary = body.binary.flatMap { $0.isEmpty ? nil : $0 }
        if let binary, !binary.hasPrefix("/") {
            throw APIError.invalid("the program's path '\(binary)' is not absolute")
        }
        let outcomes = try await engine.upgradeShims(body.all ? nil : body.ids, binary: binary)
        return try .json(
            outcomes.map { outcome in
                var row = BerthShimUpgrade()
                row.id = outcome.container.description
                row.name = outcome.name
                row.from = outcome.from ?? ""
                row.to = outcome.to ?? ""
                row.error = outcome.problem
                return row
            }
        )
    }
}
