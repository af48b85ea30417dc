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

        @Test func aWriterLosesNothing() throws {
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
                try checkLog(daemon)
                let told = try daemon.told("one")
                #expect(told.filter { $0 == "die" }.count == 1 && told.filter { $0 == "start" }.count == 1, "\(told)")
            }
        }

        /// Every number once and in order, and the last line says the same as the last number.
        private func checkLog(_ daemon: Daemon) throws {
            let lines = try daemon.berth("logs", "one", within: 120).output.split(separator: "\n")
            let numbers = lines.dropLast().compactMap { Int($0) }
            #expect(numbers.count == lines.count - 1)
            let broken = zip(numbers, 1...).first { $0 != $1 }
            #expect(broken == nil, "the log breaks: \(broken.map { "\($0)" } ?? "")")
            #expect(lines.last.map(String.init) == "total \(numbers.count)")
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
                try checkLog(daemon)
                #expect(try daemon.ok("wait", "two") == "43")
                for name in ["one", "two"] { #expect(try daemon.told(name).filter { $0 == "die" }.count == 1) }
            }
        }

        @Test func anEndBeforeTheAdoptionIsFoundOnce() throws {
            try Daemon.with { (daemon) throws in
                let script = "trap 'exit 5' TERM; while :; do sleep 0.01; done"
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sh", "-c", script)
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

        @Test func afterTooManyDeathsItRunsOnWithoutAShim() throws {
            try Daemon.with { (daemon) throws in
                let script = "trap 'exit 9' TERM; while :; do sleep 0.01; done"
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sh", "-c", script)
                let pid = try #require(Int32(try daemon.field(".State.Pid", "one")))
                var deaths = 0
                try eventually(within: 60, "nobody takes over any more") {
                    if try daemon.ok("ps", "--format", "{{.Status}}").hasSuffix("(unsupervised)") { return true }
                    if let shim = try? daemon.shim("one"), kill(shim, SIGKILL) == 0 { deaths += 1 }
                    return false
                }
                #expect(deaths >= 6)
                #expect(isAlive(pid))
                #expect(try daemon.field(".State.Error", "one").contains("unsupervised"))
                // A second instance is refused as long as this one is there, and it can still be stopped.
                try daemon.ok("stop", "-t", "10", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "9")
                #expect(try daemon.told("one").filter { $0 == "die" }.count == 1)
            }
        }
    }
}
