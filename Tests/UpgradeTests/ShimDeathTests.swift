import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// A shim is killed: the container's end is found, once, and is true.
    @Suite struct ShimDeathTests {
        @Test func policyKillEndsTheContainerWithinASecond() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "--shim-death", "kill", "berth/default", "sleep", "1000")
                let init0 = try #require(Int32(try daemon.field(".State.Pid", "one")))
                let wait = try daemon.client(["wait", "one"])
                let killed = Date().timeIntervalSince1970
                try daemon.signal(SIGKILL, shimOf: "one")
                #expect(try wait.finish(within: 10).text == "137")
                // As it was recorded: how long the clients take for it is not the question.
                let end = try daemon.field(".State.FinishedAt", "one")
                let text = try Command("date", ["-d", end, "+%s.%N"], in: daemon.scratch).finish().text
                let ended = try #require(Double(text), "\(end)")
                #expect(ended - killed < 1, "\(ended - killed) s")
                #expect(!isAlive(init0))
                #expect(try daemon.field(".Berth.ShimDeath", "one") == "kill")
                #expect(try !daemon.field(".State.Error", "one").isEmpty)
                #expect(try daemon.told("one") == ["create", "start", "shim_die", "die"])
                try daemon.ok("start", "one")
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
            }
        }

        @Test func policyKillHoldsWhenTheManagerWasDeadAsWell() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "--shim-death", "kill", "berth/default", "sleep", "1000")
                let init0 = try #require(Int32(try daemon.field(".State.Pid", "one")))
                let shim = try daemon.shim("one")
                try daemon.crash()
                #expect(kill(shim, SIGKILL) == 0)
                try daemon.start()
                #expect(try daemon.ok("wait", "one") == "137")
                #expect(!isAlive(init0))
                #expect(try daemon.told("one") == ["create", "start", "shim_die", "die"])
            }
        }

        @Test func anUnknownPolicyIsRefused() throws {
            try Daemon.with { (daemon) throws in
                let answer = try daemon.berth("create", "--shim-death", "ignore", "berth/default")
                #expect(answer.status == 125 || answer.status == 1)
                #expect(answer.errors.contains("ShimDeath") && answer.errors.contains("adopt"))
                #expect(try daemon.ok("ps", "-aq").isEmpty)
            }
        }
    }

    /// A shim or a process hangs: that container says so, and nothing waits for it.
    @Suite struct StuckTests {
        @Test func aFrozenShimIsNoObstacle() throws {
            try Daemon.with { (daemon) throws in
                for name in ["one", "two", "other"] {
                    try daemon.ok("run", "-d", "--name", name, "berth/default", "sleep", "1000")
                }
                try daemon.signal(SIGSTOP, shimOf: "one")
                try daemon.signal(SIGSTOP, shimOf: "two")
                let stopped = try daemon.seconds { try daemon.ok("stop", "-t", "1", "one") }
                #expect(stopped < 12, "\(stopped) s")
                #expect(try daemon.field(".State.ExitCode", "one") == "137")
                #expect(try daemon.told("one").filter { $0 == "die" }.count == 1)
                let removed = try daemon.seconds { try daemon.ok("rm", "-f", "two") }
                #expect(removed < 12, "\(removed) s")
                #expect(try daemon.ok("exec", "other", "echo", "alive") == "alive")
            }
        }

        @Test func aSocketOfGarbageIsNoEndOfTheContainer() throws {
            try Daemon.with { (daemon) throws in
                for name in ["one", "other"] {
                    try daemon.ok("run", "-d", "--name", name, "berth/default", "sleep", "1000")
                }
                let socket = try daemon.bundle("one").appendingPathComponent("shim.sock").path
                let kept = socket + ".kept"
                let pid = try daemon.field(".State.Pid", "one")
                try daemon.crash()
                #expect(rename(socket, kept) == 0)
                let script = """
                    import os, socket, sys
                    os.chdir(os.path.dirname(sys.argv[1]))
                    s = socket.socket(socket.AF_UNIX); s.bind("shim.sock"); s.listen(); print("ready", flush=True)
                    while True:
                        c, _ = s.accept()
                        try: c.sendall(os.urandom(4096)); c.close()
                        except OSError: pass
                    """
                let server = try Command("python3", ["-c", script, socket], in: daemon.scratch)
                try eventually("the other server listens") { server.output == "ready\n" }
                try daemon.start()
                let took = try daemon.seconds { () throws in
                    #expect(try daemon.ok("exec", "other", "echo", "alive") == "alive")
                    #expect(try daemon.field(".State.Pid", "one") == pid)
                }
                #expect(took < 5, "\(took) s")
                try eventually("it is said to be unreachable") {
                    try daemon.ok("ps", "-f", "name=one", "--format", "{{.Status}}").hasSuffix("(unreachable)")
                }
                server.send(SIGKILL)
                try server.finish(within: 10)
                #expect(rename(kept, socket) == 0)
                try eventually(within: 40, "it is reached again") {
                    try daemon.berth("exec", "one", "echo", "alive").output == "alive\n"
                }
                #expect(try daemon.told("one").filter { $0 == "die" }.isEmpty)
            }
        }

        @Test func aProcessThatCannotBeKilledIsNamedAndGoesAtTheEnd() throws {
            let disk = try PrivateDisk.freezable()
            defer { disk.remove() }
            try Daemon.with(mountsOf: disk.pid) { (daemon) throws in
                let script = "while :; do echo x >/data/x; sleep 0.02; done"
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "-v",
                    "\(disk.path):/data",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                try daemon.ok("run", "-d", "--name", "other", "berth/default", "sleep", "1000")
                try disk.freeze()
                // Whatever happens from here on, it ends with the thaw: nothing of it could be killed before.
                defer { disk.thaw() }
                let pid = try daemon.field(".State.Pid", "one")
                try eventually("it waits in the kernel") {
                    try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8).contains(") D ")
                }
                var answer = Outcome(status: 0, output: "", errors: "")
                let stopped = try daemon.seconds { answer = try daemon.berth("stop", "-t", "0", "one") }
                #expect(answer.status != 0 && answer.errors.contains("process \(pid)"), "\(answer)")
                #expect(stopped < 20, "\(stopped) s")
                let stuck = try daemon.field("json .State.Berth.Stuck", "one")
                #expect(stuck.contains(#""Pid":\#(pid)"#) && stuck.contains(#""Command":"sh""#), "\(stuck)")
                #expect(stuck.contains(#""State":"D""#) && !stuck.contains(#""WaitChannel":"""#), "\(stuck)")
                #expect(try daemon.ok("ps", "-f", "name=one", "--format", "{{.Status}}").contains("(Stuck: sh \(pid))"))
                try checkLife(beside: pid, daemon)
                disk.thaw()
                try eventually(within: 30, "it is gone at last") {
                    try daemon.ok("ps", "-a", "--format", "{{.Names}}").contains("stuck") == false
                }
            }
        }

        /// Its name is free, others are not delayed, and a manager that is started anew knows all of it.
        private func checkLife(beside pid: String, _ daemon: Daemon) throws {
            let removal = try daemon.berth("rm", "-f", "one")
            #expect(removal.status != 0 && removal.errors.contains("process \(pid)"))
            let others = try daemon.seconds { () throws in
                try daemon.ok("run", "--rm", "--name", "one", "berth/default", "true")
                #expect(try daemon.ok("exec", "other", "echo", "alive") == "alive")
            }
            #expect(others < 5, "\(others) s")
            #expect(try daemon.ok("ps", "--format", "{{.Names}}").contains("one_stuck_"))
            try daemon.crash()
            try daemon.start()
            try eventually("the next life says so, too") {
                try daemon.ok("ps", "--format", "{{.Status}}").contains("(Stuck: sh \(pid))")
            }
        }

        @Test func aFullDiskLosesNoEndOfAContainer() throws {
            let disk = try PrivateDisk.small(96)
            defer { disk.remove() }
            try Daemon.with(root: URL(fileURLWithPath: disk.path), mountsOf: disk.pid) { (daemon) throws in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let script = "until [ -e /gate/go ]; do sleep 0.05; done; exit 42"
                for name in ["one", "two"] {
                    try daemon.ok(
                        "run",
                        "-d",
                        "--name",
                        name,
                        "-v",
                        "\(gate.path):/gate",
                        "berth/default",
                        "sh",
                        "-c",
                        script
                    )
                }
                try disk.fill()
                let refused = try daemon.berth("create", "--name", "three", "berth/default")
                #expect(refused.status != 0, "\(refused)")
                let wait = try daemon.client(["wait", "one"])
                try Data().write(to: gate.appendingPathComponent("go"))
                #expect(try wait.finish(within: 20).text == "42")
                try disk.empty()
                // One end is written as soon as it can be, the other one by the next life of the manager.
                try daemon.crash()
                try daemon.start()
                for name in ["one", "two"] {
                    try eventually("the end of \(name) is known") {
                        try daemon.field(".State.ExitCode", name) == "42"
                    }
                    #expect(try daemon.told(name) == ["create", "start", "die"])
                }
                #expect(try !daemon.ok("ps", "-a", "--format", "{{.Names}}").contains("three"))
            }
        }
    }
}

