import Kernel
import NIOCore
import NIOEmbedded
import NIOHTTP1

/// One connection to the daemon, used for one request at a time.
///
/// Reads block until bytes come: how long an answer may take depends on the request (a container may run for a year), so the
/// callers that need a deadline wait for ``descriptor`` first.
public final class HTTPConnection {
    /// The status line and the headers of an answer.
    public struct Head: Sendable {
        /// HTTP status.
        public let status: Int
        let headers: HTTPHeaders

        /// The first value of a header; nil where it is missing.
        public func header(_ name: String) -> String? {
            headers.first(name: name)
        }
    }

    /// A part of an answer, in the order in which they come.
    public enum Part: Sendable {
        /// The status line and the headers.
        case head(Head)
        /// A piece of the body.
        case body([UInt8])
        /// The end of the answer.
        case end
    }

    private static let readSize = 32 * 1024

    private let host: Host
    private let socket: SharedDescriptor
    private let channel = EmbeddedChannel()
    private let decoder: ByteToMessageHandler<HTTPResponseDecoder>
    private var ended = false
    /// Whether output comes in frames behind the upgrade, also that of a terminal.
    public internal(set) var isFramed = false

    /// Connects to `host`.
    ///
    /// - Throws: ``ClientError`` that is ``ClientError/isUnreachable``.
    public init(to host: Host) throws(ClientError) {
        self.host = host
        do {
            socket = SharedDescriptor(try UnixSocket.connect(host.path))
        } catch {
            throw .unreachable(host, error.errno)
        }
        decoder = ByteToMessageHandler(HTTPResponseDecoder(leftOverBytesStrategy: .forwardBytes))
        do {
            try channel.pipeline.syncOperations.addHandlers([HTTPRequestEncoder(), decoder])
            try channel.connect(to: SocketAddress(unixDomainSocketPath: "/berth")).wait()
        } catch {
            throw .operation("prepare the HTTP parser: \(error)")
        }
    }

    /// The socket, for waiting; it belongs to the connection.
    public var descriptor: Int32 {
        socket.raw
    }

    // Requests

    /// Sends a request's head and, where it is given, its whole body.
    public func send(
        _ method: String,
        _ target: String,
        headers: [(String, String)] = [],
        body: [UInt8]? = nil
    ) throws(ClientError) {
        var all = HTTPHeaders([("Host", "berth"), ("User-Agent", "berth")] + headers)
        if let body {
            all.replaceOrAdd(name: "Content-Length", value: String(body.count))
        } else if method == "POST", !all.contains(name: "Transfer-Encoding"), !all.contains(name: "Content-Length") {
            all.add(name: "Content-Length", value: "0")
        }
        let head = HTTPRequestHead(
            version: .http1_1,
            method: HTTPMethod(rawValue: method),
            uri: target,
            headers: all
        )
        try write(.head(head))
        if let body, !body.isEmpty { try sendBody(body[...]) }
        if !all.contains(name: "Transfer-Encoding") { try write(.end(nil)) }
    }

    /// Sends a piece of a body that was announced as chunked.
    public func sendBody(_ bytes: ArraySlice<UInt8>) throws(ClientError) {
        try write(.body(.byteBuffer(ByteBuffer(bytes: bytes))))
    }

    /// Ends a chunked body.
    public func finishBody() throws(ClientError) {
        try write(.end(nil))
    }

    private func write(_ part: HTTPClientRequestPart) throws(ClientError) {
        do {
            try channel.writeOutbound(part)
            while let buffer = try channel.readOutbound(as: ByteBuffer.self) {
                try socket.writeAll(Array(buffer.readableBytesView))
            }
        } catch {
            throw .disconnected(host)
        }
    }

    // Answers

    /// The next part of the answer; blocks until it is there.
    public func next() throws(ClientError) -> Part {
        while true {
            if let part = try poll() { return part }
            guard !ended else { throw .disconnected(host) }
            try receive()
        }
    }

