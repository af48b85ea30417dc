import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// The manager is replaced by another program, or by itself, and nobody notices.
    @Suite struct ManagerUpgradeTests {
        /// How often the manager is replaced under polling clients: BERTH_TEST_UPGRADES, else ten times.
        private static let upgrades = Int(ProcessInfo.processInfo.environment["BERTH_TEST_UPGRADES"] ?? "") ?? 10

        @Test func manyUpgradesAreNoticedByNobody() throws {
            try Daemon.with { (daemon) throws in
                let count = "i=0; while [ ! -e /stop ]; do i=$((i+1)); echo $i; usleep 20000; done; echo end; exit 9"
                try daemon.ok("run", "-d", "--name", "counter", "berth/default", "sh", "-c", count)
                let pid = try daemon.field(".State.Pid", "counter")
                let manager = daemon.pid
                let events = try daemon.client([
                    "events", "-f", "type=container", "--format", "{{.Cursor}} {{.Action}} {{.Actor.Attributes.name}}",
                ])
                let logs = try daemon.client(["logs", "-f", "counter"])
                let wait = try daemon.client(["wait", "counter"])
                try eventually("the log is followed") { !logs.output.isEmpty }
                let kept = Poller(daemon.socket, keepsConnection: true)
                let fresh = Poller(daemon.socket, keepsConnection: false)
                for round in 0..<Self.upgrades {
                    try daemon.ok("create", "--name", "c\(round)", "berth/default", "true")
                    #expect(try daemon.ok("system", "upgrade").contains("has taken over from"))
                    try daemon.ok("rm", "c\(round)")
                }
                for poller in [kept, fresh] {
                    let result = poller.finish()
                    #expect(result.failures.isEmpty, "\(result.failures.prefix(5))")
                    #expect(result.answers > Self.upgrades)
                }
                #expect(daemon.pid == manager && daemon.isRunning)
                #expect(try daemon.field(".State.Pid", "counter") == pid)
                try daemon.ok("exec", "counter", "touch", "/stop")
                #expect(try wait.finish().text == "9")
                #expect(try logs.finish().status == 0)
                try Self.checkCount(logs.output)
                try Self.check(events, rounds: Self.upgrades)
                #expect(logs.errors == "" && wait.errors == "")
            }
        }

        /// A child that the last manager had just cloned has its locks as well, until it becomes another program.
        @Test(arguments: ["berthd.lock", "lock"])
        func locksOfAManagerThatIsGoneAreWaitedFor(_ lock: String) throws {
            try Daemon.with { (daemon) throws in
                try daemon.crash()
                let path = daemon.root.appendingPathComponent(lock).path
                let holder = try Command("flock", [path, "sh", "-c", "echo held; sleep 1"], in: daemon.scratch)
                try eventually("the lock is held") { holder.output == "held\n" }
                try daemon.start()
                #expect(try holder.finish().status == 0)
            }
        }

        @Test func whatAManagerLeftThatWasKilledInItsProbeGoes() throws {
            try Daemon.with(image: false) { (daemon) throws in
                try daemon.crash()
                let probe = daemon.root.appendingPathComponent(".probe")
                let upper = probe.appendingPathComponent("state/upper")
                try FileManager.default.createDirectory(at: upper, withIntermediateDirectories: true)
                try daemon.start()
                #expect(!FileManager.default.fileExists(atPath: probe.path))
                #expect(try daemon.ok("info", "-f", "{{.Berth.UserNamespaces.Default}}") == "true")
            }
        }

        /// Every number once and in order, then the end.
        private static func checkCount(_ text: String) throws {
            let lines = text.split(separator: "\n")
            #expect(lines.last == "end")
            let expected = (1..<max(2, lines.count)).map { String($0) }
            #expect(lines.dropLast().map { String($0) } == expected)
        }

        /// Every event once and in order: two of each round's, and the cursors only grow.
        private static func check(_ events: Command, rounds: Int) throws {
            try eventually("the last event is told") { events.output.contains("destroy c\(rounds - 1)\n") }
            events.send(SIGKILL)
            try events.finish()
            let lines = events.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
            let cursors = lines.compactMap { $0.first.flatMap { Int($0) } }
            #expect(cursors.count == lines.count)
            #expect(zip(cursors, cursors.dropFirst()).allSatisfy { $0 < $1 })
            for round in 0..<rounds {
                let told = lines.filter { $0.last == "c\(round)" }.map { $0[1] }
                #expect(told == ["create", "destroy"], "round \(round)")
            }
        }

        @Test func killedManagersAreNoticedByNobodyWhoFollows() throws {
            try Daemon.with { (daemon) throws in
                let count = "i=0; while [ ! -e /stop ]; do i=$((i+1)); echo $i; usleep 5000; done; echo end; exit 9"
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "counter",
                    "--log-opt",
                    "max-size=20k",
                    "--log-opt",
                    "max-file=50",
                    "berth/default",
                    "sh",
                    "-c",
                    count
                )
                let events = try daemon.client([
                    "events", "-f", "type=container", "--format", "{{.Cursor}} {{.Action}} {{.Actor.Attributes.name}}",
                ])
                let logs = try daemon.client(["logs", "-f", "counter"])
                let wait = try daemon.client(["wait", "counter"])
                try eventually("the log is followed") { !logs.output.isEmpty }
                for round in 0..<5 {
                    try daemon.ok("create", "--name", "c\(round)", "berth/default", "true")
                    try daemon.crash()
                    try daemon.start()
                    try daemon.ok("rm", "c\(round)")
                }
                try daemon.ok("exec", "counter", "touch", "/stop")
                #expect(try wait.finish().text == "9")
                #expect(try logs.finish().status == 0)
                try Self.checkCount(logs.output)
                try Self.check(events, rounds: 5)
            }
        }

        @Test func orderlyEndIsNoAnswerToAWait() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "berth/default",
                    "sh",
                    "-c",
                    "until [ -e /go ]; do sleep 0.05; done; exit 9"
                )
                let wait = try daemon.client(["wait", "one"])
                let raw = Poller.send("POST /containers/one/wait HTTP/1.1\r\nHost: x\r\n\r\n", to: daemon.socket)
                let head = try #require(Poller.read(from: raw))
                #expect(head.hasPrefix("HTTP/1.1 200 "))
                try daemon.stop()
                // Cut off: the last chunk of a body that is whole would be an empty one.
                let rest = Poller.answer(raw)
                #expect(!(head + rest).hasSuffix("0\r\n\r\n"), "\(head + rest)")
                try daemon.start()
                try daemon.ok("exec", "one", "touch", "/go")
                let end = try wait.finish()
                #expect(end.text == "9" && end.status == 0, "\(end)")
            }
        }

        /// Says of a database that it was made by a later program, and from which on programs read it.
        ///
        /// - Returns: What it said before, in the same order.
        private func says(_ schema: String, readsFrom: String, _ daemon: Daemon) throws -> [String] {
            let script = """
                import sqlite3, sys
                db = sqlite3.connect(sys.argv[1], timeout=10)
                for key, value in (("schema", sys.argv[2]), ("reads-from", sys.argv[3])):
                    print(*db.execute("select value from meta where key = ?", (key,)).fetchone())
                    db.execute("update meta set value = ? where key = ?", (value, key))
                db.commit()
                """
            let file = daemon.root.appendingPathComponent("berth.db").path
            let outcome = try Command("python3", ["-c", script, file, schema, readsFrom], in: daemon.scratch).finish()
            let old = outcome.text.split(separator: "\n").map(String.init)
            try #require(old.count == 2, "\(outcome)")
            return old
        }

        @Test func databaseThatTheNextProgramCannotReadStopsNothing() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let pid = try daemon.field(".State.Pid", "one")
                let manager = daemon.pid
                let old = try says("99", readsFrom: "99", daemon)
                for words in [["--check"], []] {
                    let outcome = try daemon.client(["system", "upgrade"] + words).finish()
                    #expect(outcome.status == 1 && "\(outcome)".contains("99"), "\(outcome)")
                }
                #expect(daemon.pid == manager && daemon.isRunning)
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                try daemon.stop()
                let refused = try Command(
                    Binaries.path("berthd"),
                    ["--root", daemon.root.path, "--state", daemon.state.path],
                    in: daemon.scratch
                ).finish()
                #expect(refused.status == 1 && refused.errors.contains("99"), "\(refused)")
                #expect(try says(old[0], readsFrom: old[1], daemon) == ["99", "99"])
                try daemon.start()
                #expect(try daemon.field(".State.Pid", "one") == pid)
                #expect(try daemon.ok("system", "upgrade").contains("has taken over from"))
            }
        }

        @Test func programThatCannotTakeOverChangesNothing() throws {
            try Daemon.with(image: false) { (daemon) throws in
                for binary in ["/bin/true", "/nowhere", Binaries.path("berth")] {
                    let outcome = try daemon.berth("system", "upgrade", "--binary", binary)
                    #expect(outcome.status == 1 && !outcome.errors.isEmpty, "\(binary): \(outcome)")
                    // One that is silent is told to be so.
                    let isSilent = outcome.errors.contains("answers nothing")
                    #expect(isSilent == (binary == "/bin/true"), "\(outcome)")
                }
                let check = try daemon.berth("system", "upgrade", "--check", "--binary", "/bin/true")
                #expect(check.status == 1)
                #expect(try daemon.ok("system", "upgrade", "--check").contains("can take over from"))
                #expect(try daemon.berth("version").status == 0)
            }
        }

        @Test func programThatDoesNotStartGivesTheProcessBack() throws {
            try Daemon.with(environment: ["BERTH_FAULT": "refuse"]) { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let pid = try daemon.field(".State.Pid", "one")
                let poller = Poller(daemon.socket, keepsConnection: true)
                let outcome = try daemon.berth("system", "upgrade", "--binary", Binaries.path("berthd-faults"))
                #expect(outcome.status == 1)
                #expect(outcome.errors.contains("asked to refuse") && outcome.errors.contains("goes on"))
                let result = poller.finish()
                #expect(result.failures.isEmpty && result.answers > 0, "\(result.failures.prefix(5))")
                #expect(try daemon.field(".State.Pid", "one") == pid)
                #expect(try daemon.ok("system", "upgrade").contains("has taken over from"))
            }
        }

        @Test func requestThatTakesTooLongIsToldToTryAgain() throws {
            try Daemon.with { (daemon) throws in
                // The first process has no handler for SIGTERM, so that a stop has to wait.
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let raw = Poller.send("POST /containers/one/stop?t=12 HTTP/1.1\r\nHost: x\r\n\r\n", to: daemon.socket)
                let client = try daemon.client(["stop", "-t", "12", "one"])
                try eventually("the stop is told") { try !daemon.ok("system", "upgrade").isEmpty }
                let answer = Poller.answer(raw)
                #expect(answer.hasPrefix("HTTP/1.1 503 "))
                #expect(answer.contains("\r\nRetry-After: 1\r\n") && answer.contains(#"{"message":"#))
                #expect(try client.finish().status == 0)
                #expect(try daemon.field(".State.Running", "one") == "false")
            }
        }

        @Test func configurationIsReadAgain() throws {
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("berth-\(UUID().uuidString).toml")
            defer { try? FileManager.default.removeItem(at: file) }
            try Data("userns = \"host\"\n".utf8).write(to: file)
            try Daemon.with(image: false) { (daemon) throws in
                try daemon.stop()
                try daemon.start(["--config", file.path])
                #expect(try daemon.ok("info", "-f", "{{.Berth.UserNamespaces.Configured}}") == "host")
                // What cannot be used changes nothing.
                try Data("userns = \"nobody\"\n".utf8).write(to: file)
                daemon.send(SIGHUP)
                try eventually("the reason is logged") { daemon.logs().contains("nothing was changed") }
                #expect(try daemon.ok("info", "-f", "{{.Berth.UserNamespaces.Configured}}") == "host")
                try Data("userns = \"auto\"\n".utf8).write(to: file)
                daemon.send(SIGHUP)
                try eventually("the new setting holds") {
                    try daemon.ok("info", "-f", "{{.Berth.UserNamespaces.Configured}}") == "auto"
                }
                // SIGUSR2 takes the program at the path of this one.
                let before = daemon.logs().components(separatedBy: "taken over").count
                daemon.send(SIGUSR2)
                try eventually("the next one has taken over") {
                    daemon.logs().components(separatedBy: "taken over").count > before
                }
            }
        }
    }
}
