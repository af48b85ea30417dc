import DockerTypes
package import HTTPTypes
package import HummingbirdCore
import NIOCore

/// What a handler answers.
package enum Reply: Sendable {
    /// A complete reply.
    case response(Response)
    /// A head at once, then a body as it comes; ends when `body` returns or the client goes.
    case stream(Response, body: @Sendable (StreamWriter) async throws -> Void)
    /// The connection has left HTTP; nothing is written any more.
    case hijacked

    /// A status without a body.
    package static func empty(_ status: HTTPResponse.Status) -> Reply {
        .response(Response(status: status))
    }

    /// A JSON document.
    package static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Reply {
        var bytes = try DockerJSON.encode(value)
        bytes.append(UInt8(ascii: "\n"))
        return .response(
            Response(
                status: status,
                headers: [.contentType: "application/json"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))
            )
        )
    }

    /// A body of unknown length.
    package static func stream(
        type: String,
        headers: HTTPFields = [:],
        _ body: @escaping @Sendable (StreamWriter) async throws -> Void
    ) -> Reply {
        var headers = headers
        headers[.contentType] = type
        // The end of the stream is the end of the connection: what the client sends meanwhile is only watched for its end.
        headers[.connection] = "close"
        var response = Response(status: .ok, headers: headers)
        // A response without a body says that it is empty; this one's length is not known.
        response.headers[.contentLength] = nil
        return .stream(response, body: body)
    }

    /// The reply for an error.
    package static func failure(_ error: APIError) -> Response {
        guard !error.message.isEmpty else { return Response(status: error.status) }
        var body = ErrorResponse()
        body.message = error.message
        // A document of one string always encodes.
        let bytes = (try? DockerJSON.encode(body)) ?? Array(#"{"message":"internal error"}"#.utf8)
        return Response(
            status: error.status,
            headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes + [UInt8(ascii: "\n")]))
        )
    }
}

/// Writes the body of a stream; every write reaches the client at once.
package struct StreamWriter: Sendable {
    private let writeBuffer: @Sendable (ByteBuffer) async throws -> Void

    init(_ write: @escaping @Sendable (ByteBuffer) async throws -> Void) {
        writeBuffer = write
    }

    /// Writes bytes; waits while the client does not read.
    package func write(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        try await writeBuffer(ByteBuffer(bytes: bytes))
    }

    /// Writes one JSON document and a line feed.
    package func write(json value: some Encodable) async throws {
        try await write(try DockerJSON.encode(value) + [UInt8(ascii: "\n")])
    }
}
