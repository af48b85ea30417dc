import DockerTypes
import HTTPTypes

/// What this daemon does not offer, answered the way that clients understand.
struct AbsentRoutes: Sendable {
    private static let noSwarm =
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node "
        + "to swarm and try again."

    func register(in table: inout RouteTable<APIHandler>) {
        registerSwarm(&table)
        registerVolumes(&table)
        table.add(.get, "/plugins") { _ in try .json([Empty]()) }
        table.add(.get, "/plugins/{name...}/json") { request in
            throw APIError.notFound("plugin \"\(request.parameter("name"))\" not found")
        }
        table.add(.post, "/build/prune") { _ in try .json(BuildPruneResponse()) }
        for (method, template, what) in Self.notOffered {
            table.add(method, template) { _ in throw APIError.notImplemented("\(what) is not offered by this daemon") }
        }
    }

    private static let notOffered: [(HTTPRequest.Method, String, String)] = [
        (.post, "/images/create", "pulling and importing images (load an archive instead)"),
        (.post, "/images/{name...}/push", "pushing images"),
        (.get, "/images/search", "searching images"),
        (.get, "/images/get", "saving images"),
        (.get, "/images/{name...}/get", "saving images"),
        (.get, "/distribution/{name...}/json", "asking registries"),
        (.post, "/auth", "logging in to registries"),
        (.post, "/build", "building images"),
        (.post, "/build/cancel", "building images"),
        (.post, "/commit", "committing containers"),
        (.get, "/containers/{id}/changes", "listing changed files"),
        (.get, "/containers/{id}/export", "exporting containers"),
        (.head, "/containers/{id}/archive", "copying files"),
        (.get, "/containers/{id}/archive", "copying files"),
        (.put, "/containers/{id}/archive", "copying files"),
        (.get, "/containers/{id}/attach/ws", "attaching by WebSocket"),
        (.post, "/networks/create", "creating networks"),
        (.post, "/networks/{id}/connect", "connecting networks"),
        (.post, "/networks/{id}/disconnect", "disconnecting networks"),
        (.delete, "/networks/{id}", "removing networks"),
        (.post, "/volumes/create", "creating volumes"),
        (.delete, "/volumes/{name}", "removing volumes"),
    ]

    private func registerSwarm(_ table: inout RouteTable<APIHandler>) {
        for template in [
            "/swarm", "/swarm/unlockkey", "/nodes", "/nodes/{id}", "/services", "/services/{id}",
            "/services/{id}/logs", "/tasks", "/tasks/{id}", "/tasks/{id}/logs", "/secrets", "/secrets/{id}",
            "/configs", "/configs/{id}",
        ] {
            table.add(.get, template) { _ in throw APIError.unavailable(Self.noSwarm) }
        }
        for template in [
            "/swarm/init", "/swarm/join", "/swarm/update", "/swarm/unlock", "/services/create", "/secrets/create",
            "/configs/create",
        ] {
            table.add(.post, template) { _ in throw APIError.unavailable(Self.noSwarm) }
        }
        table.add(.post, "/swarm/leave") { _ in throw APIError.unavailable("This node is not part of a swarm") }
    }

    private func registerVolumes(_ table: inout RouteTable<APIHandler>) {
        table.add(.get, "/volumes") { _ in try .json(VolumeListResponse()) }
        table.add(.get, "/volumes/{name}") { request in
            throw APIError.notFound("get \(request.parameter("name")): no such volume")
        }
        table.add(.post, "/volumes/prune") { _ in try .json(VolumePruneResponse()) }
    }
}

/// Answer to a prune of the build cache, which is always empty.
private struct BuildPruneResponse: Encodable {
    let cachesDeleted: [String] = []
    let spaceReclaimed = 0

    private enum CodingKeys: String, CodingKey {
        case cachesDeleted = "CachesDeleted"
        case spaceReclaimed = "SpaceReclaimed"
    }
}
