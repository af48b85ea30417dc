import Foundation
import SystemFixture
import Testing

private enum DockerClient {
    static let isThere = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
        FileManager.default.isExecutableFile(atPath: "\($0)/docker")
    }
}

extension UpgradeTests {
    /// Sessions in the middle of their output while the manager is killed, started, and replaced in place.
    @Suite struct SessionTests {
        private static let lines = 6000

        /// Counts on standard output, and on standard error with an "e" before, with pauses that make it take some seconds.
        private static let count =
            "i=0; while [ $i -lt \(lines) ]; do i=$((i+1)); echo $i; echo e$i >&2; [ $((i % 20)) -eq 0 ] && usleep 20000; done"

        private func words(_ client: String, _ daemon: Daemon) -> [String] {
            client == "docker"
                ? ["docker", "-H", "unix://\(daemon.socket)"]
                : [Binaries.path("berth"), "--host", "unix://\(daemon.socket)"]
        }

        /// Kills the manager, starts it, replaces it in place and kills it again, each in the middle of the output.
        private func disturb(_ daemon: Daemon, _ session: Command, _ newline: String) throws {
            func reached(_ number: Int) throws {
                try eventually(within: 60, "it is at \(number)") {
                    session.output.contains("\(newline)\(number)\(newline)")
                }
            }
            try reached(300)
            try daemon.crash()
            try reached(1000)
            try daemon.start()
            try reached(1500)
            #expect(try daemon.ok("system", "upgrade").contains("has taken over from"))
            try reached(2500)
            try daemon.crash()
            try daemon.start()
            #expect(
                !session.output.contains("\(newline)\(Self.lines)\(newline)"),
                "the manager came back too late to matter"
            )
        }

        @Test func shellOnATerminalLosesNothing() throws { try onATerminal("berth") }

        @Test(.enabled(if: DockerClient.isThere, "needs the docker client"))
        func shellOfDockersClientOnATerminalLosesNothing() throws { try onATerminal("docker") }

        private func onATerminal(_ client: String) throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let line = (words(client, daemon) + ["exec", "-it", "one", "sh"]).joined(separator: " ")
                let session = try Command("script", ["-qfec", line, "/dev/null"], in: daemon.scratch, keepsInput: true)
                try eventually("there is a prompt") { session.output.contains("# ") }
                try session.type("\(Self.count)\n")
                try disturb(daemon, session, "\r\n")
                try eventually(within: 60, "it has counted") { session.output.contains("\r\ne\(Self.lines)\r\n") }
                // What is typed afterwards arrives, and the shell's own code comes back: also Docker's client can ask for it again.
                try session.type("exit 33\n")
                let outcome = try session.finish()
                #expect(outcome.status == 33, "\(outcome.errors)")
                let shown = outcome.output.split(separator: "\r\n").map(String.init)
                #expect(shown.compactMap { Int($0) } == Array(1...Self.lines))
                #expect(shown.filter { $0.hasPrefix("e") }.compactMap { Int($0.dropFirst()) } == Array(1...Self.lines))
            }
        }

        @Test func sessionWithoutATerminalLosesNothing() throws { try withoutATerminal("berth") }

        @Test(.enabled(if: DockerClient.isThere, "needs the docker client"))
        func sessionOfDockersClientWithoutATerminalLosesNothing() throws { try withoutATerminal("docker") }

        private func withoutATerminal(_ client: String) throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let script = "\(Self.count); read word; echo got $word; exit 33"
                let line = words(client, daemon) + ["exec", "-i", "one", "sh", "-c", script]
                let session = try Command(line[0], Array(line.dropFirst()), in: daemon.scratch, keepsInput: true)
                try disturb(daemon, session, "\n")
                try session.type("word\n")
                let outcome = try session.finish()
                #expect(outcome.status == 33, "\(outcome.status)")
                let numbers = (1...Self.lines).map(String.init)
                #expect(outcome.output == (numbers + ["got word", ""]).joined(separator: "\n"))
                let errors = outcome.errors.split(separator: "\n").map(String.init)
                // `berth` may say that it waits for the manager.
                #expect(errors.filter { !$0.hasPrefix("berth: ") } == numbers.map { "e\($0)" })
            }
        }

        /// Manager and shim die: what no shim has any more comes from nobody, and a command's own code does not hide that.
        @Test func outputThatBreaksOffIsNoSuccess() throws {
            try Daemon.with { (daemon) throws in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                func script(_ name: String) -> [String] {
                    ["sh", "-c", "echo begun; until [ -e /gate/\(name) ]; do sleep 0.01; done; echo over"]
                }
                let run = try daemon.client(
                    ["run", "--name", "one", "-v", "\(gate.path):/gate", "berth/default"] + script("init")
                )
                try eventually("it runs") { run.output == "begun\n" }
                let early = try daemon.client(["exec", "one"] + script("early"))
                let late = try daemon.client(["exec", "one"] + script("late"))
                let silent = try daemon.client([
                    "exec", "one", "sh", "-c", "until [ -e /gate/late ]; do sleep 0.01; done",
                ])
                try eventually("they run") {
                    try early.output == "begun\n" && late.output == "begun\n"
                        && daemon.ok("exec", "ls", "-q", "one").split(separator: "\n").count == 3
                }
                let shim = try daemon.shim("one")
                try daemon.crash()
                #expect(kill(shim, SIGKILL) == 0)
                // One session ends while nobody is there, two and the container behind the next manager's start.
                try Data().write(to: URL(fileURLWithPath: gate.path + "/early"))
                for session in [early, late, silent] {
                    let outcome = try session.finish(within: 30)
                    #expect(outcome.status == 125 && outcome.errors.contains("lost"), "\(outcome)")
                }
                try daemon.start()
                // Its pipe goes with the last of its processes: before that another shim has to be there.
                try eventually("it is supervised again") { try daemon.berth("exec", "one", "true").status == 0 }
                try Data().write(to: URL(fileURLWithPath: gate.path + "/late"))
                try Data().write(to: URL(fileURLWithPath: gate.path + "/init"))
                let outcome = try run.finish(within: 30)
                #expect(outcome.status == 125 && outcome.errors.contains("lost"), "\(outcome)")
                // The log has all of it, and the container's own code is known.
                let log = try daemon.ok("logs", "one")
                #expect(log == "begun\nover")
                #expect(try daemon.field(".State.ExitCode", "one") == "0")
            }
        }

        @Test func ringIsAsLargeAsWasAsked() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let script = "seq 1 2000; exec sleep 1000"
                for size in ["100", "1k", "64k"] {
                    try daemon.ok("exec", "-d", "--ring-size", size, "one", "sh", "-c", script)
                }
                let whole = (1...2000).map { "\($0)\n" }.joined()
                let ids = try daemon.ok("exec", "ls", "one").split(separator: "\n").dropFirst()
                    .compactMap { $0.split(separator: " ").first.map(String.init) }
                try #require(ids.count == 3)
                var rings: Set<String> = []
                for id in ids {
                    let attached = try daemon.client(["attach", "--exec", id])
                    try eventually("the ring ends as the output") { attached.output.hasSuffix("\n2000\n") }
                    rings.insert(attached.output)
                    attached.send(SIGKILL)
                    try attached.finish()
                }
                #expect(rings == [String(whole.suffix(100)), String(whole.suffix(1024)), whole])
                for size in ["-1", "much", "1t"] {
                    #expect(try daemon.berth("exec", "--ring-size", size, "one", "true").status != 0, "\(size)")
                }
            }
        }
    }
}