extension UpgradeTests {
    /// A create that is sent again makes nothing twice.
    @Suite struct IdempotentCreateTests {
        private func create(
            _ daemon: Daemon,
            key: String,
            image: String = "berth/default",
            name: String
        ) throws -> Command {
            try Command(
                "curl",
                [
                    "-s", "-w", "\n%{http_code}", "--unix-socket", daemon.socket, "-H",
                    "Content-Type: application/json",
                    "-H", "X-Berth-Idempotency-Key: \(key)", "-d", #"{"Image":"\#(image)","Cmd":["sleep","1000"]}"#,
                    "http://d/v1.41/containers/create?name=\(name)",
                ],
                in: daemon.scratch
            )
        }

        /// The id that an answer gives, whatever the order of its members.
        private func id(_ answer: Outcome) -> String {
            struct Created: Decodable { var Id: String }
            let body = Data((answer.lines.first ?? "").utf8)
            return (try? JSONDecoder().decode(Created.self, from: body))?.Id ?? ""
        }

        @Test func theSameKeyFindsTheSameContainerAlsoInTheNextLife() throws {
            try Daemon.with { (daemon) throws in
                let both = try (0..<2).map { _ in try create(daemon, key: "k1", name: "one") }
                let answers = try both.map { try $0.finish() }
                #expect(answers.allSatisfy { $0.lines.last == "201" }, "\(answers)")
                let ids = answers.map(id)
                #expect(ids[0] != "" && ids[0] == ids[1], "\(answers)")
                try daemon.crash()
                try daemon.start()
                let again = try create(daemon, key: "k1", name: "one").finish()
                #expect(id(again) == ids[0], "\(again)")
                #expect(try daemon.ok("ps", "-aq").split(separator: "\n").count == 1)
                // Another request under the same key is no retry, and another key no licence for the same name.
                #expect(try create(daemon, key: "k1", name: "two").finish().lines.last == "409")
                #expect(try create(daemon, key: "k2", name: "one").finish().lines.last == "409")
            }
        }
    }
}
