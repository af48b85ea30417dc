import Foundation
import Kernel
import SystemFixture
import Testing

extension SystemTests {
    /// Rules for files, and containers without namespaces, as people ask for them.
    @Suite(.enabled(if: Landlock.version >= 6, "this kernel has no Landlock, or an older one")) struct RuleUseTests {
        private static let shared = ["--namespaces", "none"]

        @Test func rulesAreInForceUnlessTurnedOff() throws {
            try Daemon.with { daemon in
                #expect(try daemon.ok("backend", "info", "restricted").contains("landlock-\(Landlock.version)"))
                let script = "mount -t tmpfs x /tmp && echo mounted || echo kept"
                for (option, answer) in [("required", "kept"), ("available", "kept"), ("off", "mounted")] {
                    let words = ["--rm", "--name", "one", "--cap-add", "SYS_ADMIN", "--network", "none"]
                    let run = try daemon.client(
                        ["run"] + words + ["--security-opt", "berth.landlock=\(option)"]
                            + ["berth/default", "sh", "-c", script]
                    ).finish()
                    #expect(run.output == answer + "\n", "\(option): \(run)")
                }
                try daemon.ok("create", "--name", "two", "--security-opt", "berth.landlock=off", "berth/default")
                #expect(try daemon.field("json .HostConfig.SecurityOpt", "two").contains("berth.landlock=off"))
                try daemon.ok("rm", "two")
                let bad = try daemon.client(
                    ["create", "--runtime", "native", "--security-opt", "berth.landlock=required", "berth/default"]
                ).finish()
                #expect(bad.status == 125 && bad.errors.contains("berth.landlock"), "\(bad)")
            }
        }

        /// The rules are the container's as long as it runs, whichever shim is there.
        @Test func aNewShimHoldsSessionsToTheSameRules() throws {
            try Daemon.with { daemon in
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "--runtime",
                    "restricted",
                    "--cap-add",
                    "SYS_ADMIN",
                    "--network",
                    "none",
                    "berth/default",
                    "sleep",
                    "1000"
                )
                func held(_ when: String) throws {
                    let session = try daemon.client(["exec", "one", "mount", "-t", "tmpfs", "x", "/tmp"]).finish()
                    #expect(session.status != 0 && session.errors.contains("mount"), "\(when): \(session)")
                    #expect(try daemon.ok("exec", "one", "sh", "-c", "echo x >/tmp/f; cat /tmp/f") == "x", "\(when)")
                }
                try held("at first")
                try daemon.ok("shim", "upgrade", "one")
                try held("after an upgrade")
                try Self.replaceShim(daemon, "one")
                try held("after the shim's death")
                try daemon.ok("rm", "-f", "one")
            }
        }

        static func shim(_ daemon: Daemon, _ name: String) throws -> Int32 {
            struct Record: Decodable { var pid: Int32 }
            let bundle = daemon.state.appendingPathComponent("containers").appendingPathComponent(
                try daemon.field(".Id", name)
            )
            let data = try Data(contentsOf: bundle.appendingPathComponent("shim.pid"))
            return try JSONDecoder().decode(Record.self, from: data).pid
        }

        /// Kills a shim, and waits for the next.
        private static func replaceShim(_ daemon: Daemon, _ name: String) throws {
            let old = try shim(daemon, name)
            try #require(old > 0)
            #expect(kill(old, SIGKILL) == 0)
            try eventually("a new shim has taken over") {
                try shim(daemon, name) != old && !daemon.field("json .State.Berth", name).contains("Reachable")
            }
        }

