import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// Containers of other backends than the native one, chosen by `--runtime` from the configuration.
    @Suite struct BackendChoiceTests {
        static let shim = "/usr/bin/containerd-shim-runc-v2"
        static let runc = "/usr/sbin/runc"

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

        static let names = ["runc-foreign", "runc"]

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
    }
}
