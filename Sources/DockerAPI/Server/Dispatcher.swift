import DockerTypes
package import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore

/// Handles one request.
package typealias APIHandler = @Sendable (APIRequest) async throws -> Reply

/// The one way of every request: version, route, body, handler, error mapping, headers.
package struct Dispatcher: Sendable {
    /// The handlers.
    package let routes: RouteTable<APIHandler>
    /// Headers of every reply.
    package let commonHeaders: HTTPFields
    /// Turns an error of the engine into one of the API; nil for an error that it does not know.
    package let map: @Sendable (any Error) -> APIError?

    /// A dispatcher over `routes`; `version` names the daemon in the `Server` header.
    package init(
        routes: RouteTable<APIHandler>,
        version: String,
        map: @escaping @Sendable (any Error) -> APIError?
    ) {
        self.routes = routes
        self.map = map
        commonHeaders = Self.commonHeaders(version: version)
    }

    /// Headers of every reply of a daemon of this version.
    package static func commonHeaders(version: String) -> HTTPFields {
        var headers: HTTPFields = [.server: "Berth/\(version) (linux)"]
        headers[.apiVersion] = DockerAPIVersions.maximum.description
        headers[.osType] = "linux"
        headers[.dockerExperimental] = "false"
        return headers
    }

    /// Whether a request may take its connection away from HTTP.
    package func mayHijack(_ head: HTTPRequest) -> Bool {
        let target = Target(head.path ?? "")
        return routes.match(head.method, VersionedPath(target.path).path)?.0.hijacks ?? false
    }

    /// Answers one request; does not throw for anything that the handler did.
    func respond(
        to request: Request,
        writer: consuming ResponseWriter,
        connection: Connection,
        logger: Logger
    ) async throws {
        let reply = await reply(to: request, writer: writer, connection: connection, logger: logger)
        switch reply {
        case .hijacked:
            return
        case .response(let response):
            try await write(response, of: request, writer: writer, connection: connection)
        case .stream(let response, let body):
            var head = response.head
            add(to: &head.headerFields)
            await connection.rawReplyBegins()
            let bodyWriter = BodyWriterBox(writer: try await writer.writeHead(head))
            let isWhole = try await connection.whileClientStays {
                do {
                    try await body(
                        StreamWriter { buffer in
                            var writer = bodyWriter.writer
                            try await writer.write(buffer)
                        }
                    )
                    return true
                } catch is CancellationError {
                    return false
                } catch {
                    // The head is out, so the only way to tell the client is to break the stream off.
                    logger.debug("stream broken off", metadata: ["error": "\(error)"])
                    return false
                }
            }
            // What is cut short must not look like the end: without its last chunk the client can tell.
            if isWhole == true { try await bodyWriter.writer.finish(nil) }
            connection.finish()
        }
    }

    private func write(
        _ response: Response,
        of request: Request,
        writer: consuming ResponseWriter,
        connection: Connection
    ) async throws {
        var head = response.head
        add(to: &head.headerFields)
        let closes = await connection.countReply()
        if closes { head.headerFields[.connection] = "close" }
        let body = request.method == .head || response.status == .notModified ? ResponseBody() : response.body
        if response.status == .notModified || response.status == .noContent { head.headerFields[.contentLength] = nil }
        try await writer.write(response: head, body: body)
        if closes { connection.finish() } else { connection.replyWritten() }
    }

    private func add(to headers: inout HTTPFields) {
        for field in commonHeaders where headers[field.name] == nil { headers.append(field) }
    }

    private func reply(
        to request: Request,
        writer: borrowing ResponseWriter,
        connection: Connection,
        logger: Logger
    ) async -> Reply {
        do {
            let target = Target(request.head.path ?? "")
            let path = VersionedPath(target.path)
            try path.check()
            guard let (route, parameters) = routes.match(request.method, path.path) else { throw APIError.pageNotFound }
            let query = try Query(target.query)
            if request.headers[.expect]?.lowercased() == "100-continue" {
                try await writer.writeInformationalHead(HTTPResponse(status: .continue))
            }
            let document = route.body == .json ? try await BodyReader.document(of: request) : []
            logger.debug("request", metadata: ["method": "\(request.method)", "route": "\(route.template)"])
            return try await route.handler(
                APIRequest(
                    version: path.version,
                    parameters: parameters,
                    query: query,
                    head: request.head,
                    document: document,
                    stream: request.body,
                    connection: connection,
                    logger: logger
                )
            )
        } catch {
            return .response(Reply.failure(mapped(error, logger)))
        }
    }

    private func mapped(_ error: any Error, _ logger: Logger) -> APIError {
        if let known = error as? APIError { return known }
        let known = map(error) ?? .other("\(error)")
        if known.status.code >= 500 { logger.warning("request failed", metadata: ["error": "\(error)"]) }
        return known
    }
}

/// Carries the body writer of a connection into the task that writes.
///
/// Sound because the writer is a reference to the connection's outbound stream, which may be used from any task; every copy writes to
/// the same place. Its opaque type only does not say so.
private struct BodyWriterBox: @unchecked Sendable {
    let writer: any ResponseBodyWriter
}

/// The path and the query of a request target; an absolute target or a fragment is not a path and matches no route.
private struct Target {
    let path: String
    let query: Substring?

    init(_ target: String) {
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts.first ?? "")
        query = parts.count > 1 ? parts[1] : nil
    }
}

extension HTTPField.Name {
    /// A header name of this API; the texts are valid names, so the fallback is never used.
    private static func own(_ name: String) -> HTTPField.Name { HTTPField.Name(name) ?? .server }

    static let apiVersion = own("Api-Version")
    static let osType = own("Ostype")
    static let dockerExperimental = own("Docker-Experimental")
    static let builderVersion = own("Builder-Version")
    static let swarm = own("Swarm")
    static let registryAuth = own("X-Registry-Auth")
    static let containerPathStat = own("X-Docker-Container-Path-Stat")
    static let pragma = own("Pragma")
}
