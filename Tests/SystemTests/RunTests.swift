import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// `berth run`: what reaches the process, and what comes back.
    @Suite struct RunTests {
        @Test func exitCodesAreTheContainersOwn() throws {
            try Daemon.with { (daemon) throws in
                #expect(try daemon.berth("run", "--rm", "berth/default", "true").status == 0)
                #expect(try daemon.berth("run", "--rm", "berth/default", "sh", "-c", "exit 1").status == 1)
                #expect(try daemon.berth("run", "--rm", "berth/default", "sh", "-c", "exit 42").status == 42)
                #expect(
                    try daemon.berth("run", "--rm", "--init", "berth/default", "sh", "-c", "kill -9 $$").status == 137
                )
                #expect(try daemon.berth("run", "--rm", "berth/default", "/etc").status == 126)
                #expect(try daemon.berth("run", "--rm", "berth/default", "/etc/passwd").status == 126)
                #expect(try daemon.berth("run", "--rm", "berth/default", "nothing-of-that-name").status == 127)
                #expect(try daemon.berth("run", "--rm", "no/such-image", "true").status == 125)
                #expect(try daemon.ok("ps", "-aq") == "")
            }
        }

        @Test func bothStreamsComeBackApart() throws {
            try Daemon.with { (daemon) throws in
                let outcome = try daemon.berth("run", "--rm", "berth/default", "sh", "-c", "echo out; echo err >&2")
                #expect(outcome.output == "out\n")
                #expect(outcome.errors.hasSuffix("err\n"))
            }
        }

        @Test func standardInputGoesIn() throws {
            try Daemon.with { (daemon) throws in
                let command = try daemon.client(["run", "--rm", "-i", "berth/default", "wc", "-c"], keepsInput: true)
                let chunk = String(repeating: "0123456789", count: 10_000)
                for _ in 0..<20 { try command.type(chunk) }
                command.closeInput()
                let outcome = try command.finish()
                #expect(outcome.text == "2000000")
                #expect(outcome.status == 0)
            }
        }

        @Test func muchOutputIsWhole() throws {
            try Daemon.with { (daemon) throws in
                let outcome = try daemon.berth("run", "--rm", "berth/default", "seq", "1", "200000")
                #expect(outcome.status == 0)
                #expect(outcome.output == (1...200_000).map { "\($0)\n" }.joined())
            }
        }

        @Test func settingsReachTheProcess() throws {
            try Daemon.with { (daemon) throws in
                func run(_ options: String..., script: String) throws -> String {
                    try daemon.client(["run", "--rm"] + options + ["berth/default", "sh", "-c", script]).finish().text
                }
                #expect(try run("-e", "A=1", "-e", "B=x y", script: "echo $A-$B") == "1-x y")
                #expect(try run("-w", "/tmp/new", script: "pwd") == "/tmp/new")
                #expect(try run("-u", "app", script: "id -u; id -g; id -G") == "1000\n1000\n1000 50")
                #expect(try run("-u", "12:34", script: "id -u; id -g") == "12\n34")
                #expect(try run("--group-add", "50", script: "id -G") == "0 50")
                #expect(try run("--hostname", "ship", script: "hostname; cat /etc/hostname") == "ship\nship")
                #expect(try run("--read-only", script: "touch /x 2>/dev/null || echo refused") == "refused")
                #expect(
                    try run("--tmpfs", "/scratch:size=64k", script: "df -k /scratch | tail -1 | awk '{print $2}'")
                        == "64"
                )
                #expect(try run("--ulimit", "nofile=99:100", script: "ulimit -Sn; ulimit -Hn") == "99\n100")
                #expect(
                    try run("--add-host", "a.test:10.0.0.9", script: "grep a.test /etc/hosts | awk '{print $1}'")
                        == "10.0.0.9"
                )
                #expect(
                    try run("--sysctl", "net.ipv4.ip_default_ttl=77", script: "cat /proc/sys/net/ipv4/ip_default_ttl")
                        == "77"
                )
                #expect(try run("--oom-score-adj", "500", script: "cat /proc/self/oom_score_adj") == "500")
                #expect(try run("--shm-size", "1m", script: "df -k /dev/shm | tail -1 | awk '{print $2}'") == "1024")
                #expect(try run("--init", script: "cat /proc/1/comm; true") != "sh")
                #expect(try run(script: "cat /proc/1/comm; true") == "sh")
                #expect(try run(script: "ls /sys/class/net") == "lo")
                #expect(try run("--entrypoint", "/bin/echo", script: "x") == "sh -c x")
            }
        }

        @Test func capabilitiesAreWhatWasAsked() throws {
            try Daemon.with { (daemon) throws in
                func effective(_ options: String...) throws -> UInt64 {
                    let arguments =
                        ["run", "--rm"] + options + ["berth/default", "grep", "CapEff", "/proc/self/status"]
                    let text = try daemon.client(arguments).finish().text
                    return UInt64(text.split(separator: "\t").last ?? "", radix: 16) ?? .max
                }
                #expect(try effective() == 0xa804_05fb)
                #expect(try effective("--cap-drop", "ALL") == 0)
                #expect(try effective("--cap-drop", "ALL", "--cap-add", "NET_ADMIN") == 1 << 12)
                #expect(try effective("-u", "1000") == 0)
            }
        }

        @Test func bindMountsShowTheHostsFiles() throws {
            try Daemon.with { (daemon) throws in
                let folder = daemon.scratch.appendingPathComponent("shared")
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                try "from the host".write(to: folder.appendingPathComponent("a"), atomically: true, encoding: .utf8)
                let mount = "\(folder.path):/shared"
                #expect(
                    try daemon.ok("run", "--rm", "-v", mount, "berth/default", "cat", "/shared/a") == "from the host"
                )
                try daemon.ok("run", "--rm", "-v", mount, "berth/default", "sh", "-c", "echo back > /shared/b")
                let written = try String(contentsOf: folder.appendingPathComponent("b"), encoding: .utf8)
                #expect(written == "back\n")
                let refused = try daemon.berth(
                    "run",
                    "--rm",
                    "-v",
                    mount + ":ro",
                    "berth/default",
                    "touch",
                    "/shared/c"
                )
                #expect(refused.status == 1)
                let option = "type=bind,source=\(folder.path),target=/m,readonly"
                #expect(
                    try daemon.ok("run", "--rm", "--mount", option, "berth/default", "cat", "/m/a") == "from the host"
                )
            }
        }

        @Test func limitsHold() throws {
            try Daemon.with { (daemon) throws in
                let hungry = "a=x; while true; do a=$a$a; done"
                let outcome = try daemon.berth(
                    "run",
                    "--name",
                    "hungry",
                    "--memory",
                    "16m",
                    "berth/default",
                    "sh",
                    "-c",
                    hungry
                )
                #expect(outcome.status == 137)
                #expect(try daemon.field(".State.OOMKilled", "hungry") == "true")
                let forks = "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done 2>/dev/null; jobs | wc -l"
                let few = try daemon.berth("run", "--rm", "--pids-limit", "4", "berth/default", "sh", "-c", forks)
                #expect(few.text != "9")
            }
        }

        @Test func terminalIsATerminal() throws {
            try Daemon.with { (daemon) throws in
                let command = try daemon.terminal("run", "--rm", "-it", "berth/default", "sh")
                try command.type("tty; stty size; exit 5\n")
                let outcome = try command.finish()
                #expect(outcome.status == 5)
                #expect(outcome.output.contains("/dev/pts/0"))
            }
        }

        @Test func signalsArePassedOn() throws {
            try Daemon.with { (daemon) throws in
                let script = "trap 'echo caught; exit 9' TERM; echo ready; while true; do sleep 0.05; done"
                let command = try daemon.client(["run", "--rm", "berth/default", "sh", "-c", script])
                try eventually("the container is ready") { command.output.contains("ready") }
                command.send(SIGTERM)
                let outcome = try command.finish()
                #expect(outcome.status == 9)
                #expect(outcome.output.contains("caught"))
            }
        }

        @Test func removalAtTheEndAndTheIdFile() throws {
            try Daemon.with { (daemon) throws in
                let file = daemon.scratch.appendingPathComponent("cid").path
                let id = try daemon.ok("run", "-d", "--cidfile", file, "berth/default", "sleep", "100")
                #expect(try String(contentsOfFile: file, encoding: .utf8) == id)
                #expect(try daemon.berth("run", "-d", "--cidfile", file, "berth/default", "true").status == 125)
                let gone = try daemon.ok("run", "-d", "--rm", "berth/default", "true")
                try eventually("it is removed") { try daemon.berth("inspect", gone).status == 1 }
            }
        }

        @Test func theHostsMountTableNeverChanges() throws {
            let before = try HostState.mounts()
            try Daemon.with { (daemon) throws in
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "--tmpfs",
                    "/t",
                    "-v",
                    "/etc:/host-etc:ro",
                    "berth/default",
                    "sleep",
                    "100"
                )
                try daemon.ok("exec", "one", "true")
                #expect(try HostState.mounts(of: daemon.scratch) == before)
                try daemon.ok("rm", "-f", "one")
                #expect(try HostState.mounts(of: daemon.scratch) == before)
            }
            #expect(try HostState.mounts() == before)
        }
    }
}
