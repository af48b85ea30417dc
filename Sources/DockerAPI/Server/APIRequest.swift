import DockerTypes
package import HTTPTypes
package import HummingbirdCore
package import Logging
import NIOCore

/// A request on its way to its handler: routed, its body read or ready to be read.
package struct APIRequest: Sendable {
    /// The version that the client speaks.
    package let version: APIVersion
    /// Values of the template's parameters.
    package let parameters: [String: String]
    /// The query.
    package let query: Query
    /// The head as it came.
    package let head: HTTPRequest
    /// The body of a ``BodyRule/json`` route; empty for other routes.
    package let document: [UInt8]
    /// The body of a ``BodyRule/stream`` route.
    package let stream: RequestBody
    /// The connection.
    package let connection: Connection
    /// The logger for this request.
    package let logger: Logger

    /// The value of the parameter `name` of the route's template.
    package func parameter(_ name: String) -> String {
        parameters[name] ?? ""
    }

    /// The body as a `Value`.
    ///
    /// - Throws: 400 that names what is wrong.
    package func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws(APIError) -> Value {
        guard !document.isEmpty else { throw .invalid("invalid JSON: the request has no body") }
        do throws(DockerJSON.Failure) {
            return try DockerJSON.decode(type, from: document)
        } catch {
            throw .invalid("invalid JSON: \(error.description)")
        }
    }

    /// The body as a `Value`, or nil when there is none.
    package func decodeIfPresent<Value: Decodable>(_ type: Value.Type = Value.self) throws(APIError) -> Value? {
        document.isEmpty ? nil : try decode(type)
    }

    /// The same where a field that is not known must not be passed over: what it asks for would not be done.
    ///
    /// - Throws: 400 also for a field that is none of `fields`.
    func decodeIfPresent<Value: Decodable>(
        _ type: Value.Type = Value.self,
        only fields: [String]
    ) throws(APIError) -> Value? {
        let value = try decodeIfPresent(type)
        let found = try decodeIfPresent([String: Anything].self) ?? [:]
        if let field = found.keys.sorted().first(where: { !fields.contains($0) }) {
            throw .invalid("unknown field '\(field)': there are '\(fields.joined(separator: "' and '"))'")
        }
        return value
    }

    private struct Anything: Decodable {
        init(from decoder: any Decoder) {}
    }

    /// Whether the client asked for an upgrade of the connection.
    package var asksForUpgrade: Bool {
        head.headerFields[.upgrade] != nil
    }

    /// Whether the client takes a stream in frames also where Docker's are raw.
    package var acceptsFrames: Bool {
        head.headerFields[.accept] == StreamType.multiplexed
    }

    /// Whether the client knows the frames that mark the end of a stream, which are none of Docker's.
    package var acceptsMarks: Bool {
        HTTPField.Name("X-Berth-Stream-Marks").map { head.headerFields[$0] == "1" } ?? false
    }
}

/// Reading of JSON bodies within their bound.
enum BodyReader {
    /// The most bytes of a JSON body.
    static let limit = 4 << 20
    /// The most bytes that are read in order to answer a client that sends too much.
    private static let patience = 256 << 20

    /// Reads the document of a request, empty when it has no body.
    ///
    /// - Throws: 413 over the limit, 400 for a body that is not declared as JSON.
    static func document(of request: Request) async throws -> [UInt8] {
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limit { throw tooLarge }
        var bytes: [UInt8] = []
        var length = 0
        for try await part in request.body {
            length += part.readableBytes
            // A client that is still writing sees the reply only when it is done, so a little more is read and dropped.
            guard length <= patience else { throw tooLarge }
            if length <= limit { bytes.append(contentsOf: part.readableBytesView) } else { bytes = [] }
        }
        guard length <= limit else { throw tooLarge }
        guard !bytes.isEmpty else { return bytes }
        try checkType(request.headers)
        return bytes
    }

    private static var tooLarge: APIError {
        .tooLarge("request body is larger than \(limit) bytes")
    }

    private static func checkType(_ headers: HTTPFields) throws(APIError) {
        let value = headers[.contentType] ?? ""
        let type = value.split(separator: ";", omittingEmptySubsequences: false).first ?? ""
        let name = type.lowercased().filter { $0 != " " && $0 != "\t" }
        guard name == "application/json" else {
            throw .invalid("unsupported Content-Type header '\(value)': must be 'application/json'")
        }
        if let encoding = headers[.contentEncoding], encoding.lowercased() != "identity" {
            throw .invalid("unsupported Content-Encoding header '\(encoding)'")
        }
    }
}
