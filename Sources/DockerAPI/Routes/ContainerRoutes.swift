import DockerTypes
import Engine
import EngineContainer
import EngineModel
import HTTPTypes
import Kernel

/// Containers: create, list, inspect and the life cycle.
struct ContainerRoutes: Sendable {
    let engine: Engine

    func register(in table: inout RouteTable<APIHandler>) {
        table.add(.get, "/containers/json", list)
        table.add(.post, "/containers/create", body: .json, create)
        table.add(.post, "/containers/prune", prune)
        table.add(.get, "/containers/{id}/json", inspect)
        table.add(.get, "/containers/{id}/top", top)
        table.add(.post, "/containers/{id}/start", start)
        table.add(.post, "/containers/{id}/stop", stop)
        table.add(.post, "/containers/{id}/restart", restart)
        table.add(.post, "/containers/{id}/kill", kill)
        table.add(.post, "/containers/{id}/pause", pause)
        table.add(.post, "/containers/{id}/unpause", unpause)
        table.add(.post, "/containers/{id}/rename", rename)
        table.add(.post, "/containers/{id}/update", body: .json, update)
        table.add(.post, "/containers/{id}/resize", resize)
        table.add(.post, "/containers/{id}/wait", wait)
        table.add(.delete, "/containers/{id}", remove)
    }

    private func list(_ request: APIRequest) async throws -> Reply {
        let limit = try request.query.number("limit")
        let containers = try await engine.listContainers(
            all: request.query.flag("all"),
            limit: limit.flatMap { $0 > 0 ? $0 : nil },
            filters: try request.query.filters()
        )
        let now = Timestamp.now
        var rows: [ContainerSummary] = []
        for container in containers {
            var row = ListTranslation.summary(container, now: now)
            if request.query.flag("size") {
                let size = try await engine.writableSize(container.id.description)
                row.sizeRw = Int(size)
                row.sizeRootFs = Int(size) + (await imageSize(container))
            }
            rows.append(row)
        }
        return try .json(rows)
    }

    /// Bytes of the container's image; 0 when the image is gone.
    private func imageSize(_ container: ContainerSnapshot) async -> Int {
        (try? await engine.inspectImage(container.imageID)).map { Int($0.size) } ?? 0
    }

    private func create(_ request: APIRequest) async throws -> Reply {
        let body = try request.decode(ContainerCreateRequest.self)
        if let platform = request.query.text("platform") { try await check(platform, of: body.config.image) }
        var translated = try CreateTranslation.translate(body, defaultBackend: engine.configuration.defaultBackend)
        translated.configuration.idempotencyKey = try Self.idempotencyKey(request.head.headerFields)
        let created: CreatedContainer
        do {
            created = try await engine.createContainer(translated.configuration, name: request.query.text("name"))
        } catch let error as EngineError where error.code == .notFound && error.reason != .noSuchImage {
            // Clients take 404 for a missing image, pull it and hide this message.
            throw APIError.invalid(error.description)
        }
        var reply = ContainerCreateResponse()
        reply.id = created.id.description
        reply.warnings = created.warnings + translated.warnings
        return try .json(reply, status: .created)
    }

    /// The client's own name of its request; nil without one.
    private static func idempotencyKey(_ headers: HTTPFields) throws -> String? {
        guard let name = HTTPField.Name("X-Berth-Idempotency-Key"), let key = headers[name] else { return nil }
        guard (1...255).contains(key.utf8.count) else {
            throw APIError.invalid("header X-Berth-Idempotency-Key: expected 1 to 255 bytes, found \(key.utf8.count)")
        }
        return key
    }

    /// Refuses an image of another platform than `os[/architecture[/variant]]`.
    private func check(_ platform: String, of reference: String) async throws {
        let parts = platform.split(separator: "/").map(String.init)
        let image = try await engine.inspectImage(reference)
        let wanted = [image.os, image.architecture, image.variant].prefix(parts.count)
        guard Array(wanted) == parts else {
            throw APIError.notFound(
                "image with reference \(reference) was found but its platform (\(image.os)/\(image.architecture)) "
                    + "does not match the specified platform (\(platform))"
            )
        }
    }

    private func prune(_ request: APIRequest) async throws -> Reply {
        let removed = try await engine.pruneContainers(filters: try request.query.filters())
        var reply = ContainerPruneResponse()
        reply.containersDeleted = removed.map(\.description)
        return try .json(reply)
    }

    private func inspect(_ request: APIRequest) async throws -> Reply {
        let container = try await engine.inspectContainer(request.parameter("id"))
        var document = InspectTranslation.inspect(container)
        if request.query.flag("size") {
            let size = try await engine.writableSize(container.id.description)
            document.sizeRw = Int(size)
            document.sizeRootFs = Int(size) + (await imageSize(container))
        }
        return try .json(document)
    }

