import DockerAPI
import EngineModel
import HTTPTypes
import HummingbirdCore
import Kernel
import Logging
import NIOCore
import NIOPosix

/// A server with throw-away handlers on a socket of its own, and a raw client for it.
struct TestServer: Sendable {
    let path: String
    /// What each hijacked connection held: everything that the client sent after its request.
    let hijacked: AsyncStream<[UInt8]>
    /// One element for each stream that ended because its client went.
    let cancelled: AsyncStream<Void>
    private let table: RouteTable<APIHandler>

    /// Clients and handlers wait for each other, so they do not share threads.
    private static let clientThreads = pool()
    private static let handlerThreads = pool()

    private static func pool() -> NIOThreadPool {
        let pool = NIOThreadPool(numberOfThreads: 16)
        pool.start()
        return pool
    }

    /// Runs a client's blocking code outside the cooperative pool.
    static func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await clientThreads.runIfActive(body)
    }

    init() {
        path = "/tmp/berth-api-test-\(Random.hex(8)).sock"
        let (hijacked, hijackedSource) = AsyncStream<[UInt8]>.makeStream()
        let (cancelled, cancelledSource) = AsyncStream<Void>.makeStream()
        self.hijacked = hijacked
        self.cancelled = cancelled
        var table = RouteTable<APIHandler>()
        let take: APIHandler = { request in
            if request.query.flag("refuse") { throw APIError.conflict("refused") }
            if let delay = try request.query.number("delay") { try await Task.sleep(for: .milliseconds(delay)) }
            try await request.connection.writeRaw(Array("HTTP/1.1 101 UPGRADED\r\n\r\n".utf8))
            let connection = try await request.connection.hijack()
            let bytes = try await Self.handlerThreads.runIfActive {
                let rest = try connection.descriptor.readToEnd(limit: 8 << 20)
                try connection.descriptor.writeAll("bye")
                return connection.leftover + rest
            }
            hijackedSource.yield(bytes)
            return .hijacked
        }
        table.add(.post, "/take", hijacks: true, take)
        table.add(.post, "/exec/{id}/start", body: .json, hijacks: true, take)
        table.add(.post, "/echo", body: .json) { request in
            let body: [String: Int] = try request.decode()
            return try .json(body)
        }
        table.add(.get, "/stream") { _ in
            .stream(type: "text/plain") { writer in
                try await writer.write(Array("first\n".utf8))
                defer { if Task.isCancelled { cancelledSource.yield() } }
                try await Task.sleep(for: .seconds(3600))
            }
        }
        table.add(.post, "/upload", body: .stream) { request in
            var count = 0
            for try await part in request.stream { count += part.readableBytes }
            return try .json(["count": count])
        }
        table.add(.get, "/hello") { request in try .json(["version": "\(request.version)"]) }
        table.add(.post, "/same") { _ in throw APIError.notModified }
        self.table = table
    }

    /// Serves while `body` runs.
    func run(admits: Bool = true, _ body: @escaping @Sendable () async throws -> Void) async throws {
        let socket = SharedDescriptor(try UnixSocket.listen(path))
        defer { _ = try? File.remove(path) }
        let dispatcher = Dispatcher(routes: table, version: "test", map: APIError.translate)
        let server = try await APIServer(
            dispatcher: dispatcher,
            sockets: [socket],
            admits: { _ in admits },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await server.run() }
            do {
                try await body()
            } catch {
                _ = await server.leave(within: .seconds(5), keepsConnections: false)
                throw error
            }
            _ = await server.leave(within: .seconds(5), keepsConnections: false)
        }
    }

    /// Sends the pieces one after another, ends the sending side when asked to, and reads until the server closes.
    func exchange(_ pieces: [[UInt8]], endsInput: Bool = true) async throws -> String {
        let path = path
        return try await Self.blocking {
            let socket = SharedDescriptor(try UnixSocket.connect(path))
            for piece in pieces { try socket.writeAll(piece) }
            if endsInput { try UnixSocket.shutdownWriting(socket.raw) }
            return String(decoding: try socket.readToEnd(limit: 8 << 20), as: UTF8.self)
        }
    }

    func exchange(_ text: String, endsInput: Bool = true) async throws -> String {
        try await exchange([Array(text.utf8)], endsInput: endsInput)
    }
}
