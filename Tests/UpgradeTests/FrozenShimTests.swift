import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// A shim stands still, or has no descriptors: what is shown of it, and what is true of its container's end.
    @Suite struct FrozenShimTests {
        /// The init process waits in the kernel for the session, which its frozen parent does not reap.
        @Test func theEndOfAContainerWithSessionsIsTrue() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                try daemon.ok("exec", "-d", "one", "sleep", "1000")
                try daemon.crash()
                try daemon.start()
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                try daemon.signal(SIGSTOP, shimOf: "one")
                try daemon.ok("stop", "-t", "1", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "137")
                #expect(try daemon.field(".State.Error", "one").isEmpty)
                #expect(try daemon.ok("exec", "ls", "one").contains("Exited (137)"))
                let told = try daemon.told("one")
                #expect(
                    told.filter { $0 == "die" }.count == 1 && told.filter { $0 == "exec_die" }.count == 2,
                    "\(told)"
                )
            }
        }

        /// The manager that is to stop it has never met the shim.
        @Test func theEndOfAContainerThatWasNotAdoptedIsTrue() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'exit 7' TERM")
                try daemon.signal(SIGSTOP, shimOf: "one")
                try daemon.crash()
                try daemon.start(executable: "berthd-faults", environment: ["BERTH_DEADLINE": "1"])
                try daemon.ok("stop", "-t", "5", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "7")
                #expect(try daemon.told("one").filter { $0 == "die" }.count == 1)
            }
        }

        private struct Silence: Decodable { var Pid: Int32, State: String, WaitChannel: String, Since: String }

        private func silence(_ daemon: Daemon, _ name: String) throws -> Silence? {
            let text = try daemon.field("json .State.Berth.Shim", name)
            return try? JSONDecoder().decode(Silence.self, from: Data(text.utf8))
        }

        @Test(arguments: [true, false]) func aShimThatStandsStillIsNamed(inTheNextLife isLater: Bool) throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                try daemon.ok("run", "-d", "--name", "other", "berth/default", "sleep", "1000")
                func list() throws -> [Substring] {
                    try daemon.ok("shim", "ls", "--format", "{{.Name}} {{.State}} {{.Pid}} {{.Silent}}")
                        .split(separator: "\n")
                }
                let usual = try (0..<5).map { _ in try daemon.seconds { _ = try list() } }.min() ?? 0
                let shim = try daemon.signal(SIGSTOP, shimOf: "one")
                defer { kill(shim, SIGCONT) }
                if isLater {
                    try daemon.crash()
                    try daemon.start()
                }
                // Nobody calls it.
                let noticed = try daemon.seconds {
                    try eventually("it is shown") { try silence(daemon, "one") != nil }
                }
                #expect(noticed < 8, "\(noticed) s")
                let shown = try #require(try silence(daemon, "one"))
                #expect(shown.Pid == shim && shown.State.hasPrefix("T") && !shown.WaitChannel.isEmpty, "\(shown)")
                let rows = try list()
                #expect(rows.count == 2)
                #expect(rows.contains { $0.hasPrefix("one unreachable \(shim) ") && $0.contains("T (stopped)") })
                #expect(rows.contains { $0.hasPrefix("other reachable ") && $0.hasSuffix(" -") })
                // Who asks it waits a second each time, whatever else the machine does.
                let listed = try (0..<5).map { _ in try daemon.seconds { _ = try list() } }.min() ?? 0
                #expect(listed < 3 * usual, "\(listed) s, and \(usual) s before")
                #expect(try silence(daemon, "other") == nil)
                #expect(kill(shim, SIGCONT) == 0)
                try eventually("it is well") { try daemon.field("json .State.Berth", "one").contains("Reach") == false }
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                try eventually("both were told once") {
                    try daemon.told("one").filter { $0.contains("reachable") } == ["unreachable", "reachable"]
                }
            }
        }

        /// What the shim hears when it goes on is not what the user was told.
        @Test func aChangeOfThePolicyThatHadNoAnswerIsTakenBack() throws {
            try Daemon.with(executable: "berthd-faults", environment: ["BERTH_DEADLINE": "2"]) { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let first = try #require(Int32(try daemon.field(".State.Pid", "one")))
                let shim = try daemon.signal(SIGSTOP, shimOf: "one")
                #expect(try daemon.berth("update", "--restart", "always", "one").status != 0)
                #expect(kill(shim, SIGCONT) == 0)
                try eventually("it is well") { try silence(daemon, "one") == nil }
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                #expect(kill(first, SIGKILL) == 0)
                #expect(try daemon.client(["wait", "one"]).finish(within: 20).text == "137")
                #expect(try daemon.field(".RestartCount", "one") == "0")
                #expect(try daemon.field(".State.Status", "one") == "exited")
            }
        }

        /// What waits for an answer is refused by a shim that is known to give none.
        @Test func nobodyWaitsForAShimThatIsKnownToBeSilent() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let shim = try daemon.signal(SIGSTOP, shimOf: "one")
                defer { kill(shim, SIGCONT) }
                try eventually("the silence is shown") { try silence(daemon, "one") != nil }
                for words in [["top"], ["stats", "--no-stream"], ["pause"], ["update", "--restart", "always"]] {
                    let took = try daemon.seconds { () throws in
                        #expect(try daemon.client(words + ["one"]).finish().status != 0, "\(words)")
                    }
                    #expect(took < 4, "\(words): \(took) s")
                }
                #expect(try daemon.field(".HostConfig.RestartPolicy.Name", "one") == "no")
            }
        }

        /// Nobody looks at its process: a call alone finds out.
        @Test func aCallInVainIsEnough() throws {
            try Daemon.with(executable: "berthd-faults", environment: ["BERTH_DEADLINE": "2"]) { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let shim = try daemon.signal(SIGSTOP, shimOf: "one")
                defer { kill(shim, SIGCONT) }
                #expect(try daemon.berth("pause", "one").status != 0)
                #expect(try silence(daemon, "one")?.Pid == shim)
            }
        }

        /// With nothing free a shim neither spins nor fills its log, and goes on where it was.
        @Test(arguments: ["shim.sock", "fd.sock"]) func aShimWithoutDescriptorsWaitsForOne(_ socket: String) throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let (shim, bundle) = (try daemon.shim("one"), try daemon.bundle("one"))
                func limit(_ count: Int) throws {
                    let words = ["--pid", "\(shim)", "--nofile=\(count):"]
                    try #require(try Command("prlimit", words, in: daemon.scratch).finish().status == 0)
                }
                func lines() throws -> Int {
                    try String(contentsOf: bundle.appendingPathComponent("shim.log"), encoding: .utf8)
                        .split(separator: "\n").count { $0.contains("socket=") }
                }
                let told = try lines()
                try limit(3)
                let script = """
                    import os, socket, sys
                    os.chdir(sys.argv[1])
                    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[2]); print("there", flush=True); s.recv(1)
                    """
                let client = try Command("python3", ["-c", script, bundle.path, socket], in: daemon.scratch)
                try eventually("somebody has connected") { client.output == "there\n" }
                try eventually("it was tried, and told of once") { try lines() == told + 1 }
                let before = try processorTime(shim)
                let passed = try daemon.seconds { for _ in 0..<20 { try daemon.ok("ps") } }
                #expect(Double(try processorTime(shim) - before) < 100 * passed / 5)
                #expect(try lines() == told + 1)
                client.send(SIGKILL)
                try client.finish(within: 10)
                try limit(4096)
                try eventually("it accepts again, and tells of it") { try lines() > told + 1 }
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
            }
        }

        /// The shim may have the connection in its hands for as long as it stands still.
        @Test func aClientThatAttachesToASilentShimIsTold() throws {
            try Daemon.with(executable: "berthd-faults", environment: ["BERTH_DEADLINE": "2"]) { daemon in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let shim = try daemon.signal(SIGSTOP, shimOf: "one")
                defer { kill(shim, SIGCONT) }
                let clients = try (0..<2).map { _ in try daemon.client(["attach", "--no-stdin", "one"]) }
                for client in clients {
                    let end = try client.finish(within: 15)
                    #expect(end.status != 0 && !end.errors.isEmpty, "\(end)")
                }
                try eventually("it is known to be silent") { try silence(daemon, "one") != nil }
                let end = try daemon.client(["attach", "--no-stdin", "one"]).finish(within: 10)
                #expect(end.status == 1, "\(end)")
            }
        }

        /// Either the dead shim or its successor, or nobody: in no case a client waits for a start that does not come.
        @Test func aClientThatAttachesWhileAShimDiesIsNotForgotten() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let clients = try (0..<3).map { _ in
                    try daemon.signal(SIGKILL, shimOf: "one")
                    let client = try daemon.client(["attach", "--no-stdin", "one"])
                    try eventually("a shim is there") { try daemon.berth("exec", "one", "true").status == 0 }
                    return client
                }
                try daemon.ok("kill", "one")
                for client in clients { #expect(try client.finish(within: 20).status != 0) }
            }
        }

        /// In hundredths of a second.
        private func processorTime(_ pid: Int32) throws -> Int {
            let fields =
                try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
                .split(separator: ")").last?.split(separator: " ") ?? []
            return try #require(Int(fields[11])) + #require(Int(fields[12]))
        }
    }
}
