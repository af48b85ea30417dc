import Foundation
import SystemFixture
import Testing

/// Whether there is a docker client on this machine.
let hasDocker =
    ["/usr/bin/docker", "/usr/local/bin/docker"].contains(where: FileManager.default.isExecutableFile)
    || (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
        FileManager.default.isExecutableFile(atPath: "\($0)/docker")
    }

extension SystemTests {
    /// Each verb of the `docker` client.
    @Suite(.enabled(if: hasDocker, "needs the docker client")) struct DockerClientTests {
        /// Runs `docker`, which has to succeed.
        private func ok(
            _ daemon: Daemon,
            _ arguments: String...,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws -> String {
            let environment = ["DOCKER_CONFIG": daemon.scratch.appendingPathComponent("docker").path]
            let command = try Command(
                "docker",
                ["-H", "unix://\(daemon.socket)"] + arguments,
                in: daemon.scratch,
                environment: environment
            )
            let outcome = try command.finish()
            try #require(outcome.status == 0, "docker \(arguments): \(outcome)", sourceLocation: sourceLocation)
            return outcome.text
        }

        @Test func healthOfAContainer() throws {
            try Daemon.with { (daemon) throws in
                _ = try ok(
                    daemon,
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "--health-cmd",
                    "test ! -e /sick",
                    "--health-interval",
                    "200ms",
                    "--health-retries",
                    "1",
                    "--health-start-period",
                    "1s",
                    "--health-start-interval",
                    "100ms",
                    "berth/default",
                    "sleep",
                    "1000"
                )
                let status = "{{.State.Health.Status}}"
                try eventually("it is healthy") { try ok(daemon, "inspect", "-f", status, "one") == "healthy" }
                #expect(try ok(daemon, "ps", "--format", "{{.Status}}").hasSuffix("(healthy)"))
                _ = try ok(daemon, "exec", "one", "touch", "/sick")
                try eventually("it is unhealthy") { try ok(daemon, "inspect", "-f", status, "one") == "unhealthy" }
                #expect(try ok(daemon, "ps", "-q", "--filter", "health=unhealthy") != "")
                _ = try ok(daemon, "run", "-d", "--name", "two", "--no-healthcheck", "berth/default", "sleep", "1000")
                #expect(try ok(daemon, "ps", "--filter", "health=none", "--format", "{{.Names}}") == "two")
            }
        }

        @Test func restartPolicyOfAContainer() throws {
            try Daemon.with { (daemon) throws in
                _ = try ok(
                    daemon,
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "--restart",
                    "always",
                    "berth/default",
                    "sh",
                    "-c",
                    "exit 3"
                )
                try eventually("it waits") {
                    try ok(daemon, "inspect", "-f", "{{gt .RestartCount 4}} {{.State.Restarting}}", "one")
                        == "true true"
                }
                #expect(try ok(daemon, "ps", "--format", "{{.Status}}").hasPrefix("Restarting (3)"))
                _ = try ok(daemon, "stop", "one")
                #expect(try ok(daemon, "inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "one") == "exited 3")
                _ = try ok(daemon, "update", "--restart", "on-failure:1", "one")
                _ = try ok(daemon, "start", "one")
                try eventually("it has given up") {
                    try ok(daemon, "inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "one") == "exited 1"
                }
            }
        }

        @Test(arguments: ["berth", "docker"])
        func terminalSessionLosesNothingWithTheManager(client: String) throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let script =
                    "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; [ $((i % 20)) -eq 0 ] && sleep 0.01; done; echo end"
                let program = client == "docker" ? "docker -H" : "\(Binaries.path("berth")) --host"
                let line = "\(program) unix://\(daemon.socket) exec -it one sh -c '\(script)'"
                let session = try Command("script", ["-qfec", line, "/dev/null"], in: daemon.scratch, keepsInput: true)
                try eventually("it is in the middle") { session.output.contains("500\r\n") }
                try daemon.crash()
                #expect(!session.output.contains("end"), "the manager died too late to matter")
                try eventually(within: 40, "the end is there") { session.output.contains("end\r\n") }
                let numbers = session.output.split(separator: "\r\n").compactMap { Int($0) }
                #expect(numbers == Array(1...3000))
                try daemon.start()
                let outcome = try session.finish()
                // Docker's client does not ask again once its connection was refused.
                #expect(client == "docker" || outcome.status == 0, "\(outcome.status)")
            }
        }

        @Test func exitCodes() throws {
            try Daemon.with { (daemon) throws in
                #expect(try daemon.docker("run", "--rm", "berth/default", "true").status == 0)
                #expect(try daemon.docker("run", "--rm", "berth/default", "sh", "-c", "exit 42").status == 42)
                #expect(
                    try daemon.docker("run", "--rm", "--init", "berth/default", "sh", "-c", "kill -9 $$").status == 137
                )
                #expect(try daemon.docker("run", "--rm", "berth/default", "/etc/passwd").status == 126)
                #expect(try daemon.docker("run", "--rm", "berth/default", "nothing-of-that-name").status == 127)
                #expect(try daemon.docker("run", "--rm", "--pull", "never", "no/such", "true").status == 125)
                #expect(try daemon.docker("ps", "-aq").text == "")
            }
        }

