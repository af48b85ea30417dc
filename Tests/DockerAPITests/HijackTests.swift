import DockerAPI
import Kernel
import Testing

@Suite("Hijack")
struct HijackTests {
    private static let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
    private static let head = "POST /v1.51/take HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\(upgrade)\r\n"

    private func expectTaken(_ pieces: [[UInt8]], _ stdin: [UInt8]) async throws {
        let server = TestServer()
        try await server.run {
            let reply = try await server.exchange(pieces)
            #expect(reply == "HTTP/1.1 101 UPGRADED\r\n\r\nbye")
            var taken = server.hijacked.makeAsyncIterator()
            #expect(await taken.next() == stdin)
        }
    }

    private func bytes(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    @Test(arguments: [0, 1, 4096, 300_000])
    func requestAndInputInOnePacketLoseNothing(count: Int) async throws {
        let stdin = bytes(count)
        try await expectTaken([Array(Self.head.utf8) + stdin], stdin)
    }

    @Test func drippedBytesLoseNothing() async throws {
        let stdin = bytes(200)
        try await expectTaken((Array(Self.head.utf8) + stdin).map { [$0] }, stdin)
    }

    @Test func inputThatLooksLikeARequestStaysInput() async throws {
        let stdin = Array("GET /hello HTTP/1.1\r\n\r\n".utf8)
        try await expectTaken([Array(Self.head.utf8), stdin], stdin)
    }

    @Test func bodyIsReadBeforeTheInput() async throws {
        let body = #"{"Detach":false,"Tty":false}"#
        let head =
            "POST /exec/abc/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\(Self.upgrade)\r\n"
        let stdin = bytes(100_000)
        try await expectTaken([Array((head + body).utf8) + stdin], stdin)
        try await expectTaken([Array(head.utf8), Array(body.utf8), stdin], stdin)
    }

    @Test func endOfInputBeforeTheReplyLosesNothing() async throws {
        let server = TestServer()
        let stdin = bytes(100_000)
        try await server.run {
            let head = Self.head.replacing("/take", with: "/take?delay=200")
            let reply = try await server.exchange([Array(head.utf8) + stdin])
            #expect(reply.hasSuffix("bye"))
            var taken = server.hijacked.makeAsyncIterator()
            #expect(await taken.next() == stdin)
        }
    }

    @Test func keepAliveRequestsMayComeFirst() async throws {
        let server = TestServer()
        let stdin = bytes(1000)
        try await server.run {
            let first = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
            let reply = try await server.exchange([Array((first + first + Self.head).utf8) + stdin])
            #expect(reply.ranges(of: "200 OK").count == 2)
            #expect(reply.hasSuffix("101 UPGRADED\r\n\r\nbye"))
            var taken = server.hijacked.makeAsyncIterator()
            #expect(await taken.next() == stdin)
        }
    }

    @Test func withoutUpgradeHeaderLaterBytesAreInput() async throws {
        let server = TestServer()
        try await server.run {
            let path = server.path
            let reply = try await TestServer.blocking {
                let socket = SharedDescriptor(try UnixSocket.connect(path))
                try socket.writeAll("POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
                var head: [UInt8] = []
                while head.count < 25 { head += try socket.read(upTo: 25 - head.count) }
                try socket.writeAll("typed later")
                try UnixSocket.shutdownWriting(socket.raw)
                return try socket.readToEnd(limit: 100)
            }
            #expect(reply == Array("bye".utf8))
            var taken = server.hijacked.makeAsyncIterator()
            #expect(await taken.next() == Array("typed later".utf8))
        }
    }

    @Test func refusalIsAnOrdinaryReplyAndClosesTheConnection() async throws {
        let server = TestServer()
        try await server.run {
            let head = Self.head.replacing("/take", with: "/take?refuse=1")
            let reply = try await server.exchange(head + "early bytes", endsInput: false)
            #expect(reply.hasPrefix("HTTP/1.1 409 Conflict"))
            #expect(reply.lowercased().contains("connection: close"))
            #expect(reply.contains(#"{"message":"refused"}"#))
        }
    }

    @Test func upgradeForAnotherRouteIsAnsweredAndCloses() async throws {
        let server = TestServer()
        try await server.run {
            let request = "GET /hello HTTP/1.1\r\nHost: x\r\n\(Self.upgrade)\r\n"
            let reply = try await server.exchange(request, endsInput: false)
            #expect(reply.hasPrefix("HTTP/1.1 200 OK"))
        }
    }

    @Test func manyHijacksLeakNoDescriptors() async throws {
        let server = TestServer()
        try await server.run {
            _ = try await server.exchange(Self.head + "x")
            let before = try Self.openDescriptors()
            for _ in 0..<200 { _ = try await server.exchange(Self.head + "x") }
            // Other tests open descriptors meanwhile and close them; what 200 connections leaked would stay.
            let deadline = ContinuousClock.now + .seconds(60)
            while try Self.openDescriptors() > before + 100, ContinuousClock.now < deadline { await Task.yield() }
            #expect(try Self.openDescriptors() <= before + 100)
        }
    }

    /// Other tests of this process open descriptors too, so this is compared with room.
    private static func openDescriptors() throws -> Int {
        let directory = try RootedDir("/proc/self/fd")
        return try directory.readDirectory(".").count
    }
}
