import DockerAPI
import HTTPTypes
import Testing

@Suite("Routes")
struct RouteTableTests {
    private var table: RouteTable<String> {
        var table = RouteTable<String>()
        table.add(.get, "/containers/json", "list")
        table.add(.get, "/containers/{id}/json", "inspect")
        table.add(.delete, "/containers/{id}", "remove")
        table.add(.get, "/images/json", "images")
        table.add(.get, "/images/{name...}/json", "image")
        table.add(.delete, "/images/{name...}", "rmi")
        table.add(.head, "/_ping", "ping")
        return table
    }

    @Test(arguments: [
        ("GET", "/containers/json", "list", [:]),
        ("GET", "/containers/abc/json", "inspect", ["id": "abc"]),
        ("GET", "/containers/%2Fname/json", "inspect", ["id": "/name"]),
        ("DELETE", "/containers/abc", "remove", ["id": "abc"]),
        ("GET", "/images/json", "images", [:]),
        ("GET", "/images/a/json", "image", ["name": "a"]),
        ("GET", "/images/host:5000/a/b:c/json", "image", ["name": "host:5000/a/b:c"]),
        ("GET", "/images/json/json", "image", ["name": "json"]),
        ("DELETE", "/images/a/json", "rmi", ["name": "a/json"]),
        ("HEAD", "/_ping", "ping", [:]),
    ])
    func matches(method: String, path: String, handler: String, values: [String: String]) throws {
        let method = try #require(HTTPRequest.Method(rawValue: method))
        let match = try #require(table.match(method, path))
        #expect(match.0.handler == handler)
        #expect(match.1 == values)
    }

    @Test(arguments: [
        ("POST", "/containers/json"), ("GET", "/containers"), ("GET", "/containers/"), ("GET", "containers/json"),
        ("GET", "/containers//json"), ("GET", "/containers/a/b/json"), ("GET", "/containers%2Fjson"),
        ("GET", "/CONTAINERS/json"), ("GET", "/images//json"), ("DELETE", "/images/"), ("GET", "/_ping"),
        ("GET", "/containers/a%00b/json"), ("GET", "/containers/%zz/json"), ("GET", ""), ("GET", "*"),
        ("GET", "http://x/containers/json"), ("GET", "/containers/%ff/json"),
    ])
    func doesNotMatch(method: String, path: String) throws {
        let method = try #require(HTTPRequest.Method(rawValue: method))
        #expect(table.match(method, path) == nil)
    }

    @Test(arguments: [
        ("/v1.41/x", 41, true, "/x"), ("/x", 51, false, "/x"), ("/v1.24/a/b", 24, true, "/a/b"),
        ("/version", 51, false, "/version"), ("/v/x", 51, false, "/v/x"), ("/v1.41", 51, false, "/v1.41"),
        ("/v1.41/v1.40/x", 41, true, "/v1.40/x"), ("/volumes", 51, false, "/volumes"),
    ])
    func versionIsCutOnce(path: String, minor: Int, explicit: Bool, rest: String) {
        let parsed = VersionedPath(path)
        #expect(parsed.version.minor == minor)
        #expect(parsed.isExplicit == explicit)
        #expect(parsed.path == rest)
    }

    @Test func versionsCompareByNumber() throws {
        #expect(try #require(APIVersion("1.9")) < #require(APIVersion("1.24")))
        #expect(APIVersion("1.x") == nil)
        #expect(try #require(APIVersion("2")) == APIVersion(2, 0))
    }
}
