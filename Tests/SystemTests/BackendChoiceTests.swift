import Foundation
import Kernel
import SystemFixture
import Testing

extension SystemTests {
    /// Containers of other backends than the native one, chosen by `--runtime` from the configuration.
    @Suite struct BackendChoiceTests {
        static let shim = "/usr/bin/containerd-shim-runc-v2"
        static let runc = "/usr/sbin/runc"
        static let crun = "/usr/bin/crun"

        static var areInstalled: Bool {
            [shim, runc].allSatisfy { FileManager.default.isExecutableFile(atPath: $0) }
        }

        /// A manager whose configuration knows a backend over another's shim and one over an OCI runtime.
        static func with(_ body: (Daemon) throws -> Void) throws {
            try Daemon.with { (daemon) throws in
                let file = configuration(daemon)
                let text = """
                    [backends.runc-foreign]
                    shim = "\(shim)"

                    [backends.runc]
                    runtime = "\(runc)"

                    [backends.crun]
                    runtime = "\(crun)"
                    hide-cgroup2 = "true"
                    """
                try Data(text.utf8).write(to: file)
                try daemon.stop()
                try daemon.start(["--config", file.path])
                try body(daemon)
            }
        }

        static func configuration(_ daemon: Daemon) -> URL {
            daemon.state.deletingLastPathComponent().appendingPathComponent("berthd.toml")
        }

        static let names =
            ["runc-foreign", "runc"] + (FileManager.default.isExecutableFile(atPath: crun) ? ["crun"] : [])

        /// Where both versions of cgroups are, crun 1.8 takes no container unless the second is hidden from it.
        @Test(.enabled(if: names.contains("crun"), "needs crun"))
        func limitsHoldWithCrun() throws {
            try Self.with { daemon in
                let words = [
                    "run", "-d", "--name", "one", "--runtime", "crun", "--memory", "64m", "--pids-limit", "40",
                ]
                let start = try daemon.client(words + ["berth/default", "sleep", "1000"]).finish()
                try #require(start.status == 0, "\(start)")
                let id = try daemon.field(".Id", "one")
                let groups = HostState.cgroups(of: [id])
                func limits(_ names: String...) -> [String] {
                    groups.flatMap { group in names.map { "\(group)/\($0)" } }
                        .compactMap {
                            try? String(contentsOfFile: $0, encoding: .utf8).trimmingCharacters(in: .newlines)
                        }
                }
                #expect(limits("memory.max", "memory.limit_in_bytes").contains("67108864"), "\(groups)")
                #expect(limits("pids.max").contains("40"), "\(groups)")
                #expect(try daemon.ok("stats", "--no-stream", "--format", "{{.PIDs}}", "one") == "1")
                try daemon.ok("pause", "one")
                try daemon.ok("unpause", "one")
                try daemon.ok("restart", "-t", "0", "one")
                #expect(try daemon.field(".State.Status", "one") == "running")
                try daemon.ok("rm", "-f", "one")
            }
        }

        @Test(.enabled(if: areInstalled), arguments: names)
        func behavesAsTheNativeOne(_ name: String) throws {
            try Self.with { daemon in
                let once = try daemon.berth(
                    "run",
                    "--rm",
                    "--network",
                    "none",
                    "--runtime",
                    name,
                    "berth/default",
                    "sh",
                    "-c",
                    "echo out; echo err >&2; exit 7"
                )
                #expect((once.status, once.output, once.errors) == (7, "out\n", "err\n"), "\(once)")
                let missing = try daemon.berth(
                    "run",
                    "--rm",
                    "--network",
                    "none",
                    "--runtime",
                    name,
                    "berth/default",
                    "no-such-program"
                )
                #expect(missing.status == 127, "\(missing)")
                #expect(
                    try daemon.ok(
                        "run",
                        "--rm",
                        "--network",
                        "none",
                        "--runtime",
                        name,
                        "-u",
                        "app",
                        "berth/default",
                        "id",
                        "-u"
                    ) == "1000"
                )
                let seccomp = try daemon.ok(
                    "run",
                    "--rm",
                    "--runtime",
                    name,
                    "berth/default",
                    "grep",
                    "Seccomp:",
                    "/proc/self/status"
                )
                #expect(seccomp.hasSuffix("2"), "no filter: \(seccomp)")
                let loop = "i=0; trap 'exit 3' TERM; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"
                try daemon.ok("run", "-d", "--name", "one", "--runtime", name, "berth/default", "sh", "-c", loop)
                let exec = try daemon.berth("exec", "one", "sh", "-c", "echo in; exit 5")
                #expect((exec.status, exec.output) == (5, "in\n"), "\(exec)")
                #expect(try daemon.ok("logs", "one").contains("line 0"))
                let terminal = try daemon.terminal("exec", "-it", "one", "sh")
                try terminal.type("tty; exit 8\n")
                let typed = try terminal.finish()
                #expect(typed.status == 8 && typed.output.contains("/dev/pts/"), "\(typed)")
                try daemon.ok("stop", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "3")
                try daemon.ok("rm", "one")
            }
        }

