import BerthDaemon
import Testing

@Suite("Configuration file")
struct ConfigurationFileTests {
    @Test func everyKeyIsRead() throws {
        let values = try ConfigurationFile.parse(
            """
            root = "/r"
            state = "/s"
            socket = "/s/x.sock"
            socket-group = 7
            log-level = "debug"
            default-backend = "other"
            init = "/i"
            stop-timeout = 3

            [backends]
            other = "/b"

            [backends.mine]
            program = "/m"
            colour = "red"

            [backends.runc]
            runtime = "/usr/sbin/runc"

            [log-options]
            max-size = "1m"
            """,
            path: "x.toml"
        )
        var expected = ConfigurationFile.Values()
        expected.root = "/r"
        expected.state = "/s"
        expected.socket = "/s/x.sock"
        expected.socketGroup = 7
        expected.logLevel = "debug"
        expected.defaultBackend = "other"
        expected.initPath = "/i"
        expected.stopTimeout = 3
        expected.backends = ["other": "/b", "mine": "/m"]
        expected.backendOptions = ["mine": ["colour": "red"], "runc": ["runtime": "/usr/sbin/runc"]]
        expected.logOptions = ["max-size": "1m"]
        #expect(values == expected)
    }

    @Test func emptyFileSaysNothing() throws {
        #expect(try ConfigurationFile.parse("", path: "x.toml") == ConfigurationFile.Values())
    }

    @Test(arguments: [
        ("root = \"/r\"\nstaet = \"/s\"\n", "x.toml:2: unknown key 'staet'; did you mean 'state'?"),
        ("\nzzzzzzzzzzzz = 1\n", "x.toml:2: unknown key 'zzzzzzzzzzzz'; known keys: backends, "),
        ("root = 7\n", "x.toml:1: key 'root': expected a string, found 7"),
        ("# x\nsocket-group = \"staff\"\n", "x.toml:2: key 'socket-group': expected a whole number"),
        ("socket-group = -1\n", "x.toml:1: key 'socket-group': the number of a group, not -1"),
        ("backends = \"x\"\n", "x.toml:1: key 'backends': expected a table of paths and tables"),
        ("[backends]\nnative = 1\n", "x.toml:2: key 'backends.native': expected a string"),
        ("root = \"/r\n", "x.toml:1: "),
        ("root = \"/r\"\nroot = \"/q\"\n", "x.toml:2: "),
        ("[unclosed\n", "x.toml:1: "),
    ])
    func mistakesNameTheirPlace(text: String, expected: String) {
        do {
            _ = try ConfigurationFile.parse(text, path: "x.toml")
            Issue.record("accepted: \(text)")
        } catch {
            #expect("\(error)".hasPrefix(expected), "\(error)")
        }
    }
}
