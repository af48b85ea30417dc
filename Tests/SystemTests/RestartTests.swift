import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// Containers that their policy starts again.
    @Suite struct RestartTests {
        /// The actions of a container's events so far, oldest first.
        private func actions(_ daemon: Daemon, _ name: String) throws -> [String] {
            let now = String(Int(Date().timeIntervalSince1970) + 1)
            let words = [
                "events", "--since", "0", "--until", now, "-f", "container=\(name)", "--format", "{{.Action}}",
            ]
            return try daemon.client(words).finish().lines
        }

        private func restarts(_ daemon: Daemon, _ name: String) throws -> Int {
            try Int(daemon.field(".RestartCount", name)) ?? -1
        }

        /// A directory of host and containers, and a configuration with short delays.
        private func gate(_ daemon: Daemon) throws -> URL {
            let gate = daemon.scratch.appendingPathComponent("gate")
            try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
            return gate
        }

        private func journal(_ daemon: Daemon, _ id: String) throws -> String {
            try String(
                contentsOf: daemon.state.appendingPathComponent("containers/\(id)/journal"),
                encoding: .utf8
            )
        }

        /// As with Docker: how the last run ended is said when nothing runs.
        @Test func whatRunsAgainHasNotEnded() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'exit 3' TERM; trap 'exit 4' USR1", "--restart", "always")
                try daemon.ok("stop", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "3")
                try daemon.ok("start", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "0")
                try eventually("its traps are set") { try daemon.ok("logs", "one").split(separator: "\n").count > 1 }
                try daemon.ok("kill", "-s", "USR1", "one")
                try eventually("it runs again") {
                    try restarts(daemon, "one") == 1 && daemon.field(".State.Status", "one") == "running"
                }
                #expect(try daemon.field(".State.ExitCode", "one") == "0")
                #expect(try daemon.field(".State.Error", "one") == "")
                try daemon.ok("pause", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "0")
                try daemon.ok("unpause", "one")
                try daemon.ok("kill", "one")
                try daemon.ok("wait", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "137")
            }
        }

        @Test func hundredRestartsWithoutAManagerAreAllTold() throws {
            try Daemon.with { (daemon) throws in
                let file = daemon.scratch.appendingPathComponent("berthd.toml")
                try Data("restart-max-delay-ms = 100\n".utf8).write(to: file)
                try daemon.stop()
                try daemon.start(["--config", file.path])
                let gate = try gate(daemon)
                let script = "echo run >>/gate/runs; until [ -e /gate/go ]; do sleep 0.02; done; exit 7"
                let id = try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "loop",
                    "--restart",
                    "on-failure:100",
                    "-v",
                    "\(gate.path):/gate",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                try daemon.crash()
                try Data().write(to: gate.appendingPathComponent("go"))
                try eventually(within: 60, "it has given up") {
                    try journal(daemon, id).contains(#""restartCount":100"#)
                }
                let runs = try String(contentsOf: gate.appendingPathComponent("runs"), encoding: .utf8)
                #expect(runs.split(separator: "\n").count == 101)
                try daemon.start(["--config", file.path])
                let wanted = ["create", "start"] + (0..<100).flatMap { _ in ["die", "start"] } + ["die"]
                for _ in 0..<2 {
                    try eventually("it has ended") { try daemon.field(".State.Status", "loop") == "exited" }
                    #expect(try restarts(daemon, "loop") == 100)
                    #expect(try daemon.field(".State.ExitCode", "loop") == "7")
                    #expect(try actions(daemon, "loop") == wanted)
                    // Nothing is told twice, whatever the manager's next life finds.
                    try daemon.crash()
                    try daemon.start()
                }
            }
        }

        @Test func managerThatComesBackFindsTheRunningOne() throws {
            try Daemon.with { (daemon) throws in
                let gate = try gate(daemon)
                let script = "echo run >>/gate/runs; [ -e /gate/end ] && exit 3; exec sleep 1000"
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "--restart",
                    "always",
                    "-v",
                    "\(gate.path):/gate",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                let pid = try #require(Int32(daemon.field(".State.Pid", "one")))
                try daemon.crash()
                kill(pid, SIGKILL)
                try eventually("it runs again") {
                    try String(contentsOf: gate.appendingPathComponent("runs"), encoding: .utf8) == "run\nrun\n"
                }
                try daemon.start()
                // It answers at once, and reads what it has missed meanwhile.
                try eventually("it is known to run again") {
                    try restarts(daemon, "one") == 1 && daemon.field(".State.Status", "one") == "running"
                }
                #expect(try daemon.field(".State.Pid", "one") != String(pid))
                #expect(try actions(daemon, "one") == ["create", "start", "die", "start"])
                // The connection to the shim is whole: exec, and the next end.
                try daemon.ok("exec", "one", "touch", "/gate/end")
                try daemon.ok("kill", "-s", "USR1", "one")
                try daemon.ok("stop", "-t", "0", "one")
                #expect(try daemon.field(".State.Status", "one") == "exited")
                #expect(try actions(daemon, "one").suffix(2) == ["die", "stop"])
            }
        }

        /// A container that is in the back-off for a while.
        private func loop(_ daemon: Daemon, _ name: String) throws {
            try daemon.ok(
                "run",
                "-d",
                "--name",
                name,
                "--restart",
                "always",
                "berth/default",
                "sh",
                "-c",
                "exit 1"
            )
            try eventually("\(name) waits") {
                try restarts(daemon, name) >= 5 && daemon.field(".State.Status", name) == "restarting"
            }
        }

        @Test func everyVerbDuringTheBackOff() throws {
            try Daemon.with { (daemon) throws in
                try loop(daemon, "one")
                #expect(try daemon.berth("exec", "one", "true").status != 0)
                #expect(try daemon.berth("rm", "one").status != 0)
                try daemon.ok("stop", "one")
                #expect(try daemon.field(".State.Status", "one") == "exited")
                #expect(try actions(daemon, "one").last == "stop")
                let count = try restarts(daemon, "one")
                try daemon.ok("start", "one")
                #expect(try restarts(daemon, "one") < count)
                try eventually("one waits again") {
                    try restarts(daemon, "one") >= 5 && daemon.field(".State.Status", "one") == "restarting"
                }
                try daemon.ok("kill", "one")
                try eventually("it is killed") { try daemon.field(".State.Status", "one") == "exited" }
                try loop(daemon, "two")
                try daemon.ok("restart", "two")
                #expect(try restarts(daemon, "two") < 4)
                try daemon.ok("rm", "-f", "two")
                #expect(try daemon.berth("inspect", "two").status == 1)
                try loop(daemon, "three")
                try daemon.ok("update", "--restart", "no", "three")
                // The planned one takes place, and is the last.
                try eventually("it is the end") { try daemon.field(".State.Status", "three") == "exited" }
                #expect(try daemon.ok("wait", "three") == "1")
            }
        }

        @Test func policyGivenToARunningContainerHolds() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                try daemon.ok("update", "--restart", "always", "one")
                let pid = try #require(Int32(daemon.field(".State.Pid", "one")))
                kill(pid, SIGKILL)
                try eventually("it runs again") {
                    try restarts(daemon, "one") == 1 && daemon.field(".State.Status", "one") == "running"
                }
                try daemon.ok("stop", "-t", "0", "one")
                #expect(try daemon.field(".State.Status", "one") == "exited")
            }
        }

        @Test func managersStartObeysThePolicy() throws {
            try Daemon.with { (daemon) throws in
                for policy in ["always", "unless-stopped", "on-failure", "no"] {
                    try daemon.ok(
                        "run",
                        "-d",
                        "--name",
                        policy,
                        "--restart",
                        policy,
                        "berth/default",
                        "sleep",
                        "1000"
                    )
                    try daemon.ok("stop", "-t", "0", policy)
                    #expect(try daemon.field(".State.Status", policy) == "exited")
                }
                try daemon.stop()
                try daemon.start()
                try eventually("'always' runs") { try daemon.field(".State.Status", "always") == "running" }
                for policy in ["unless-stopped", "on-failure", "no"] {
                    #expect(try daemon.field(".State.Status", policy) == "exited", "\(policy)")
                }
                // What runs again is under its policy again.
                let pid = try #require(Int32(daemon.field(".State.Pid", "always")))
                kill(pid, SIGKILL)
                try eventually("it runs again") {
                    try restarts(daemon, "always") == 1 && daemon.field(".State.Status", "always") == "running"
                }
            }
        }

        @Test func nextRunIsMadeAsTheFirstWas() throws {
            try Daemon.with { (daemon) throws in
                let script = """
                    hostname; id -u; cat /proc/self/uid_map; grep -E '^(Cap|Seccomp|NoNewPrivs)' /proc/self/status;
                    cat /proc/self/limits | grep 'open files'; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max \
                    /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max 2>/dev/null;
                    cut -d ' ' -f 5- /proc/self/mountinfo | sed 's/master:[0-9]*//; s/shared:[0-9]*//' | cut -d ' ' -f 1,2;
                    readlink /proc/self/cwd; cat /etc/hostname; env | sort; ls /dev | sort; echo end; exit 1
                    """
                try daemon.ok(
                    "run",
                    "--name",
                    "one",
                    "--restart",
                    "on-failure:1",
                    "--hostname",
                    "box",
                    "--memory",
                    "64m",
                    "--pids-limit",
                    "77",
                    "--ulimit",
                    "nofile=123:456",
                    "-e",
                    "A=b",
                    "-w",
                    "/tmp",
                    "--tmpfs",
                    "/scratch",
                    "-d",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                try eventually("both have run") {
                    try restarts(daemon, "one") == 1 && daemon.field(".State.Status", "one") == "exited"
                }
                let runs = try daemon.ok("logs", "one").components(separatedBy: "end\n").map {
                    $0.replacingOccurrences(of: "\nend", with: "\n")
                }
                try #require(runs.count == 2, "\(runs)")
                #expect(runs[0] == runs[1])
                #expect(runs[0].hasPrefix("box\n"))
                #expect(runs[0].contains("67108864"))
            }
        }

        @Test func neighbourOfANamespaceIsStartedAgainByTheManager() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "two",
                    "--network",
                    "container:one",
                    "--restart",
                    "always",
                    "berth/default",
                    "sh",
                    "-c",
                    "readlink /proc/self/ns/net; exec sleep 1000"
                )
                try eventually("it has said where it is") { try !daemon.ok("logs", "two").isEmpty }
                let pid = try #require(Int32(daemon.field(".State.Pid", "two")))
                kill(pid, SIGKILL)
                try eventually("it runs again") {
                    try restarts(daemon, "two") == 1 && daemon.field(".State.Status", "two") == "running"
                }
                try eventually("it has said so") {
                    let lines = try daemon.ok("logs", "two").split(separator: "\n")
                    return lines.count == 2 && lines[0] == lines[1]
                }
            }
        }
    }
}