        /// All rights are those that the manager has: a runtime refuses to give others.
        @Test(.enabled(if: areInstalled), arguments: names)
        func privilegedIsWhatThereIs(_ name: String) throws {
            try Self.with { daemon in
                let rights = ["grep", "CapEff:", "/proc/self/status"]
                func given(_ words: [String], _ command: [String]) throws -> String {
                    let outcome = try daemon.client(words + command).finish()
                    #expect(outcome.status == 0, "\(words): \(outcome)")
                    return outcome.output
                }
                let image = "berth/default"
                let native = try given(["run", "--rm", "--privileged", image], rights)
                #expect(try given(["run", "--rm", "--privileged", "--runtime", name, image], rights) == native)
                _ = try given(["run", "-d", "--name", "one", "--runtime", name, image], ["sleep", "1000"])
                #expect(try given(["exec", "--privileged", "one"], rights) == native)
                try daemon.ok("rm", "-f", "one")
            }
        }

        @Test(.enabled(if: areInstalled), arguments: names)
        func outlivesTheManager(_ name: String) throws {
            try Self.with { daemon in
                let loop = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.02; done"
                try daemon.ok("run", "-d", "--name", "one", "--runtime", name, "berth/default", "sh", "-c", loop)
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "two",
                    "--runtime",
                    name,
                    "berth/default",
                    "sh",
                    "-c",
                    "sleep 1; exit 9"
                )
                let pid = try daemon.field(".State.Pid", "one")
                try daemon.crash()
                // Two's end and some of one's lines fall into the time without a manager, which is as long as that takes.
                Thread.sleep(forTimeInterval: 1.5)
                try daemon.start(["--config", Self.configuration(daemon).path])
                #expect(try daemon.field(".State.Pid", "one") == pid)
                #expect(try daemon.ok("wait", "two") == "9")
                #expect(try daemon.berth("exec", "one", "true").status == 0)
                let lines = try daemon.ok("logs", "one").split(separator: "\n").map(String.init)
                #expect(lines == lines.indices.map { "line \($0)" }, "lines are missing or out of order")
                #expect(lines.count > 60)
                try daemon.ok("rm", "-f", "one", "two")
            }
        }

        /// Far more than pipes hold is written, and the container ends, while nobody but its shim is there.
        @Test(.enabled(if: areInstalled), arguments: names)
        func logsAreWholeAfterATimeWithoutTheManager(_ name: String) throws {
            try Self.with { daemon in
                let count = 200_000
                let script = "read line; echo 0; read line; seq \(count); exit 6"
                let words = [
                    "run", "-d", "-i", "--name", "one", "--runtime", name, "berth/default", "sh", "-c", script,
                ]
                try daemon.client(words).finish()
                let process = try Pidfd(pid: #require(Int32(daemon.field(".State.Pid", "one"))))
                let client = try daemon.client(["attach", "one"], keepsInput: true)
                try client.type("first\n")
                try eventually("the client is there") { client.output == "0\n" }
                try daemon.crash()
                try client.type("second\n")
                #expect(try !process.poll(for: .readable, timeout: .seconds(60)).isEmpty, "it waits for a manager")
                try daemon.start(["--config", Self.configuration(daemon).path])
                #expect(try daemon.ok("wait", "one") == "6")
                let lines = try daemon.ok("logs", "one").split(separator: "\n")
                #expect(lines.elementsEqual((0...count).lazy.map { Substring(String($0)) }))
                try client.finish()
            }
        }

        /// The client's pipes lead to the foreign shim, and a new manager leads the next client there.
        @Test(.enabled(if: areInstalled), arguments: names)
        func inputGoesOnAfterTheManager(_ name: String) throws {
            try Self.with { daemon in
                let script = "while read line; do echo got $line; [ $line = end ] && exit 4; done"
                try daemon.ok(
                    "run",
                    "-d",
                    "-i",
                    "--name",
                    "one",
                    "--runtime",
                    name,
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                let first = try daemon.client(["attach", "one"], keepsInput: true)
                try first.type("before\n")
                try eventually("the first answer") { first.output.contains("got before") }
                try daemon.crash()
                try first.type("meanwhile\n")
                try daemon.start(["--config", Self.configuration(daemon).path])
                try eventually("the answer to what was typed meanwhile") { first.output.contains("got meanwhile") }
                first.send(SIGKILL)
                try first.finish()
                let second = try daemon.client(["attach", "one"], keepsInput: true)
                try second.type("end\n")
                #expect(try second.finish().status == 4)
                #expect(try daemon.ok("logs", "one") == "got before\ngot meanwhile\ngot end")
            }
        }

        /// What a foreign shim leaves only it knows: its own `delete` has the last word, also after it was killed.
        @Test(.enabled(if: areInstalled), arguments: [false, true])
        func theShimsOwnDeleteCleansUp(isKilled: Bool) throws {
            try Daemon.with { (daemon) throws in
                let (script, calls) = (
                    daemon.scratch.appendingPathComponent("shim"), daemon.scratch.appendingPathComponent("calls")
                )
                // The Go program starts itself by its own path, so this one sees only what a manager calls.
                let text = "#!/bin/bash\necho \"${@: -1}\" >>\(calls.path)\nexec \(Self.shim) \"$@\"\n"
                try Data(text.utf8).write(to: script)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
                let file = Self.configuration(daemon)
                try Data("[backends.logged]\nshim = \"\(script.path)\"\n".utf8).write(to: file)
                try daemon.stop()
                try daemon.start(["--config", file.path])
                try daemon.ok("run", "-d", "--name", "one", "--runtime", "logged", "berth/default", "sleep", "1000")
                let shims = HostState.processes(of: daemon.state).filter { $0.command.hasPrefix(Self.shim) }
                #expect(shims.count == 1, "\(shims)")
                if isKilled, let shim = shims.first {
                    kill(shim.pid, SIGKILL)
                    try eventually("its end") { try daemon.field(".State.Status", "one") == "exited" }
                }
                try daemon.ok("rm", "-f", "one")
                try eventually("its delete") {
                    try String(contentsOf: calls, encoding: .utf8).split(separator: "\n") == ["start", "delete"]
                }
            }
        }

        private static let hasDocker = ["/usr/bin/docker", "/usr/local/bin/docker"].contains(
            where: FileManager.default.isExecutableFile
        )

        /// The same for every backend: what the docker client shows does not depend on it.
        @Test(.enabled(if: areInstalled && hasDocker), arguments: ["native"] + names)
        func dockerSeesNoDifference(_ name: String) throws {
            try Self.with { daemon in
                func ok(_ words: String...) throws -> String {
                    let environment = ["DOCKER_CONFIG": daemon.scratch.appendingPathComponent("docker").path]
                    let line = ["-H", "unix://\(daemon.socket)"] + words
                    let outcome = try Command("docker", line, in: daemon.scratch, environment: environment).finish()
                    try #require(outcome.status == 0, "docker \(words): \(outcome)")
                    return outcome.text
                }
                let once = try daemon.docker(
                    "run",
                    "--rm",
                    "--runtime",
                    name,
                    "berth/default",
                    "sh",
                    "-c",
                    "echo out; echo err >&2; exit 7"
                )
                #expect((once.status, once.output, once.errors.contains("err\n")) == (7, "out\n", true), "\(once)")
                let loop = "i=0; trap 'exit 3' TERM; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"
                _ = try ok("run", "-d", "--name", "one", "--runtime", name, "berth/default", "sh", "-c", loop)
                #expect(try ok("inspect", "-f", "{{.HostConfig.Runtime}}", "one") == name)
                let session = try daemon.docker("exec", "-e", "A=b", "one", "sh", "-c", "echo $A; exit 5")
                #expect((session.status, session.output) == (5, "b\n"), "\(session)")
                let pid = try ok("inspect", "-f", "{{.State.Pid}}", "one")
                try daemon.crash()
                try daemon.start(["--config", Self.configuration(daemon).path])
                #expect(try ok("inspect", "-f", "{{.State.Pid}}", "one") == pid)
                #expect(try ok("exec", "one", "echo", "again") == "again")
                #expect(try ok("top", "one").contains("sleep"))
                try eventually("it has written") { try ok("logs", "one").split(separator: "\n").count > 2 }
                _ = try ok("stop", "one")
                #expect(try ok("inspect", "-f", "{{.State.ExitCode}}", "one") == "3")
                let lines = try ok("logs", "one").split(separator: "\n").map(String.init)
                #expect(
                    lines.count > 2 && lines == lines.indices.map { "line \($0)" },
                    "lines are missing or out of order"
                )
                _ = try ok("rm", "one")
            }
        }
    }
}
