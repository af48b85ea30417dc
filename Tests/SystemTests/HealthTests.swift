import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// Whether containers work, and exec sessions that outlive their clients or their time.
    @Suite struct HealthTests {
        private static let quick = ["--health-interval", "200ms", "--health-timeout", "2s", "--health-retries", "2"]

        private struct Probe: Decodable {
            var output: String
            private enum CodingKeys: String, CodingKey {
                case output = "Output"
            }
        }

        private func health(_ daemon: Daemon, _ name: String) throws -> String {
            try daemon.field(".State.Health.Status", name)
        }

        private func run(_ daemon: Daemon, _ name: String, _ options: [String], _ command: [String]) throws {
            let words = ["run", "-d", "--name", name] + options + ["berth/default"] + command
            let outcome = try daemon.client(words).finish()
            try #require(outcome.status == 0, "\(outcome)")
        }

        private func events(_ daemon: Daemon, _ name: String) throws -> [String] {
            let now = String(Int(Date().timeIntervalSince1970) + 1)
            let words = [
                "events", "--since", "0", "--until", now, "-f", "container=\(name)", "-f", "event=health_status",
                "--format", "{{.Action}}",
            ]
            return try daemon.client(words).finish().lines
        }

        @Test func healthIsSeenInEveryPlace() throws {
            try Daemon.with { (daemon) throws in
                let check = ["--health-cmd", "echo looked; test ! -e /sick"] + Self.quick
                try run(daemon, "one", check, ["sleep", "1000"])
                try run(daemon, "two", [], ["sleep", "1000"])
                try eventually("it is healthy") { try health(daemon, "one") == "healthy" }
                #expect(try daemon.ok("ps", "--format", "{{.Status}}", "-f", "name=one").hasSuffix("(healthy)"))
                #expect(try daemon.ok("ps", "--format", "{{.Names}}", "-f", "health=healthy") == "one")
                #expect(try daemon.ok("ps", "--format", "{{.Names}}", "-f", "health=none") == "two")
                #expect(try daemon.ok("inspect", "--format", "{{json .State.Health}}", "one").contains("looked"))
                try daemon.ok("exec", "one", "touch", "/sick")
                try eventually("it is unhealthy") { try health(daemon, "one") == "unhealthy" }
                #expect(try daemon.ok("ps", "--format", "{{.Names}}", "-f", "health=unhealthy") == "one")
                #expect(try Int(daemon.field(".State.Health.FailingStreak", "one")) ?? 0 >= 2)
                try daemon.ok("exec", "one", "rm", "/sick")
                try eventually("it is healthy again") { try health(daemon, "one") == "healthy" }
                let changes = ["health_status: healthy", "health_status: unhealthy", "health_status: healthy"]
                #expect(try events(daemon, "one") == changes)
                #expect(try daemon.field(".Config.Healthcheck.Retries", "one") == "2")
            }
        }

        @Test func probesGoOnWithoutAManager() throws {
            try Daemon.with { (daemon) throws in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let check = ["--health-cmd", "echo >>/gate/probes; test ! -e /gate/sick", "-v", "\(gate.path):/gate"]
                try run(daemon, "one", check + Self.quick, ["sleep", "1000"])
                try eventually("it is healthy") { try health(daemon, "one") == "healthy" }
                try daemon.crash()
                try Data().write(to: gate.appendingPathComponent("sick"))
                let probes = gate.appendingPathComponent("probes")
                let before = try Data(contentsOf: probes).count
                try eventually("there are more probes") { try Data(contentsOf: probes).count >= before + 4 }
                try daemon.start()
                try eventually("it is unhealthy") { try health(daemon, "one") == "unhealthy" }
                #expect(try events(daemon, "one") == ["health_status: healthy", "health_status: unhealthy"])
            }
        }

        @Test func probeHasTheContainersConfinement() throws {
            try Daemon.with { (daemon) throws in
                let script = "id -u; echo $A; grep -E 'CapEff|Seccomp:' /proc/self/status; cat /proc/self/uid_map"
                let options = ["-u", "1000", "-e", "A=b", "--cap-drop", "ALL", "--health-cmd", script] + Self.quick
                try run(daemon, "one", options, ["sh", "-c", "\(script); exec sleep 1000"])
                try eventually("it was looked at") { try health(daemon, "one") == "healthy" }
                let log = try daemon.ok("logs", "one")
                let json = try daemon.ok("inspect", "--format", "{{json .State.Health.Log}}", "one")
                let probes = try JSONDecoder().decode([Probe].self, from: Data(json.utf8))
                let output = probes.first?.output.trimmingCharacters(in: .whitespacesAndNewlines)
                #expect(log == output && log.hasPrefix("1000\nb\n"))
            }
        }

        @Test func wrongChecksAreRefused() throws {
            try Daemon.with { (daemon) throws in
                for options in [
                    ["--health-interval", "1us", "--health-cmd", "true"],
                    ["--health-retries=-1", "--health-cmd", "true"],
                    ["--no-healthcheck", "--health-cmd", "true"], ["--health-timeout", "soon", "--health-cmd", "true"],
                ] {
                    #expect(try daemon.client(["create"] + options + ["berth/default", "true"]).finish().status != 0)
                }
                #expect(try daemon.ok("ps", "-aq") == "")
            }
        }

        // Exec sessions -----------------------------------------------------------------------------------------------

        @Test func timeoutKillsTheWholeTree() throws {
            try Daemon.with { (daemon) throws in
                try run(daemon, "one", [], ["sleep", "1000"])
                // Two that leave their session and their parent behind.
                let script =
                    "for i in 1 2; do (setsid sh -c 'sleep 54321 & wait' </dev/null >/dev/null 2>&1 &) ; done; sleep 54321"
                let outcome = try daemon.berth("exec", "--timeout", "500ms", "one", "sh", "-c", script)
                #expect(outcome.status == 137)
                #expect(outcome.errors.contains("its time was over"))
                #expect(!(try daemon.ok("top", "one")).contains("54321"))
                #expect(try daemon.ok("exec", "ls", "one").contains("Timed out (137)"))
                #expect(try daemon.berth("exec", "--timeout", "1m", "one", "sh", "-c", "exit 3").status == 3)
                #expect(try daemon.berth("exec", "--timeout", "never", "one", "true").status != 0)
            }
        }

        @Test func sessionIsFoundAgainAfterItsClientAndTheManager() throws {
            try Daemon.with { (daemon) throws in
                try run(daemon, "one", [], ["sleep", "1000"])
                let script = "echo begun; until [ -e /go ]; do sleep 0.05; done; echo done; exit 5"
                let first = try daemon.client(["exec", "one", "sh", "-c", script])
                try eventually("it has begun") { first.output == "begun\n" }
                first.send(SIGKILL)
                _ = try first.finish()
                try daemon.ok("exec", "-d", "one", "sh", "-c", "echo detached; exec sleep 1000")
                let rows = try daemon.ok("exec", "ls", "one").split(separator: "\n").dropFirst()
                try #require(rows.count == 2 && rows.allSatisfy { $0.contains("Running") }, "\(rows)")
                let ids = rows.compactMap { $0.split(separator: " ").first.map(String.init) }
                try daemon.crash()
                try daemon.start()
                let again = try daemon.client(["attach", "--exec", ids[0]])
                try eventually("the ring is there") { again.output == "begun\n" }
                try daemon.ok("exec", "one", "touch", "/go")
                let end = try again.finish()
                #expect(end.output == "begun\ndone\n" && end.status == 5, "\(end)")
                let detached = try daemon.client(["attach", "--exec", ids[1]])
                try eventually("the detached one's ring is there") { detached.output == "detached\n" }
                detached.send(SIGKILL)
                _ = try detached.finish()
                #expect(try daemon.ok("exec", "ls", "one").contains("Exited (5)"))
                #expect(try daemon.berth("attach", "--exec", ids[0]).status == 1)
            }
        }
    }
}
