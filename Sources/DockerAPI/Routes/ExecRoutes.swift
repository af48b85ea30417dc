import DockerTypes
import Engine
import EngineContainer
import EngineModel
import HTTPTypes
import Logging

/// Exec sessions.
struct ExecRoutes: Sendable {
    let engine: Engine
    let heads: HijackHeads

    func register(in table: inout RouteTable<APIHandler>) {
        table.add(.post, "/containers/{id}/exec", body: .json, create)
        table.add(.post, "/exec/{id}/start", body: .json, hijacks: true, start)
        table.add(.post, "/exec/{id}/resize", resize)
        table.add(.get, "/exec/{id}/json", inspect)
        table.add(.get, "/berth/v1/containers/{id}/execs", list)
        table.add(.post, "/berth/v1/exec/{id}/attach", hijacks: true, attach)
    }

    private func create(_ request: APIRequest) async throws -> Reply {
        let body = try request.decode(ExecCreateRequest.self)
        guard let command = body.cmd?.values, !command.isEmpty else {
            throw APIError.invalid("no exec command specified")
        }
        var configuration = ExecConfiguration(command: command)
        configuration.environment = body.env ?? []
        configuration.workingDirectory = body.workingDir
        configuration.user = body.user
        configuration.terminal = body.tty
        configuration.attachStdin = body.attachStdin
        configuration.attachStdout = body.attachStdout
        configuration.attachStderr = body.attachStderr
        configuration.privileged = body.privileged
        configuration.detachKeys = body.detachKeys.flatMap { $0.isEmpty ? nil : $0 }
        configuration.consoleSize = try TerminalSize(docker: body.consoleSize)
        if let berth = body.berth {
            guard berth.timeout >= 0 else {
                throw APIError.invalid("exec: Timeout is \(berth.timeout), and may not be negative")
            }
            if let size = berth.ringSize, !(0...ExecConfiguration.maximumRingSizeInBytes).contains(size) {
                let most = ExecConfiguration.maximumRingSizeInBytes
                throw APIError.invalid("exec: RingSize is \(size); it may be 0 to \(most) bytes")
            }
            configuration.timeoutInMilliseconds = berth.timeout == 0 ? nil : UInt64(berth.timeout)
            configuration.ringSizeInBytes = berth.ringSize.map(UInt64.init)
        }
        var reply = IdResponse()
        reply.id = try await engine.createExec(request.parameter("id"), configuration).description
        return try .json(reply, status: .created)
    }

    private func start(_ request: APIRequest) async throws -> Reply {
        let body = try request.decodeIfPresent(ExecStartRequest.self) ?? ExecStartRequest()
        let id = request.parameter("id")
        var options = ExecStartOptions()
        options.terminal = body.tty && !request.acceptsFrames
        options.consoleSize = try TerminalSize(docker: body.consoleSize)
        options.marksEnd = request.acceptsMarks
        let session = try await engine.startExec(id, options)
        if body.detach {
            try await session.start(nil)
            return .empty(.ok)
        }
        do {
            try await request.connection.writeRaw(heads.bytes(for: request, terminal: session.isTerminal))
            try await session.start(try await request.connection.hijack())
        } catch {
            // The head may be out; the engine has written why on the stream, and inspect has the exit code.
            request.connection.finish()
            request.logger.debug("exec ended", metadata: ["exec": "\(id)", "error": "\(error)"])
        }
        return .hijacked
    }

    private func resize(_ request: APIRequest) async throws -> Reply {
        try await engine.resizeExec(request.parameter("id"), to: try TerminalSize(request.query))
        return .empty(.ok)
    }

    private func attach(_ request: APIRequest) async throws -> Reply {
        let (query, id) = (request.query, request.parameter("id"))
        var options = AttachOptions(
            stdin: query.flag("stdin"),
            stdout: true,
            stderr: true,
            detachKeys: query.text("detachKeys")
        )
        options.isFramed = request.acceptsFrames
        options.marksEnd = request.acceptsMarks
        let session = try await engine.attachExec(id, options)
        do {
            try await request.connection.writeRaw(heads.bytes(for: request, terminal: session.isTerminal))
            try await session.start(try await request.connection.hijack())
        } catch {
            // The head may be out: the client sees its connection end, and asks for the session's code.
            request.connection.finish()
            request.logger.debug("attach ended", metadata: ["exec": "\(id)", "error": "\(error)"])
        }
        return .hijacked
    }

    private func list(_ request: APIRequest) async throws -> Reply {
        try .json(try await engine.listExecs(request.parameter("id")).map(Self.document))
    }

    private func inspect(_ request: APIRequest) async throws -> Reply {
        try .json(Self.document(try await engine.inspectExec(request.parameter("id"))))
    }

    private static func document(_ session: ExecSnapshot) -> ExecInspect {
        let configuration = session.configuration
        var reply = ExecInspect()
        reply.id = session.id.description
        reply.running = session.running
        reply.exitCode = session.exitCode
        reply.processConfig.tty = configuration.terminal
        reply.processConfig.entrypoint = configuration.command.first ?? ""
        reply.processConfig.arguments = Array(configuration.command.dropFirst())
        reply.processConfig.privileged = configuration.privileged
        reply.processConfig.user = session.user
        reply.openStdin = configuration.attachStdin
        reply.openStdout = configuration.attachStdout
        reply.openStderr = configuration.attachStderr
        reply.canRemove = !session.running && session.exitCode != nil
        reply.containerID = session.containerID.description
        reply.detachKeys = configuration.detachKeys ?? ""
        reply.pid = session.pid.map(Int.init) ?? 0
        var berth = BerthExec()
        berth.startedAt = GoTime(session.startedAt)
        berth.finishedAt = GoTime(session.endedAt)
        berth.timedOut = session.timedOut
        berth.problem = session.problem ?? ""
        reply.berth = berth
        return reply
    }
}
