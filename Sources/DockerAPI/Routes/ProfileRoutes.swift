import DockerTypes
import Engine
import EngineModel
import EngineStore
import HTTPTypes
import Kernel
import WorkloadProfiles

/// Profiles of system calls, beyond Docker's API.
struct ProfileRoutes: Sendable {
    let engine: Engine

    func register(in table: inout RouteTable<APIHandler>) {
        let base = "/berth/v1/profiles"
        table.add(.get, base, list)
        table.add(.get, "\(base)/{name}", inspect)
        table.add(.delete, "\(base)/{name}", remove)
        table.add(.get, "\(base)/{name}/export", export)
        table.add(.post, "\(base)/{name}/import", body: .json, importProfile)
        table.add(.post, "\(base)/{name}/promote", promote)
        table.add(.post, "\(base)/{name}/allow", body: .json, allow)
        table.add(.get, "\(base)/{name}/diff", compare)
        table.add(.get, "\(base)/{name}/denials", denials)
        table.add(.get, "\(base)/{name}/propose", propose)
        table.add(.get, "/berth/v1/denials", denials)
    }

    private func list(_ request: APIRequest) async throws -> Reply {
        try .json(try await engine.profiles().map(ProfileTranslation.summary))
    }

    private func inspect(_ request: APIRequest) async throws -> Reply {
        let status = try await engine.profile(request.parameter("name"))
        let wantsPromoted = request.query.flag("promoted")
        guard let profile = wantsPromoted ? status.promoted : status.learned ?? status.promoted else {
            throw APIError.notFound("profile '\(status.name)' is not promoted")
        }
        return try .json(ProfileTranslation.document(status, profile))
    }

    private func remove(_ request: APIRequest) async throws -> Reply {
        try await engine.removeProfile(request.parameter("name"), force: request.query.flag("force"))
        return .empty(.noContent)
    }

    private func export(_ request: APIRequest) async throws -> Reply {
        let query = request.query
        let bytes = try await engine.exportProfile(
            request.parameter("name"),
            learned: query.flag("learned"),
            exact: query.flag("exact")
        )
        return .stream(type: "application/json") { writer in try await writer.write(bytes) }
    }

    private func importProfile(_ request: APIRequest) async throws -> Reply {
        let body = try request.decode(BerthProfileImport.self)
        let result = try await engine.importProfile(
            request.parameter("name"),
            Array(body.document.utf8),
            naming: body.allow ?? [],
            replace: body.replace
        )
        var reply = BerthProfileImported()
        reply.calls = result.profile.allowedCalls
        (reply.leftOut, reply.inexpressible, reply.unknown) = (result.leftOut, result.inexpressible, result.unknown)
        return try .json(reply, status: .created)
    }

    private func promote(_ request: APIRequest) async throws -> Reply {
        let name = request.parameter("name")
        _ = try await engine.promoteProfile(name, force: request.query.flag("force"))
        return try .json(ProfileTranslation.summary(try await engine.profile(name)))
    }

    private func allow(_ request: APIRequest) async throws -> Reply {
        let body = try request.decode(BerthProfileAllow.self)
        guard !body.calls.isEmpty else { throw APIError.invalid("no call was named: 'Calls' is empty") }
        let name = request.parameter("name")
        _ = try await engine.allow(body.calls, in: name)
        return try .json(ProfileTranslation.summary(try await engine.profile(name)))
    }

    private func compare(_ request: APIRequest) async throws -> Reply {
        let name = request.parameter("name")
        let other = request.query.text("other").flatMap { $0.isEmpty || $0 == "default" ? nil : $0 }
        let difference = try await engine.compareProfile(name, learned: request.query.flag("learned"), with: other)
        var reply = BerthProfileDifference()
        (reply.name, reply.other) = (name, other ?? "default")
        (reply.allowed, reply.otherAllowed) = (difference.allowed, difference.otherAllowed)
        (reply.added, reply.removed) = (difference.added, difference.removed)
        (reply.widened, reply.narrowed) = (difference.widened, difference.narrowed)
        return try .json(reply)
    }

    private func propose(_ request: APIRequest) async throws -> Reply {
        try .json(
            try await engine.proposals(for: request.parameter("name")).map { proposal in
                var row = BerthProposal()
                row.call = proposal.selector?.description ?? proposal.label
                row.possible = proposal.selector != nil
                row.count = proposal.count
                (row.containers, row.commands) = (proposal.containers, proposal.commands)
                row.danger = proposal.danger
                return row
            }
        )
    }

    /// What there is, the last first; with `follow` then what comes, one document a line.
    private func denials(_ request: APIRequest) async throws -> Reply {
        let name = request.parameter("name")
        let profile = name.isEmpty ? nil : name
        guard request.query.flag("follow") else { return try .json(try await rows(profile).0) }
        var (rows, start): ([BerthDenial], Int64) = ([], 0)
        if let after = try request.query.number("after", in: 0 ... .max) {
            start = Int64(after)
        } else {
            (rows, start) = try await self.rows(profile)
        }
        let sequence = try await engine.events(EventRequest(after: start, filters: ["event": ["denial"]]))
        return .stream(type: "application/json") { [rows] writer in
            for row in rows.reversed() { try await writer.write(json: row) }
            for try await event in sequence {
                let denial = ProfileTranslation.denial(event)
                if profile == nil || denial.profile == profile { try await writer.write(json: denial) }
            }
        }
    }

    private func rows(_ profile: String?) async throws -> ([BerthDenial], Int64) {
        let (denials, last) = try await engine.denials(profile: profile)
        var refused: [String: WorkloadProfile] = [:]
        for name in Set(denials.map(\.profile)) where !name.isEmpty {
            // One that is gone refuses nothing that was known.
            if let status = try? await engine.profile(name) { refused[name] = status.promoted }
        }
        return (denials.map { ProfileTranslation.denial($0, refused[$0.profile]) }, last)
    }
}
