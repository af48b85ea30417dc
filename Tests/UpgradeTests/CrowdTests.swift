import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// Many requests wait for one thing that does not answer: nobody else waits with them.
    @Suite struct CrowdTests {
        /// Opens a number of connections that ask to be attached, and keeps them until its input ends.
        private static let attaching = """
            import socket, sys
            def ask():
                s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
                s.sendall(("POST /v1.41/containers/%s/attach?stream=1&stdout=1 HTTP/1.1\\r\\nHost: d\\r\\n"
                    "Connection: Upgrade\\r\\nUpgrade: tcp\\r\\nContent-Length: 0\\r\\n\\r\\n" % sys.argv[2]).encode())
                return s
            all = [ask() for _ in range(int(sys.argv[3]))]
            for s in all:
                if b"101" not in s.recv(4096): sys.exit("refused")
            print("asked", flush=True)
            sys.stdin.read()
            """

        @Test func clientsOfAFrozenShimDelayNobodyElse() throws {
            try Daemon.with { (daemon) throws in
                for name in ["one", "other"] {
                    try daemon.ok("run", "-d", "--name", name, "berth/default", "sleep", "1000")
                }
                let shim = try daemon.signal(SIGSTOP, shimOf: "one")
                let words = ["-c", Self.attaching, daemon.socket, "one", "40"]
                let clients = try Command("python3", words, in: daemon.scratch, keepsInput: true)
                defer { clients.closeInput() }
                try eventually("they are told that they are attached") { clients.output == "asked\n" }
                let others = try daemon.seconds { () throws in
                    try daemon.ok("run", "--rm", "berth/default", "true")
                    #expect(try daemon.ok("exec", "other", "echo", "alive") == "alive")
                }
                #expect(others < 6, "\(others) s")
                #expect(kill(shim, SIGCONT) == 0)
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
            }
        }

        @Test func requestsForAHungBindRefuseNoOtherBind() throws {
            let disk = try PrivateDisk.silent()
            defer { disk.remove() }
            try Daemon.with(mountsOf: disk.pid) { (daemon) throws in
                let links = daemon.scratch.appendingPathComponent("links")
                try FileManager.default.createDirectory(at: links, withIntermediateDirectories: false)
                // The thing itself, what is in it, and other names of it.
                let sources =
                    try [disk.path]
                    + (0..<40).map { index in
                        if index % 2 == 0 { return "\(disk.path)/\(index)" }
                        let link = links.appendingPathComponent("\(index)").path
                        try FileManager.default.createSymbolicLink(
                            atPath: link,
                            withDestinationPath: index % 3 == 0 ? disk.path : "\(disk.path)/\(index)"
                        )
                        return link
                    }
                let socket = ["-s", "-w", "\n%{http_code}", "--unix-socket", daemon.socket]
                let creates = try sources.map { source in
                    let body = #"{"Image":"berth/default","HostConfig":{"Binds":["\#(source):/data"]}}"#
                    let request = [
                        "-H", "Content-Type: application/json", "-d", body, "http://d/v1.41/containers/create",
                    ]
                    return try Command("curl", socket + request, in: daemon.scratch)
                }
                let others = try daemon.seconds { () throws in
                    try daemon.ok("run", "--rm", "-v", "\(links.path):/data", "berth/default", "true")
                }
                #expect(others < 6, "\(others) s")
                for (create, source) in zip(creates, sources) {
                    let outcome = try create.finish(within: 40)
                    #expect(outcome.lines.last != "201" && outcome.output.contains("'\(source)'"), "\(outcome)")
                }
                #expect(try daemon.ok("ps", "-aq").isEmpty)
            }
        }

        @Test func aSessionWithAFrozenShimFailsInTimeAndSaysWhoseFaultItIs() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let shim = try daemon.signal(SIGSTOP, shimOf: "one")
                var outcome = try daemon.client(["exec", "one", "true"]).finish(within: 25)
                #expect(outcome.status == 125 && outcome.output.contains("does not answer"), "\(outcome)")
                try eventually(within: 120, "it is known to be unreachable") {
                    try daemon.ok("ps", "--format", "{{.Status}}").hasSuffix("(unreachable)")
                }
                let took = try daemon.seconds {
                    outcome = try daemon.client(["exec", "one", "true"]).finish(within: 25)
                }
                #expect(took < 5, "\(took) s")
                #expect(outcome.status == 125 && outcome.output.contains("does not answer"), "\(outcome)")
                #expect(kill(shim, SIGCONT) == 0)
                try eventually(within: 10, "it is reached again") {
                    try !daemon.ok("ps", "--format", "{{.Status}}").hasSuffix("(unreachable)")
                }
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
            }
        }
    }
}
