import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// Exec sessions that end while there is no manager.
    @Suite struct ExecEndTests {
        @Test func codeIsKeptWhenTheContainerEndsAsWell() throws {
            try Daemon.with { (daemon) throws in
                // The container goes as soon as the session has gone.
                // What is told from outside, with the manager gone, is told by a file in a directory of both.
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let life = "until [ -s /pid ]; do sleep 0.02; done; while kill -0 $(cat /pid); do :; done; exit 7"
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
                    life
                )
                let session = "echo begun; echo $$ >/pid; while [ ! -e /gate/end ]; do sleep 0.02; done; exit 33"
                let exec = try daemon.client(["exec", "one", "sh", "-c", session])
                try eventually("the session runs") { exec.output == "begun\n" }
                let pid = try daemon.field(".State.Pid", "one")
                try daemon.crash()
                try Data().write(to: gate.appendingPathComponent("end"))
                try eventually("the container has ended") { !FileManager.default.fileExists(atPath: "/proc/\(pid)") }
                try daemon.start()
                let end = try exec.finish(within: 20)
                #expect(end.status == 33, "\(end)")
                #expect(try daemon.ok("wait", "one") == "7")
            }
        }

        /// What the manager has heard just before its own orderly end it notes all the same.
        @Test func codeIsKeptWhenTheManagerEndsInThatMoment() throws {
            try Daemon.with(executable: "berthd-faults", environment: ["BERTH_FAULT": "exec.ended:end"]) { daemon in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let exec = try daemon.client(["exec", "one", "sh", "-c", "exit 33"])
                #expect(try #require(try daemon.ended(within: 20)).status == 0)
                try daemon.start()
                let end = try exec.finish(within: 20)
                #expect(end.status == 33, "\(end)")
                #expect(try daemon.told("one").filter { $0 == "exec_die" }.count == 1)
            }
        }
    }
}