    /// Reads once from the socket, which blocks while nothing is there.
    public func receive() throws(ClientError) {
        do {
            let bytes = try socket.read(upTo: Self.readSize)
            if bytes.isEmpty {
                ended = true
                channel.pipeline.fireChannelInactive()
            } else {
                try channel.writeInbound(ByteBuffer(bytes: bytes))
            }
        } catch let error as KernelError where error.errno == .connectionReset {
            ended = true
        } catch let error as HTTPParserError {
            if ended { throw .disconnected(host) }
            throw .protocolViolation("HTTP: \(error)")
        } catch {
            throw .disconnected(host)
        }
    }

    /// Whether the daemon has closed the connection and everything is read.
    public var isAtEnd: Bool {
        ended
    }

    /// The next part among what was received already; nil when more must be received first.
    public func poll() throws(ClientError) -> Part? {
        let part: HTTPClientResponsePart?
        do {
            part = try channel.readInbound(as: HTTPClientResponsePart.self)
        } catch {
            throw .protocolViolation("HTTP: \(error)")
        }
        return switch part {
        case .head(let head): .head(Head(status: Int(head.status.code), headers: head.headers))
        case .body(let buffer): .body(Array(buffer.readableBytesView))
        case .end: .end
        case nil: nil
        }
    }

    /// The head of the answer.
    ///
    /// - Throws: ``ClientError`` with the daemon's own message for a status of 400 and above.
    public func head() throws(ClientError) -> Head {
        guard case .head(let head) = try next() else { throw .protocolViolation("no status line") }
        guard head.status >= 400 else { return head }
        throw .answered(
            head.status,
            Self.message(of: try body(limit: 1 << 20)) ?? "HTTP status \(head.status)",
            isLeaving: head.status == 503 && head.header("Retry-After") != nil
        )
    }

    /// The next piece of the body; nil at its end.
    public func chunk() throws(ClientError) -> [UInt8]? {
        switch try next() {
        case .body(let bytes): return bytes
        case .end: return nil
        case .head: throw .protocolViolation("a second status line")
        }
    }

    /// The whole body, of at most `limit` bytes.
    public func body(limit: Int = 256 << 20) throws(ClientError) -> [UInt8] {
        var all: [UInt8] = []
        while let piece = try chunk() {
            all += piece
            guard all.count <= limit else { throw .protocolViolation("an answer of more than \(limit) bytes") }
        }
        return all
    }

    // Upgrade

    /// Makes the connection a plain socket, after an answer with status 101.
    ///
    /// - Returns: what came after the answer's head already.
    public func upgrade() throws(ClientError) -> [UInt8] {
        // The answer's head is its end as well.
        if case .end? = try poll() {}
        var rest: [UInt8] = []
        do {
            try socket.setNonBlocking()
            channel.pipeline.syncOperations.removeHandler(decoder, promise: nil)
            channel.embeddedEventLoop.run()
            while let buffer = try channel.readInbound(as: ByteBuffer.self) { rest += buffer.readableBytesView }
        } catch {
            throw .protocolViolation("after the upgrade: \(error)")
        }
        return rest
    }

    /// Reads from an upgraded connection; empty at its end, nil when nothing is there at the moment.
    public func readRaw() throws(ClientError) -> [UInt8]? {
        do {
            return try socket.read(upTo: Self.readSize)
        } catch  where error.errno == .wouldBlock {
            return nil
        } catch  where error.errno == .connectionReset {
            return []
        } catch {
            throw .operation(error.description)
        }
    }

    /// Writes to an upgraded connection as much as goes without waiting.
    ///
    /// - Returns: how many bytes went; nil when the other side takes no more for good.
    public func writeRaw(_ bytes: [UInt8]) throws(ClientError) -> Int? {
        let moved: Result<Transfer, KernelError> = bytes.withUnsafeBytes { buffer in
            // Sound: the buffer lives through the call.
            Result { () throws(KernelError) in try socket.tryWrite(buffer) }
        }
        switch moved {
        case .success(.moved(let count)): return count
        case .success(.wouldBlock): return 0
        case .success(.ended): return nil
        case .failure(let error): throw .operation(error.description)
        }
    }

    /// Tells the other side that nothing more comes.
    public func closeWriting() {
        // A connection that is gone needs no telling.
        try? UnixSocket.shutdownWriting(socket.raw)
    }

    private static func message(of body: [UInt8]) -> String? {
        struct Message: Decodable { let message: String }
        return ClientJSON.decode(Message.self, from: body)?.message
    }
}
