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

        /// An end that there was no room to note is the manager's to tell while it lives, and the shim's after that.
        @Test func codeIsKeptWhenThereIsNoRoomToNoteIt() throws {
            let disk = try PrivateDisk.small(1)
            defer { disk.remove() }
            try Daemon.with(mountsOf: disk.pid) { daemon in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let folder = "\(gate.path):/gate"
                try daemon.ok("run", "-d", "--name", "one", "-v", folder, "berth/default", "sleep", "1000")
                // The notes of sessions alone have too little room.
                let notes = try daemon.bundle("one").appendingPathComponent("execs").path
                let mounted = try disk.run("sh", "-ec", #"mkdir "$1"; mount --bind "$0" "$1""#, disk.path, notes)
                try #require(mounted.status == 0, "\(mounted)")
                let script = "echo begun; until [ -e /gate/end ]; do sleep 0.02; done; exit 33"
                let exec = try daemon.client(["exec", "one", "sh", "-c", script])
                try eventually("the session runs") { exec.output == "begun\n" }
                let session = try disk.run("ls", disk.path).text
                try disk.fill()
                try Data().write(to: gate.appendingPathComponent("end"))
                #expect(try exec.finish(within: 20).status == 33)
                try eventually("it was not noted") { daemon.logs().contains("exec session was not noted") }
                try eventually("it is told") { try daemon.told("one").contains("exec_die") }
                #expect(try Self.code(of: session, daemon) == 33)
                try daemon.crash()
                try disk.empty()
                try daemon.start()
                #expect(try Self.code(of: session, daemon) == 33)
                #expect(try daemon.told("one").filter { $0 == "exec_die" }.count == 1)
                #expect(try disk.run("umount", notes).status == 0)
            }
        }

        /// What the API says of a session's code.
        private static func code(of session: String, _ daemon: Daemon) throws -> Int? {
            let request = "GET /exec/\(session)/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            let answer = Poller.answer(Poller.send(request, to: daemon.socket))
            let body = try #require(answer.split(separator: "\r\n\r\n").last)
            let document = try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
            return document?["ExitCode"] as? Int
        }
    }
}