        @Test func aContainerWithoutNamespacesLivesLikeOthers() throws {
            try Daemon.with { daemon in
                let script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"
                try daemon.client(
                    ["run", "-d", "--name", "one"] + Self.shared + ["-m", "64m", "berth/default", "sh", "-c", script]
                ).finish()
                try eventually("it runs") { try daemon.ok("logs", "one").contains("up") }
                let pid = try daemon.field(".State.Pid", "one")
                let procfs = try RootedDir("/proc")
                for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"] {
                    let own = try procfs.readlink("self/ns/\(kind)")
                    // The manager of a test has a network namespace of its own.
                    guard kind != "net" else { continue }
                    #expect(try procfs.readlink("\(pid)/ns/\(kind)") == own, "\(kind)")
                }
                let status = try File.readText("/proc/\(pid)/status")
                for line in ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
                {
                    #expect(status.contains(line), "\(line) is not in \(status)")
                }
                #expect(try daemon.ok("exec", "one", "sh", "-c", "echo here >/tmp/x; cat /tmp/x") == "here")
                try Self.isKept(daemon, "one")
                let session = try daemon.client(["exec", "--privileged", "one", "true"]).finish()
                #expect(
                    session.status != 0 && (session.output + session.errors).contains("process.capabilities"),
                    "\(session)"
                )
                #expect(try daemon.ok("stats", "--no-stream", "--format", "{{.Name}}", "one") == "one")
                try Self.replaceShim(daemon, "one")
                #expect(try daemon.ok("exec", "one", "cat", "/tmp/x") == "here")
                #expect(try daemon.field(".State.Pid", "one") == pid)
                try daemon.ok("stop", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "3")
                try daemon.ok("start", "one")
                try eventually("it runs again") { try daemon.ok("logs", "one").hasSuffix("up") }
                #expect(try daemon.ok("exec", "one", "cat", "/tmp/x") == "here")
                try daemon.ok("rm", "-f", "one")
            }
        }

        /// A process of the host, of the same user, is out of the container's reach, although that sees its number.
        private static func isKept(_ daemon: Daemon, _ name: String) throws {
            let sleeper = try Spawn(arguments: ["sleep", "1000"]).start("/bin/sleep")
            defer { Pidfd.end(sleeper.pidfd.raw, within: .seconds(10)) }
            for call in ["kill -0 \(sleeper.pid)", "renice -n 5 -p \(sleeper.pid)"] {
                let answer = try daemon.ok("exec", name, "sh", "-c", "\(call) 2>/dev/null && echo reached || echo kept")
                #expect(answer == "kept", "\(call)")
            }
        }

        /// No namespace ends what the first process leaves behind: the cgroup does.
        @Test func whatItLeavesBehindEndsWithIt() throws {
            try Daemon.with { daemon in
                let script = "sleep 4242 & sleep 4242 & exit 5"
                let run = try daemon.client(
                    ["run", "--name", "one"] + Self.shared + ["berth/default", "sh", "-c", script]
                ).finish()
                #expect(run.status == 5, "\(run)")
                let left = try FileManager.default.contentsOfDirectory(atPath: "/proc").filter { entry in
                    guard Int32(entry) != nil else { return false }
                    // One that ends meanwhile is none.
                    let words = (try? String(contentsOfFile: "/proc/\(entry)/cmdline", encoding: .utf8)) ?? ""
                    return words.hasPrefix("sleep\0004242")
                }
                #expect(left.isEmpty)
                try daemon.ok("rm", "one")
            }
        }

        @Test func whatTakesANamespaceIsRefusedByName() throws {
            try Daemon.with { daemon in
                let words: [([String], String)] = [
                    (["--hostname", "box"], "hostname"), (["-v", "/tmp:/data"], "volume"),
                    (["--mount", "type=tmpfs,target=/data"], "mount"), (["--tmpfs", "/data"], "tmpfs"),
                    (["--network", "none"], "network"), (["--network", "bridge"], "network"),
                    (["--userns", "auto"], "userns"), (["--ipc", "private"], "ipc"),
                    (["--init"], "init"), (["--cap-add", "CHOWN"], "cap-add"), (["--privileged"], "privileged"),
                    (["--security-opt", "seccomp=unconfined"], "seccomp"),
                    (["--sysctl", "net.ipv4.ip_forward=1"], "sysctl"),
                    (["--device", "/dev/null"], "device"), (["--dns", "1.1.1.1"], "dns"),
                    (["--runtime", "native"], "runtime"),
                ]
                for (options, name) in words {
                    let made = try daemon.client(["create"] + Self.shared + options + ["berth/default"]).finish()
                    #expect(made.status == 125 && made.errors.contains(name), "\(options): \(made)")
                }
                let bad = try daemon.client(["create", "--namespaces", "all", "berth/default"]).finish()
                #expect(bad.status == 125 && bad.errors.contains("'all'"), "\(bad)")
                #expect(try daemon.ok("ps", "-aq").isEmpty)
            }
        }
    }
}
