import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// Steps that fail, wait or are cut off in the middle, and what is told and done of them afterwards.
    @Suite struct UnfinishedTests {
        private func wait(_ daemon: Daemon, _ condition: String) throws -> Command {
            let url = "http://d/v1.41/containers/one/wait?condition=\(condition)"
            let words = ["-s", "-v", "-X", "POST", "--unix-socket", daemon.socket, url]
            let client = try Command("curl", words, in: daemon.scratch)
            try eventually("somebody waits") { client.errors.contains("200 OK") || !client.isRunning }
            return client
        }

        /// An end that is known is no secret because the removal behind it takes its time.
        @Test func theEndIsToldInTheMiddleOfARemoval() throws {
            let environment = ["BERTH_FAULT": "remove.snapshot:hang"]
            try Daemon.with(executable: "berthd-faults", environment: environment) { (daemon) throws in
                #expect(try daemon.berth("run", "--name", "one", "berth/default", "sh", "-c", "exit 7").status == 7)
                let removal = try daemon.client(["rm", "one"], environment: ["BERTH_PATIENCE": "0"])
                try eventually("it is being removed") { try daemon.field(".State.Status", "one") == "removing" }
                #expect(try daemon.client(["wait", "one"]).finish(within: 10).text == "7")
                try daemon.crash()
                try removal.finish(within: 20)
                try daemon.start()
                try eventually("it is gone") { try daemon.ok("ps", "-aq").isEmpty }
            }
        }

        /// Who waits for the removal is told why it failed; who waits for an end is told of the end.
        @Test func aRemovalThatFailedIsToldToWhomItConcerns() throws {
            let disk = try PrivateDisk.small(96)
            defer { disk.remove() }
            try Daemon.with(root: URL(fileURLWithPath: disk.path), mountsOf: disk.pid) { (daemon) throws in
                #expect(try daemon.berth("run", "--name", "one", "berth/default", "sh", "-c", "exit 7").status == 7)
                let folder = "\(disk.path)/containers/\(try daemon.field(".Id", "one"))"
                let (gone, ended) = (try wait(daemon, "removed"), try wait(daemon, "next-exit"))
                // Busy: it can be emptied and not removed.
                #expect(try disk.run("mount", "--bind", folder, folder).status == 0)
                #expect(try daemon.berth("rm", "one").status != 0)
                let told = try gone.finish(within: 10).output
                #expect(told.contains(#""Error":{"#) && told.contains("remove container"), "\(told)")
                let end = try ended.finish(within: 10).output
                #expect(end.contains(#""StatusCode":7"#) && !end.contains("Message"), "\(end)")
                #expect(try daemon.field(".State.Status", "one") == "dead")
                #expect(try daemon.ok("wait", "one") == "7")
                #expect(try disk.run("umount", folder).status == 0)
                try daemon.ok("rm", "one")
                #expect(try disk.run("test", "-e", folder).status == 1)
            }
        }

        /// The bundle has the journal, which is the only record of the end until there is room; then it goes.
        @Test func whatIsTornDownLaterIsTornDown() throws {
            let disk = try PrivateDisk.small(96)
            defer { disk.remove() }
            try Daemon.with(root: URL(fileURLWithPath: disk.path), mountsOf: disk.pid) { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let (bundle, shim) = (try daemon.bundle("one"), try daemon.shim("one"))
                let pid = try #require(Int32(try daemon.field(".State.Pid", "one")))
                try disk.fill()
                let wait = try daemon.client(["wait", "one"])
                #expect(kill(pid, SIGKILL) == 0)
                #expect(try wait.finish(within: 20).text == "137")
                try eventually("its end was not written") { daemon.logs().contains("state was not written") }
                // Behind whatever follows from the end.
                #expect(try daemon.berth("rm", "one").status != 0)
                #expect(isAlive(shim) && FileManager.default.fileExists(atPath: bundle.path + "/journal"))
                try disk.empty()
                try eventually(within: 30, "nothing is left of the run") {
                    !isAlive(shim) && !FileManager.default.fileExists(atPath: bundle.path)
                }
                #expect(try daemon.field(".State.ExitCode", "one") == "137")
                #expect(try daemon.told("one") == ["create", "start", "die"])
            }
        }

        /// The manager has asked for the start and did not live to hear of it: the shim makes it when it can.
        @Test func aSessionThatStartsWithoutTheManagerIsKnownToTheNext() throws {
            let environment = ["BERTH_FAULT": "exec.attached:freeze"]
            try Daemon.with(executable: "berthd-faults", environment: environment) { (daemon) throws in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let bind = ["-v", "\(gate.path):/gate", "berth/default", "sleep", "1000"]
                let run = try daemon.client(["run", "-d", "--name", "one"] + bind).finish()
                try #require(run.status == 0, "\(run)")
                let shim = try daemon.shim("one")
                let script = "echo >/gate/begun; until [ -e /gate/end ]; do sleep 0.05; done; exit 33"
                let client = try daemon.client(["exec", "one", "sh", "-c", script])
                try eventually("the shim has the request and stands still") {
                    let stat = try String(contentsOfFile: "/proc/\(shim)/stat", encoding: .utf8)
                    return try stat.contains(") T ") && self.received(shim, daemon)
                }
                // From here on it hears nothing.
                daemon.send(SIGSTOP)
                #expect(kill(shim, SIGCONT) == 0)
                try eventually("it has begun") {
                    FileManager.default.fileExists(atPath: gate.appendingPathComponent("begun").path)
                }
                try daemon.crash()
                try daemon.start()
                try eventually("the session is known") { try daemon.ok("exec", "ls", "one").contains("Running") }
                try Data().write(to: gate.appendingPathComponent("end"))
                #expect(try client.finish(within: 20).status == 33)
                #expect(try daemon.ok("exec", "ls", "one").contains("Exited (33)"))
                #expect(try daemon.told("one").filter { $0 == "exec_die" }.count == 1)
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
            }
        }

        /// Whether bytes wait for a process in any of its connections.
        private func received(_ pid: Int32, _ daemon: Daemon) throws -> Bool {
            // Of the manager's network, like all of them; Recv-Q is the third column.
            let words = ["--net=/proc/\(daemon.pid)/ns/net", "ss", "-xapH"]
            let rows = try Command("nsenter", words, in: daemon.scratch).finish().lines
            return rows.contains { row in
                let columns = row.split(separator: " ")
                return row.contains("pid=\(pid),") && columns.count > 2 && columns[1] == "ESTAB" && columns[2] != "0"
            }
        }
    }
}