        @Test func optionsOfRun() throws {
            try Daemon.with { (daemon) throws in
                func run(_ options: String..., script: String) throws -> String {
                    let environment = ["DOCKER_CONFIG": daemon.scratch.appendingPathComponent("docker").path]
                    let words =
                        ["-H", "unix://\(daemon.socket)", "run", "--rm"] + options + [
                            "berth/default", "sh", "-c", script,
                        ]
                    return try Command("docker", words, in: daemon.scratch, environment: environment).finish().text
                }
                #expect(try run("-e", "A=1", "-w", "/tmp", script: "echo $A; pwd") == "1\n/tmp")
                #expect(try run("-u", "1000:1000", script: "id -u") == "1000")
                #expect(try run("-v", "/etc:/host:ro", script: "test -e /host/passwd && echo there") == "there")
                #expect(
                    try run(
                        "--tmpfs",
                        "/t",
                        "--read-only",
                        script: "touch /t/x && touch /x 2>/dev/null || echo refused"
                    ) == "refused"
                )
                #expect(try run("--memory", "64m", "--cpus", "0.5", "--pids-limit", "50", script: "echo ok") == "ok")
                #expect(
                    try run("--cap-drop", "ALL", script: "grep CapEff /proc/self/status | cut -f 2")
                        == "0000000000000000"
                )
                #expect(
                    try run(
                        "--security-opt",
                        "seccomp=unconfined",
                        script: "grep ^Seccomp: /proc/self/status | cut -f 2"
                    ) == "0"
                )
                #expect(try run(script: "grep ^Seccomp: /proc/self/status | cut -f 2") == "2")
                #expect(try run("--ulimit", "nofile=64:64", script: "ulimit -n") == "64")
                #expect(
                    try run("--hostname", "h", "--network", "none", script: "hostname; ls /sys/class/net") == "h\nlo"
                )
                #expect(try run("--network", "host", script: "hostname >/dev/null && echo ok") == "ok")
                #expect(try run("--init", "--label", "a=b", "--stop-signal", "INT", script: "echo ok") == "ok")
                #expect(try run("--entrypoint", "echo", script: "x") == "sh -c x")
            }
        }

        @Test func lifecycleVerbs() throws {
            try Daemon.with { (daemon) throws in
                _ = try ok(daemon, "create", "--name", "one", "-i", "berth/default", "sh", "-c", "echo up; exec cat")
                _ = try ok(daemon, "start", "one")
                #expect(try ok(daemon, "ps", "--format", "{{.Names}} {{.State}}") == "one running")
                #expect(try ok(daemon, "exec", "one", "echo", "in") == "in")
                #expect(try daemon.docker("exec", "one", "sh", "-c", "exit 9").status == 9)
                #expect(try ok(daemon, "logs", "one") == "up")
                #expect(try ok(daemon, "top", "one").contains("cat"))
                #expect(try ok(daemon, "stats", "--no-stream", "--format", "{{.Name}}", "one") == "one")
                _ = try ok(daemon, "pause", "one")
                _ = try ok(daemon, "unpause", "one")
                _ = try ok(daemon, "rename", "one", "two")
                _ = try ok(daemon, "update", "--memory", "64m", "--memory-swap", "128m", "two")
                #expect(try ok(daemon, "inspect", "--format", "{{.HostConfig.Memory}}", "two") == "67108864")
                _ = try ok(daemon, "restart", "-t", "0", "two")
                _ = try ok(daemon, "kill", "two")
                #expect(try ok(daemon, "wait", "two") == "137")
                _ = try ok(daemon, "start", "two")
                _ = try ok(daemon, "stop", "-t", "0", "two")
                _ = try ok(daemon, "rm", "two")
                #expect(try ok(daemon, "ps", "-aq") == "")
            }
        }

        @Test func interactiveSessions() throws {
            try Daemon.with { (daemon) throws in
                let base = "docker -H unix://\(daemon.socket)"
                let environment = ["DOCKER_CONFIG": daemon.scratch.appendingPathComponent("docker").path]
                func terminal(_ line: String) throws -> Command {
                    let words = ["-qfec", "\(base) \(line)", "/dev/null"]
                    return try Command("script", words, in: daemon.scratch, environment: environment, keepsInput: true)
                }
                let run = try terminal("run --rm -it berth/default sh")
                try run.type("tty; exit 5\n")
                let outcome = try run.finish()
                #expect(outcome.status == 5)
                #expect(outcome.output.contains("/dev/pts/0"))
                _ = try ok(daemon, "run", "-dit", "--name", "one", "berth/default", "sh")
                let attach = try terminal("attach one")
                try attach.type("echo mark-$((40+2))\n")
                try eventually("the shell answers") { attach.output.contains("mark-42") }
                try attach.type("\u{10}\u{11}")
                _ = try attach.finish()
                #expect(try ok(daemon, "inspect", "--format", "{{.State.Running}}", "one") == "true")
                let pipe = try Command(
                    "docker",
                    ["-H", "unix://\(daemon.socket)", "run", "--rm", "-i", "berth/default", "wc", "-c"],
                    in: daemon.scratch,
                    environment: environment,
                    keepsInput: true
                )
                try pipe.type(String(repeating: "x", count: 300_000))
                pipe.closeInput()
                #expect(try pipe.finish().text == "300000")
            }
        }

        @Test func imageAndSystemVerbs() throws {
            try Daemon.with(image: false) { (daemon) throws in
                #expect(try ok(daemon, "load", "-i", DefaultImage.archive()).contains("berth/default"))
                #expect(try ok(daemon, "images", "--format", "{{.Repository}}:{{.Tag}}") == "berth/default:latest")
                #expect(try ok(daemon, "image", "inspect", "--format", "{{.Os}}", "berth/default") == "linux")
                _ = try ok(daemon, "tag", "berth/default", "x:y")
                _ = try ok(daemon, "rmi", "x:y")
                #expect(try ok(daemon, "version", "--format", "{{.Server.APIVersion}}") == "1.51")
                #expect(try ok(daemon, "info", "--format", "{{.Images}}") == "1")
                let began = String(Int(Date().timeIntervalSince1970) - 1)
                _ = try ok(daemon, "run", "--rm", "--name", "ev", "berth/default", "true")
                let until = String(Int(Date().timeIntervalSince1970) + 1)
                let events = try ok(
                    daemon,
                    "events",
                    "--since",
                    began,
                    "--until",
                    until,
                    "--filter",
                    "container=ev",
                    "--format",
                    "{{.Action}}"
                )
                for action in ["create", "attach", "start", "die", "destroy"] { #expect(events.contains(action)) }
            }
        }
    }
}
