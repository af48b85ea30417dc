import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// A shim is killed, and a new one takes over: nothing of the container is lost but the shim.
    @Suite struct AdoptionTests {
        /// Waits until another shim than `old` has taken over.
        private func successor(of old: Int32, _ name: String, _ daemon: Daemon) throws -> Int32 {
            var pid = old
            try eventually("a new shim has taken over") {
                pid = try daemon.shim(name)
                return try pid != old && !daemon.field("json .State.Berth", name).contains("Reachable")
            }
            return pid
        }

        @Test func aWriterLosesOneReadAtMost() throws {
            try Daemon.with { (daemon) throws in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let script = "i=0; until [ -e /gate/go ]; do i=$((i+1)); echo $i; done; echo total $i; exit 42"
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "--log-opt",
                    "max-size=500m",
                    "-v",
                    "\(gate.path):/gate",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                let process = try daemon.field(".State.Pid", "one")
                var shim = try daemon.shim("one")
                for _ in 0..<3 {
                    try daemon.signal(SIGKILL, shimOf: "one")
                    shim = try successor(of: shim, "one", daemon)
                    #expect(try daemon.field(".State.Pid", "one") == process)
                }
                try Data().write(to: gate.appendingPathComponent("go"))
                #expect(try daemon.ok("wait", "one") == "42")
                try checkLog(daemon, deaths: 3)
                let told = try daemon.told("one")
                #expect(told.filter { $0 == "die" }.count == 1 && told.filter { $0 == "start" }.count == 1, "\(told)")
            }
        }

        /// Every number once and in order, and the last line says how many there were.
        ///
        /// A shim that is killed between a read of a pipe and the write to the log takes that read with it: 64 KiB at most, whose first
        /// and last line may be cut. Nothing comes twice or in another order.
        private func checkLog(_ daemon: Daemon, deaths: Int) throws {
            let lines = try daemon.berth("logs", "one", within: 120).output.split(separator: "\n").map(String.init)
            let total = lines.last.flatMap { $0.hasPrefix("total ") ? Int($0.dropFirst(6)) : nil }
            let gaps = try Self.gaps(lines.dropLast(), total: try #require(total))
            #expect(gaps.count <= deaths && gaps.allSatisfy { $0 <= 64 << 10 }, "\(gaps) bytes are missing")
        }

        /// How many bytes are missing in each place of 1 to `total`, a line each.
        private static func gaps(_ lines: some Sequence<String>, total: Int) throws -> [Int] {
            var gaps: [Int] = []
            var (expected, cut) = (1, 0)
            for line in lines {
                if let number = Int(line), cut == 0, number == expected {
                    expected += 1
                } else if let number = Int(line), number > expected, number <= total,
                    "\(number)".utf8.count == line.utf8.count,
                    cut > 0 || Self.bytes(expected..<number) <= 64 << 10
                {
                    gaps.append(Self.bytes(expected..<number) - cut)
                    (expected, cut) = (number + 1, 0)
                } else {
                    // The beginning of one line and the end of another, in one.
                    try #require(cut == 0, "two lines that are none: the second is \(line) after \(expected - 1)")
                    cut = line.utf8.count + 1
                }
            }
            if expected <= total { gaps.append(Self.bytes(expected..<(total + 1)) - cut) }
            return gaps
        }

        private static func bytes(_ numbers: Range<Int>) -> Int { numbers.reduce(0) { $0 + "\($1)".utf8.count + 1 } }

        /// The manager died when it had started a new shim and had not written down which one.
        @Test(arguments: [true, false])
        func aSuccessorThatNobodyRecordedIsFoundAgain(isReachable: Bool) throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let process = try daemon.field(".State.Pid", "one")
                let bundle = try daemon.bundle("one")
                let file = bundle.appendingPathComponent("shim.pid")
                let record = try Data(contentsOf: file)
                let first = try daemon.signal(SIGKILL, shimOf: "one")
                let second = try successor(of: first, "one", daemon)
                try daemon.crash()
                try record.write(to: file)
                if !isReachable {
                    try FileManager.default.removeItem(at: bundle.appendingPathComponent("shim.sock"))
                }
                try daemon.start()
                try eventually(within: 30, "it is supervised again") {
                    try daemon.berth("exec", "one", "echo", "alive").output == "alive\n"
                }
                #expect(try daemon.field(".State.Pid", "one") == process)
                // One shim, the one that is recorded: the same where it could be reached.
                #expect((try daemon.shim("one") == second) == isReachable)
                #expect(isAlive(second) == isReachable)
                #expect(try daemon.told("one").filter { $0 == "die" }.isEmpty)
            }
        }

        @Test func theManagerMayHaveBeenDeadAsWell() throws {
            try Daemon.with { (daemon) throws in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let script =
                    "i=0; until [ -e /gate/go ]; do i=$((i+1)); echo $i; sleep 0.01; done; echo total $i; exit 42"
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "-v",
                    "\(gate.path):/gate",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "two",
                    "-v",
                    "\(gate.path):/gate",
                    "berth/default",
                    "sh",
                    "-c",
                    "until [ -e /gate/two ]; do sleep 0.01; done; exit 43"
                )
                let (shim, shimOfTwo) = (try daemon.shim("one"), try daemon.shim("two"))
                let second = try #require(Int32(try daemon.field(".State.Pid", "two")))
                try daemon.crash()
                #expect(kill(shim, SIGKILL) == 0 && kill(shimOfTwo, SIGKILL) == 0)
                // The end of one falls between the death of its shim and the next life of the manager.
                try Data().write(to: gate.appendingPathComponent("two"))
                try eventually("it has ended") { !isAlive(second) }
                try daemon.start()
                _ = try successor(of: shim, "one", daemon)
                try Data().write(to: gate.appendingPathComponent("go"))
                #expect(try daemon.ok("wait", "one") == "42")
                try checkLog(daemon, deaths: 1)
                #expect(try daemon.ok("wait", "two") == "43")
                for name in ["one", "two"] { #expect(try daemon.told(name).filter { $0 == "die" }.count == 1) }
            }
        }

        @Test func anEndBeforeTheAdoptionIsFoundOnce() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'exit 5' TERM")
                let pid = try #require(Int32(try daemon.field(".State.Pid", "one")))
                // The shim sees nothing of it any more.
                try daemon.signal(SIGSTOP, shimOf: "one")
                #expect(kill(pid, SIGTERM) == 0)
                try eventually("it has ended") { !isAlive(pid) }
                try daemon.signal(SIGKILL, shimOf: "one")
                #expect(try daemon.ok("wait", "one") == "5")
                #expect(try daemon.told("one").filter { $0 == "die" }.count == 1)
                #expect(try daemon.field(".State.ExitCode", "one") == "5")
                try daemon.ok("start", "one")
            }
        }

        @Test func aSessionKeepsItsCode() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let script = "echo begun; until [ -e /end ]; do sleep 0.01; done; echo ended; exit 33"
                let exec = try daemon.client(["exec", "one", "sh", "-c", script])
                try eventually("the session runs") { exec.output == "begun\n" }
                let shim = try daemon.signal(SIGKILL, shimOf: "one")
                _ = try successor(of: shim, "one", daemon)
                try daemon.ok("exec", "one", "touch", "/end")
                let end = try exec.finish(within: 20)
                #expect(end.status == 33 && end.output == "begun\nended\n", "\(end)")
                #expect(try daemon.told("one").filter { $0 == "exec_die" }.count == 2)
            }
        }

        @Test func aStopGoesOn() throws {
            try Daemon.with { (daemon) throws in
                let script =
                    "trap 'until [ -e /tmp/end ]; do sleep 0.01; done; exit 7' TERM; echo up; while :; do sleep 0.01; done"
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sh", "-c", script)
                try eventually("it is up") { try daemon.ok("logs", "one") == "up" }
                let stop = try daemon.client(["stop", "-t", "20", "one"])
                try eventually("the signal is sent") { try daemon.told("one").contains("kill") }
                let shim = try daemon.signal(SIGKILL, shimOf: "one")
                _ = try successor(of: shim, "one", daemon)
                try daemon.ok("exec", "one", "touch", "/tmp/end")
                #expect(try stop.finish(within: 30).status == 0)
                #expect(try daemon.field(".State.ExitCode", "one") == "7")
                #expect(try daemon.told("one").filter { $0 == "die" }.count == 1)
            }
        }

        /// The successor of a dead shim is there in a moment, later with each death; a session that has not begun waits for it.
        @Test func aSessionOfThatMomentIsTheSuccessors() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                for _ in 0..<2 {
                    let dead = try daemon.shim("one")
                    try daemon.signal(SIGKILL, shimOf: "one")
                    #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                    #expect(try daemon.shim("one") != dead)
                    try daemon.signal(SIGKILL, shimOf: "one")
                    try daemon.ok("exec", "-d", "one", "true")
                }
            }
        }

        @Test func afterTooManyDeathsItRunsOnWithoutAShim() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'exit 9' TERM")
                let pid = try #require(Int32(try daemon.field(".State.Pid", "one")))
                let clients = try [["exec", "one"], ["exec", "-t", "one"]].map { words in
                    try daemon.client(words + ["sh", "-c", "echo here; exec sleep 1000"])
                }
                for client in clients { try eventually("it is attached") { client.output.contains("here") } }
                let attached = try daemon.client(["attach", "--no-stdin", "one"])
                try eventually("it is attached") { try daemon.told("one").contains("attach") }
                var deaths = 0
                try eventually(within: 60, "nobody takes over any more") {
                    if try daemon.ok("ps", "--format", "{{.Status}}").hasSuffix("(unsupervised)") { return true }
                    if let shim = try? daemon.shim("one"), kill(shim, SIGKILL) == 0 { deaths += 1 }
                    return false
                }
                #expect(deaths >= 6)
                #expect(isAlive(pid))
                // Who was attached is told, and waits for nothing.
                for client in clients + [attached] {
                    let outcome = try client.finish(within: 10)
                    #expect(outcome.status != 0 && outcome.errors.contains("lost"), "\(outcome)")
                }
                #expect(try daemon.field(".State.Error", "one").contains("unsupervised"))
                let row = try daemon.ok("shim", "ls", "--format", "{{.Pid}} {{.State}} {{.Reason}}")
                #expect(row.hasPrefix("- unsupervised ") && row.contains("have died"), "\(row)")
                let attach = try daemon.client(["attach", "--no-stdin", "one"]).finish(within: 10)
                #expect(attach.status == 1, "\(attach)")
                // A second instance is refused as long as this one is there, and it can still be stopped.
                try daemon.ok("stop", "-t", "10", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "9")
                #expect(try daemon.told("one").filter { $0 == "die" }.count == 1)
            }
        }
    }
}
