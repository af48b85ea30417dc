import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// `berth exec` and `berth attach`.
    @Suite struct ExecTests {
        @Test func exitCodesAndStreams() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "100")
                let outcome = try daemon.berth("exec", "one", "sh", "-c", "echo out; echo err >&2; exit 7")
                #expect(outcome.status == 7)
                #expect(outcome.output == "out\n")
                #expect(outcome.errors == "err\n")
                #expect(try daemon.berth("exec", "one", "sh", "-c", "kill -9 $$").status == 137)
                #expect(try daemon.berth("exec", "one", "nothing-of-that-name").status == 127)
                #expect(try daemon.berth("exec", "one", "/etc/passwd").status == 126)
                #expect(try daemon.berth("exec", "nobody", "true").status == 1)
                try daemon.ok("kill", "one")
                try daemon.ok("wait", "one")
                #expect(try daemon.berth("exec", "one", "true").status == 1)
            }
        }

        @Test func settingsReachTheCommand() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "-e", "FROM=image", "berth/default", "sleep", "100")
                #expect(try daemon.ok("exec", "-e", "A=b", "one", "sh", "-c", "echo $A $FROM") == "b image")
                #expect(try daemon.ok("exec", "-w", "/etc", "one", "pwd") == "/etc")
                #expect(try daemon.ok("exec", "-u", "app", "one", "id", "-u") == "1000")
                let command = try daemon.client(["exec", "-i", "one", "cat"], keepsInput: true)
                try command.type("through the pipe")
                command.closeInput()
                #expect(try command.finish().output == "through the pipe")
            }
        }

        /// Times of one clock, and in its order: a session has not ended before it began.
        @Test func aSessionBeginsBeforeItsEnd() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "100")
                for _ in 0..<20 { try daemon.ok("exec", "one", "true") }
                let words = ["events", "--since", "0", "--filter", "container=one", "--format"]
                let format = "{{.Actor.Attributes.execID}} {{.timeNano}} {{.Action}}"
                var times: [Substring: [Int]] = [:]
                try eventually("all ends were told of") {
                    let now = String(Int(Date().timeIntervalSince1970) + 1)
                    let lines = try daemon.client(words + [format, "--until", now]).finish().lines
                    let told = lines.map { $0.split(separator: " ", maxSplits: 2) }
                        .filter { $0.count == 3 && $0[2].hasPrefix("exec_") }
                    times = Dictionary(grouping: told) { $0[0] }.mapValues { $0.compactMap { Int($0[1]) } }
                    return times.count == 20 && times.allSatisfy { $0.value.count == 3 }
                }
                for (id, times) in times { #expect(times == times.sorted(), "\(id)") }
            }
        }

        @Test func detachedCommandRunsOn() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "100")
                try daemon.ok("exec", "-d", "one", "sh", "-c", "echo done > /tmp/mark")
                try eventually("the mark is there") {
                    try daemon.berth("exec", "one", "cat", "/tmp/mark").output == "done\n"
                }
            }
        }

        @Test func terminalOfItsOwn() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "100")
                let command = try daemon.terminal("exec", "-it", "one", "sh")
                try command.type("tty; exit 8\n")
                let outcome = try command.finish()
                #expect(outcome.status == 8)
                #expect(outcome.output.contains("/dev/pts/"))
            }
        }

        @Test func attachAndLeaveWithTheKeys() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "-it", "--name", "one", "berth/default", "sh")
                let command = try daemon.terminal("attach", "one")
                try command.type("echo mark-$((40+2))\n")
                try eventually("the shell answers") { command.output.contains("mark-42") }
                try command.type("\u{10}\u{11}")
                #expect(try command.finish().status == 0)
                #expect(try daemon.field(".State.Running", "one") == "true")
                let again = try daemon.terminal("attach", "--detach-keys", "ctrl-a,x", "one")
                try again.type("exit 3\n")
                #expect(try again.finish().status == 3)
            }
        }

        @Test func attachWithoutATerminal() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "-i", "--name", "one", "berth/default", "cat")
                let command = try daemon.client(["attach", "one"], keepsInput: true)
                try command.type("hello\n")
                try eventually("cat answers") { command.output == "hello\n" }
                try daemon.ok("kill", "one")
                #expect(try command.finish().status == 137)
            }
        }

        @Test func sessionsSurviveTheManager() throws {
            try Daemon.with { (daemon) throws in
                let run = try daemon.client(
                    ["run", "-i", "--name", "one", "berth/default", "sh", "-c", "cat; exit 21"],
                    keepsInput: true
                )
                try run.type("before\n")
                try eventually("cat answers") { run.output == "before\n" }
                let exec = try daemon.client(["exec", "-i", "one", "sh", "-c", "cat; exit 22"], keepsInput: true)
                try exec.type("exec before\n")
                try eventually("the other cat answers") { exec.output == "exec before\n" }
                try daemon.crash()
                try run.type("without\n")
                try exec.type("exec without\n")
                try eventually("cat answers without a manager") { run.output == "before\nwithout\n" }
                try eventually("so does the other") { exec.output == "exec before\nexec without\n" }
                exec.closeInput()
                try daemon.start()
                let execEnd = try exec.finish()
                #expect(execEnd.status == 22, "\(execEnd)")
                run.closeInput()
                let runEnd = try run.finish()
                #expect(runEnd.status == 21, "\(runEnd)")
            }
        }
    }
}
