import DockerTypes
import Engine
import EngineModel
import HTTPTypes
import Kernel

/// What is about the manager itself, beyond Docker's API.
struct ManagerRoutes: Sendable {
    let engine: Engine
    let control: (any ManagerControl)?

    func register(in table: inout RouteTable<APIHandler>) {
        table.add(.get, "/berth/v1/ping", ping)
        table.add(.post, "/berth/v1/upgrade", body: .json, hijacks: true, upgrade)
    }

    private func ping(_ request: APIRequest) async throws -> Reply {
        var reply = BerthPing()
        reply.version = engine.configuration.version
        reply.pid = Int(Credentials.processID)
        return try .json(reply)
    }

    /// Answers only a check, or why there is no upgrade: of one that happens the new program tells.
    private func upgrade(_ request: APIRequest) async throws -> Reply {
        guard let control else { throw APIError.notImplemented("this manager cannot be upgraded in place") }
        let body =
            try request.decodeIfPresent(BerthUpgradeRequest.self, only: ["Binary", "Check"]) ?? BerthUpgradeRequest()
        let binary = body.binary.flatMap { $0.isEmpty ? nil : $0 }
        if let binary, !binary.hasPrefix("/") {
            throw APIError.invalid("the program's path '\(binary)' is not absolute")
        }
        if body.check { return try .json(try await control.check(binary)) }
        let connection = request.connection
        try await control.upgrade(to: binary) { try await connection.hijack().descriptor }
        return .hijacked
    }
}
