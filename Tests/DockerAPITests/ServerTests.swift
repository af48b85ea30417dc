import DockerAPI
import Kernel
import Testing

@Suite("Server")
struct ServerTests {
    private func reply(_ request: String, endsInput: Bool = true) async throws -> String {
        let server = TestServer()
        nonisolated(unsafe) var reply = ""
        // One writer, and it has ended before the value is read.
        try await server.run { reply = try await server.exchange(request, endsInput: endsInput) }
        return reply
    }

    private func post(_ path: String, _ body: String, type: String? = "application/json") -> String {
        let typeLine = type.map { "Content-Type: \($0)\r\n" } ?? ""
        return "POST \(path) HTTP/1.1\r\nHost: x\r\n\(typeLine)Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func everyReplyCarriesTheCommonHeaders() async throws {
        for path in ["/hello", "/v1.24/hello", "/nothing", "/v9.9/hello"] {
            let reply = try await reply("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n").lowercased()
            #expect(reply.contains("api-version: 1.51"))
            #expect(reply.contains("ostype: linux"))
            #expect(reply.contains("docker-experimental: false"))
            #expect(reply.contains("server: berth/test (linux)"))
        }
    }

    @Test func versionReachesTheHandler() async throws {
        #expect(try await reply("GET /v1.41/hello HTTP/1.1\r\nHost: x\r\n\r\n").contains(#"{"version":"1.41"}"#))
        #expect(try await reply("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n").contains(#"{"version":"1.51"}"#))
    }

    @Test(arguments: [
        ("/v1.23/hello", "400", "client version 1.23 is too old. Minimum supported API version is 1.24"),
        ("/v1.52/hello", "400", "client version 1.52 is too new. Maximum supported API version is 1.51"),
        ("/v99999999999999999999.1/hello", "400", "too new"),
        ("/nothing", "404", #"{"message":"page not found"}"#),
        ("/hello/", "404", "page not found"),
        ("//hello", "404", "page not found"),
        ("/Hello", "404", "page not found"),
        ("/x/../hello", "404", "page not found"),
        ("/hello?filters=%zz", "400", "bad escape"),
    ])
    func badPathsAreRefused(path: String, status: String, text: String) async throws {
        let reply = try await reply("GET \(path) HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(reply.hasPrefix("HTTP/1.1 \(status)"), "\(reply)")
        #expect(reply.contains(text), "\(reply)")
    }

    @Test(arguments: [
        (#"{"a":1}"#, "application/json", "200", #"{"a":1}"#),
        (#"{"a":1}"#, "application/json; charset=utf-8", "200", #"{"a":1}"#),
        (#"{"a":1}"#, "text/plain", "400", "Content-Type"),
        (#"{"a":1}"#, nil, "400", "Content-Type"),
        (#"{"a":1"#, "application/json", "400", "not valid JSON"),
        (#"{"a":"x"}"#, "application/json", "400", "a: expected a whole number"),
        ("", "application/json", "400", "no body"),
    ])
    func bodiesAreChecked(body: String, type: String?, status: String, text: String) async throws {
        let reply = try await reply(post("/echo", body, type: type))
        #expect(reply.hasPrefix("HTTP/1.1 \(status)"), "\(reply)")
        #expect(reply.contains(text), "\(reply)")
    }

    @Test func declaredHugeBodyIsRefusedUnread() async throws {
        let head =
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n"
        let reply = try await reply(head)
        #expect(reply.hasPrefix("HTTP/1.1 413"))
    }

    @Test func chunkedHugeBodyIsRefused() async throws {
        let head =
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        let chunk = "100000\r\n" + String(repeating: " ", count: 1 << 20) + "\r\n"
        let reply = try await reply(head + String(repeating: chunk, count: 5) + "0\r\n\r\n")
        #expect(reply.hasPrefix("HTTP/1.1 413"))
    }

    @Test func lengthAndChunksTogetherAreRefused() async throws {
        let head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        let request = head + "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"
        #expect(try await reply(request).hasPrefix("HTTP/1.1 400"))
    }

    @Test func streamedBodiesMayBeLarge() async throws {
        let body = String(repeating: "x", count: 6 << 20)
        #expect(try await reply(post("/upload", body, type: nil)).contains(#"{"count":6291456}"#))
    }

    @Test func notModifiedHasNoBody() async throws {
        let reply = try await reply("POST /same HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        #expect(reply.hasPrefix("HTTP/1.1 304"))
        #expect(reply.hasSuffix("\r\n\r\n"))
    }

    @Test func streamEndsWhenTheClientGoes() async throws {
        let server = TestServer()
        try await server.run {
            let path = server.path
            try await TestServer.blocking {
                let socket = SharedDescriptor(try UnixSocket.connect(path))
                try socket.writeAll("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
                var text = ""
                while !text.contains("first") { text += String(decoding: try socket.read(upTo: 100), as: UTF8.self) }
            }
            var cancelled = server.cancelled.makeAsyncIterator()
            _ = await cancelled.next()
        }
    }

    @Test func streamEndsWhenTheServerStops() async throws {
        let server = TestServer()
        try await server.run {
            let path = server.path
            _ = try await TestServer.blocking {
                let socket = SharedDescriptor(try UnixSocket.connect(path))
                try socket.writeAll("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
                var text = ""
                while !text.contains("first") { text += String(decoding: try socket.read(upTo: 100), as: UTF8.self) }
                // The connection stays open while the server is asked to stop.
                return socket
            }
        }
    }

    @Test func refusedPeerGetsNothing() async throws {
        let server = TestServer()
        try await server.run(admits: false) {
            let reply = try? await server.exchange("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(reply == nil || reply == "")
        }
    }
}
