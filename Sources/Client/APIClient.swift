public import DockerTypes

/// Calls of the Docker Engine API, each on a connection of its own.
public struct APIClient: Sendable {
    /// Parameters of a query, in the order in which they are sent; nil values are left out.
    public typealias Query = [(name: String, value: String?)]

    /// The version of the API that this client speaks.
    public static let version = "1.51"

    /// Where the daemon listens.
    public let host: Host

    /// How long a call is repeated while the daemon is between two lives.
    ///
    /// Every call is repeated that was not made because nobody listened; one that was cut off or refused half-way only when it
    /// changes nothing.
    public var patience = Duration.seconds(10)

    /// Called once in each call that has waited for the daemon for a while.
    public var onOutage: @Sendable () -> Void = {}

    /// A client of the daemon at `host`; nothing is connected yet.
    public init(host: Host) {
        self.host = host
    }

    /// The same client without patience, for callers that have a loop of their own.
    public var impatient: APIClient {
        var client = self
        client.patience = .zero
        return client
    }

    private func repeating<Value>(
        isRepeatable: Bool,
        _ body: () throws(ClientError) -> Value
    ) throws(ClientError) -> Value {
        var outage = Outage(patience: patience, note: onOutage)
        while true {
            do throws(ClientError) {
                return try body()
            } catch {
                guard error.mayPass(isRepeatable: isRepeatable), outage.wait() else { throw error }
            }
        }
    }

    // One request, one answer

    /// The document at `path`.
    public func get<Value: Decodable>(
        _ type: Value.Type,
        _ path: String,
        _ query: Query = []
    ) throws(ClientError) -> Value {
        try decode(type, try raw("GET", path, query))
    }

    /// The document with which the daemon answers a POST.
    public func post<Value: Decodable>(
        _ type: Value.Type,
        _ path: String,
        _ query: Query = [],
        body: (some Encodable)? = Empty?.none
    ) throws(ClientError) -> Value {
        try decode(type, try raw("POST", path, query, body: body))
    }

    /// Makes a call whose answer carries nothing but its status, which is returned.
    @discardableResult
    public func call(
        _ method: String,
        _ path: String,
        _ query: Query = [],
        body: (some Encodable)? = Empty?.none,
        isRepeatable: Bool = false
    ) throws(ClientError) -> Int {
        try repeating(isRepeatable: isRepeatable || method == "GET") { () throws(ClientError) in
            let connection = try open(method, path, query, body: body)
            let status = try connection.head().status
            _ = try connection.body()
            return status
        }
    }

    /// The bytes with which the daemon answers.
    public func raw(
        _ method: String,
        _ path: String,
        _ query: Query = [],
        body: (some Encodable)? = Empty?.none
    ) throws(ClientError) -> [UInt8] {
        try repeating(isRepeatable: method == "GET") { () throws(ClientError) in
            let connection = try open(method, path, query, body: body)
            _ = try connection.head()
            return try connection.body()
        }
    }

    // Streams

    /// Sends a request, waits for the head of the answer, and leaves the body to the caller.
    public func begin(
        _ method: String,
        _ path: String,
        _ query: Query = []
    ) throws(ClientError) -> HTTPConnection {
        try repeating(isRepeatable: true) { () throws(ClientError) in
            let connection = try open(method, path, query)
            _ = try connection.head()
            return connection
        }
    }

    /// Sends a request and leaves the answer, head included, to the caller.
    public func open(
        _ method: String,
        _ path: String,
        _ query: Query = [],
        body: (some Encodable)? = Empty?.none
    ) throws(ClientError) -> HTTPConnection {
        let target = try Self.target(path, query)
        let connection = try HTTPConnection(to: host)
        if let body {
            let type = ("Content-Type", "application/json")
            try connection.send(method, target, headers: [type], body: try ClientJSON.encode(body))
        } else {
            try connection.send(method, target)
        }
        return connection
    }

    /// Sends a request whose body is an archive that `read` gives piece by piece, until an empty one.
    public func upload(
        _ path: String,
        _ query: Query = [],
        read: () throws -> ArraySlice<UInt8>
    ) throws -> HTTPConnection {
        let target = try Self.target(path, query)
        let connection = try repeating(isRepeatable: false) { () throws(ClientError) in
            try HTTPConnection(to: host)
        }
        let headers = [("Content-Type", "application/x-tar"), ("Transfer-Encoding", "chunked")]
        try connection.send("POST", target, headers: headers)
        do {
            while case let piece = try read(), !piece.isEmpty { try connection.sendBody(piece) }
            try connection.finishBody()
        } catch let error as ClientError where error.isDisconnected {
            // The daemon may refuse an archive before it has seen its end; its answer says why.
        }
        return connection
    }

    /// Asks for a plain connection in both directions.
    ///
    /// - Returns: the connection, and what the other side has sent already.
    public func upgrade(
        _ path: String,
        _ query: Query = [],
        body: (some Encodable)? = Empty?.none
    ) throws(ClientError) -> (connection: HTTPConnection, early: [UInt8]) {
        let target = try Self.target(path, query)
        // What was cut off half-way may have begun: only a connection that nobody took is tried again.
        let connection = try repeating(isRepeatable: false) { () throws(ClientError) in
            try HTTPConnection(to: host)
        }
        // Only in frames a stream that is not whole says so; a daemon that knows no such wish answers with its own type.
        let framed = "application/vnd.docker.multiplexed-stream"
        var headers = [
            ("Connection", "Upgrade"), ("Upgrade", "tcp"), ("Accept", framed), ("X-Berth-Stream-Marks", "1"),
        ]
        var bytes: [UInt8] = []
        if let body {
            bytes = try ClientJSON.encode(body)
            headers.append(("Content-Type", "application/json"))
        }
        try connection.send("POST", target, headers: headers, body: bytes)
        let head = try connection.head()
        guard head.status == 101 else { throw .protocolViolation("HTTP status \(head.status) instead of an upgrade") }
        connection.isFramed = head.header("Content-Type") == framed
        return (connection, try connection.upgrade())
    }

    // Text of requests

    static func target(_ path: String, _ query: Query) throws(ClientError) -> String {
        // Of `/containers//stop` the server could only say that there is no such page.
        guard !path.contains("//"), !path.hasSuffix("/") else { throw .emptyName(in: path) }
        let parameters = query.compactMap { name, value in value.map { "\(escape(name))=\(escape($0))" } }
        return "/v\(version)\(path)" + (parameters.isEmpty ? "" : "?" + parameters.joined(separator: "&"))
    }

    /// `text` as one segment of a path or one value of a query.
    public static func escape(_ text: String) -> String {
        var out = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "~"):
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                out += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return out
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws(ClientError) -> Value {
        do {
            return try DockerJSON.decode(type, from: bytes)
        } catch {
            throw .protocolViolation(error.description)
        }
    }
}

/// JSON with this module's errors.
enum ClientJSON {
    static func encode(_ value: some Encodable) throws(ClientError) -> [UInt8] {
        do {
            return try DockerJSON.encode(value)
        } catch {
            throw .operation("write JSON: \(error)")
        }
    }

    /// The value; nil where the bytes are something else.
    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) -> Value? {
        do {
            return try DockerJSON.decode(type, from: bytes)
        } catch {
            return nil
        }
    }
}