    private func top(_ request: APIRequest) async throws -> Reply {
        if let arguments = request.query.text("ps_args"), arguments != "-ef" {
            throw APIError.invalid("unsupported ps_args '\(arguments)': only '-ef' is offered")
        }
        let table = try await engine.processes(request.parameter("id"))
        var reply = TopResponse()
        reply.titles = table.titles
        reply.processes = table.processes
        return try .json(reply)
    }

    private func start(_ request: APIRequest) async throws -> Reply {
        try await engine.startContainer(request.parameter("id"))
        return .empty(.noContent)
    }

    private func stop(_ request: APIRequest) async throws -> Reply {
        try await engine.stopContainer(
            request.parameter("id"),
            signal: request.query.text("signal"),
            timeout: try request.query.number("t")
        )
        return .empty(.noContent)
    }

    private func restart(_ request: APIRequest) async throws -> Reply {
        try await engine.restartContainer(
            request.parameter("id"),
            signal: request.query.text("signal"),
            timeout: try request.query.number("t")
        )
        return .empty(.noContent)
    }

    private func kill(_ request: APIRequest) async throws -> Reply {
        try await engine.killContainer(request.parameter("id"), signal: request.query.text("signal") ?? "SIGKILL")
        return .empty(.noContent)
    }

    private func pause(_ request: APIRequest) async throws -> Reply {
        try await engine.pauseContainer(request.parameter("id"))
        return .empty(.noContent)
    }

    private func unpause(_ request: APIRequest) async throws -> Reply {
        try await engine.unpauseContainer(request.parameter("id"))
        return .empty(.noContent)
    }

    private func rename(_ request: APIRequest) async throws -> Reply {
        guard let name = request.query.text("name") else { throw APIError.invalid("the new name is missing") }
        try await engine.renameContainer(request.parameter("id"), to: name)
        return .empty(.noContent)
    }

    private func update(_ request: APIRequest) async throws -> Reply {
        let body = try request.decode(ContainerUpdateRequest.self)
        let limits = ResourceLimits(body)
        let policy = try body.restartPolicy.flatMap { $0.name.isEmpty ? nil : try EngineRestartPolicy($0) }
        var reply = ContainerUpdateResponse()
        reply.warnings = try await engine.updateContainer(
            request.parameter("id"),
            ContainerUpdate(resources: limits == ResourceLimits() ? nil : limits, restartPolicy: policy)
        )
        return try .json(reply)
    }

    private func resize(_ request: APIRequest) async throws -> Reply {
        try await engine.resizeContainer(request.parameter("id"), to: try TerminalSize(request.query))
        return .empty(.ok)
    }

    private func wait(_ request: APIRequest) async throws -> Reply {
        let text = request.query.text("condition") ?? WaitCondition.notRunning.rawValue
        guard let condition = WaitCondition(rawValue: text) else {
            throw APIError.invalid("invalid condition: '\(text)'")
        }
        let wait = try await engine.waitForContainer(request.parameter("id"), condition: condition)
        // The client goes on when it sees the head: the wait is registered by then.
        return .stream(type: "application/json") { writer in
            var reply = WaitResponse()
            do {
                let result = try await wait.result()
                reply.statusCode = result.exitCode
                if let message = result.error { reply.fail(message) }
            } catch let error as EngineError where error.code != .cancelled {
                reply.statusCode = 255
                reply.fail(error.description)
            }
            try await writer.write(json: reply)
        }
    }

    private func remove(_ request: APIRequest) async throws -> Reply {
        if request.query.flag("link") { throw APIError.notImplemented("links are not offered") }
        try await engine.removeContainer(
            request.parameter("id"),
            force: request.query.flag("force"),
            volumes: request.query.flag("v")
        )
        return .empty(.noContent)
    }
}

extension WaitResponse {
    fileprivate mutating func fail(_ message: String) {
        var error = WaitError()
        error.message = message
        self.error = error
    }
}

extension TerminalSize {
    /// The size in the query parameters `h` and `w`.
    ///
    /// - Throws: 400 when one is missing or no size.
    init(_ query: Query) throws(APIError) {
        let range = 0...Int(UInt16.max)
        let height = try query.number("h", in: range)
        let width = try query.number("w", in: range)
        guard let height, let width else { throw .invalid("the terminal size is missing: parameters 'h' and 'w'") }
        guard let rows = UInt16(exactly: height), let columns = UInt16(exactly: width) else {
            throw .invalid("invalid terminal size \(height)x\(width)")
        }
        self.init(height: rows, width: columns)
    }
}
