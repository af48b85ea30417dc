import DockerTypes
import Engine
import EngineContainer
import EngineModel
import HTTPTypes
import Kernel
import Logging
import NIOCore

/// Containers' streams: attach, logs, stats.
struct StreamRoutes: Sendable {
    let engine: Engine
    let heads: HijackHeads

    func register(in table: inout RouteTable<APIHandler>) {
        table.add(.post, "/containers/{id}/attach", hijacks: true, attach)
        table.add(.get, "/containers/{id}/logs", logs)
        table.add(.get, "/containers/{id}/stats", stats)
        table.add(.get, "/berth/v1/containers/{id}/logs", resumableLogs)
    }

    private func attach(_ request: APIRequest) async throws -> Reply {
        let query = request.query
        let id = request.parameter("id")
        var options = AttachOptions(
            stdin: query.flag("stdin"),
            stdout: query.flag("stdout"),
            stderr: query.flag("stderr"),
            detachKeys: query.text("detachKeys")
        )
        options.isFramed = request.acceptsFrames
        options.marksEnd = request.acceptsMarks
        guard query.flag("stream") else { return try await attachHistory(request, id, options) }
        let session = try await engine.attach(id, options)
        let history = query.flag("logs") ? try await engine.logs(id, LogOptions(options)) : nil
        do {
            try await request.connection.writeRaw(heads.bytes(for: request, terminal: session.isTerminal))
            if let history { try await copy(history, to: request.connection, terminal: session.isTerminal) }
            try await session.handOver(try await request.connection.hijack())
        } catch {
            // The head may be out, so there is nobody left to answer: the client sees its connection end.
            session.cancel()
            request.connection.finish()
            request.logger.debug("attach ended", metadata: ["container": "\(id)", "error": "\(error)"])
        }
        return .hijacked
    }

    /// An attach without a live stream: what there is in the log, then the end.
    private func attachHistory(_ request: APIRequest, _ id: String, _ options: AttachOptions) async throws -> Reply {
        let terminal = try await engine.inspectContainer(id).configuration.terminal && !options.isFramed
        let history = request.query.flag("logs") ? try await engine.logs(id, LogOptions(options)) : nil
        do {
            try await request.connection.writeRaw(heads.bytes(for: request, terminal: terminal))
            if let history { try await copy(history, to: request.connection, terminal: terminal) }
        } catch {
            request.logger.debug("attach ended", metadata: ["container": "\(id)", "error": "\(error)"])
        }
        request.connection.finish()
        return .hijacked
    }

    private func copy(_ history: LogSequence, to connection: Connection, terminal: Bool) async throws {
        var framing = LogFraming(timestamps: false, framed: !terminal)
        for try await records in history { try await connection.writeRaw(framing.bytes(records)) }
    }

    private func logs(_ request: APIRequest) async throws -> Reply {
        let options = try logOptions(request)
        let id = request.parameter("id")
        let terminal = try await engine.inspectContainer(id).configuration.terminal
        let records = try await engine.logs(id, options)
        let timestamps = request.query.flag("timestamps")
        return .stream(type: StreamType.of(terminal: terminal, version: request.version)) { writer in
            var framing = LogFraming(timestamps: timestamps, framed: !terminal)
            for try await batch in records { try await writer.write(framing.bytes(batch)) }
        }
    }

    /// The same for a client that goes on where an earlier manager stopped: always framed, and a frame of stream 4 first and behind
    /// every batch holds the cursor with which the rest is asked for.
    private func resumableLogs(_ request: APIRequest) async throws -> Reply {
        var options = try logOptions(request)
        if let text = request.query.text("cursor") {
            guard let cursor = LogCursor(text) else { throw APIError.invalid("invalid cursor '\(text)'") }
            options.cursor = cursor
        }
        let records = try await engine.logs(request.parameter("id"), options)
        let timestamps = request.query.flag("timestamps")
        let openLines = options.cursor?.openLines ?? 0
        return .stream(type: StreamType.multiplexed) { writer in
            var framing = LogFraming(timestamps: timestamps, framed: true, openLines: openLines)
            var iterator = records.makeAsyncIterator()
            var bytes: [UInt8] = []
            repeat {
                var cursor = try await iterator.cursor()
                cursor.openLines = framing.openLineBits
                try await writer.write(bytes + LogFraming.frame(cursor))
                guard let batch = try await iterator.next() else { return }
                bytes = framing.bytes(batch)
            } while true
        }
    }

    private func logOptions(_ request: APIRequest) throws -> LogOptions {
        let query = request.query
        var options = LogOptions()
        options.stdout = query.flag("stdout")
        options.stderr = query.flag("stderr")
        guard options.stdout || options.stderr else {
            throw APIError.invalid("Bad parameters: you must choose at least one stream")
        }
        options.follow = query.flag("follow")
        options.since = try query.time("since")
        options.until = try query.time("until")
        if let tail = query.text("tail"), tail != "all" {
            // As with Docker's own clients, anything that is no number asks for everything.
            options.tail = Int(tail).flatMap { $0 < 0 ? nil : $0 }
        }
        return options
    }

    private func stats(_ request: APIRequest) async throws -> Reply {
        let id = try await engine.inspectContainer(request.parameter("id")).id.description
        guard request.query.flag("stream", default: true) else {
            return try await oneSample(id, alone: request.query.flag("one-shot"))
        }
        let engine = engine
        return .stream(type: "application/json") { writer in
            var previous: ContainerStatistics?
            var next = ContinuousClock.now
            while true {
                let sample = try await engine.statistics(id)
                try await writer.write(json: StatsTranslation.stats(sample, previous: previous))
                previous = sample
                next = max(next.advanced(by: .seconds(1)), .now)
                try await Task.sleep(until: next, clock: .continuous)
            }
        }
    }

    private func oneSample(_ id: String, alone: Bool) async throws -> Reply {
        let first = try await engine.statistics(id)
        guard !alone, first.read != nil else { return try .json(StatsTranslation.stats(first, previous: nil)) }
        try await Task.sleep(for: .seconds(1))
        let second = try await engine.statistics(id)
        return try .json(StatsTranslation.stats(second, previous: first))
    }
}

extension LogOptions {
    /// The whole log of the streams that an attach asks for.
    init(_ options: AttachOptions) {
        self.init()
        stdout = options.stdout
        stderr = options.stderr
    }
}

/// Content types of raw streams.
enum StreamType {
    static let raw = "application/vnd.docker.raw-stream"
    static let multiplexed = "application/vnd.docker.multiplexed-stream"

    /// The type of a container's output as `version` names it.
    static func of(terminal: Bool, version: APIVersion) -> String {
        terminal || version < APIVersion(1, 42) ? raw : multiplexed
    }
}

/// The heads that end HTTP on a connection.
struct HijackHeads: Sendable {
    let commonHeaders: HTTPFields

    /// `101` for a client that asked for an upgrade, else `200` with the connection's end as the body's end.
    func bytes(for request: APIRequest, terminal: Bool) -> [UInt8] {
        var head =
            request.asksForUpgrade
            ? "HTTP/1.1 101 UPGRADED\r\nContent-Type: \(StreamType.of(terminal: terminal, version: request.version))\r\n"
                + "Connection: Upgrade\r\nUpgrade: tcp\r\n"
            : "HTTP/1.1 200 OK\r\nContent-Type: \(StreamType.raw)\r\n"
        for field in commonHeaders { head += "\(field.name.rawName): \(field.value)\r\n" }
        return Array((head + "\r\n").utf8)
    }
}
