import Foundation
import SystemFixture
import Testing

/// Whether the kernel has AppArmor, and the machine a program that can load a profile.
private let canConfine =
    (try? String(contentsOfFile: "/sys/module/apparmor/parameters/enabled", encoding: .utf8))?.hasPrefix("Y") == true
    && FileManager.default.isExecutableFile(atPath: "/sbin/apparmor_parser")

extension SystemTests {
    /// Labels of security modules that a client asks for.
    @Suite struct SecurityModuleTests {
        /// The status of a command that makes a container, and nothing of it left.
        private func refused(_ daemon: Daemon, _ options: String...) throws -> Outcome {
            let outcome = try daemon.client(["create", "--name", "no"] + options + ["berth/default", "true"]).finish()
            #expect(outcome.status != 0, "\(outcome)")
            #expect(try daemon.ok("ps", "-aq") == "")
            return outcome
        }

        @Test(.enabled(if: !canConfine, "no AppArmor")) func whatNobodyWouldEnforceIsRefused() throws {
            try Daemon.with { (daemon) throws in
                #expect(try refused(daemon, "--security-opt", "apparmor=box").errors.contains("AppArmor"))
                #expect(try refused(daemon, "--security-opt", "label=type:box_t").errors.contains("SELinux"))
                _ = try refused(daemon, "--security-opt", "label=colour:red")
                let free = ["--security-opt", "apparmor=unconfined", "--security-opt", "label=disable"]
                let run = try daemon.client(["run", "--name", "one"] + free + ["berth/default", "echo", "hi"]).finish()
                #expect(run.status == 0 && run.text == "hi", "\(run)")
                #expect(try daemon.field(".AppArmorProfile", "one") == "unconfined")
                #expect(try daemon.field(".ProcessLabel", "one") == "")
            }
        }

        @Test(.enabled(if: canConfine, "AppArmor")) func theProfileOfTheOptionBinds() throws {
            try Daemon.with { (daemon) throws in
                let name = "berth-test-\(UUID().uuidString.prefix(8).lowercased())"
                let file = daemon.scratch.appendingPathComponent(name)
                let rules = ["file", "capability", "signal", "ptrace", "unix", "mount", "umount", "pivot_root"]
                let text = "\(rules.joined(separator: ",\n")),\ndeny /home/** rwklx,\n"
                try "profile \(name) flags=(attach_disconnected,mediate_deleted) {\n\(text)}\n"
                    .write(to: file, atomically: true, encoding: .utf8)
                let parser = "/sbin/apparmor_parser"
                let added = try Command(parser, ["--skip-cache", "--add", file.path], in: daemon.scratch).finish()
                try #require(added.status == 0, "\(added)")
                defer { _ = try? Command(parser, ["--remove", file.path], in: daemon.scratch).finish() }
                let options = ["--name", "one", "--security-opt", "apparmor=\(name)"]
                let words = ["run", "-d"] + options + ["berth/default", "sleep", "1000"]
                #expect(try daemon.client(words).finish().status == 0)
                #expect(try daemon.field(".AppArmorProfile", "one") == name)
                let pid = try daemon.field(".State.Pid", "one")
                let label = try String(contentsOfFile: "/proc/\(pid)/attr/apparmor/current", encoding: .utf8)
                #expect(label.hasPrefix("\(name) (enforce)"))
                #expect(try daemon.ok("exec", "one", "cat", "/proc/self/attr/apparmor/current") == "\(name) (enforce)")
                #expect(try daemon.berth("exec", "one", "ls", "/home/app").status != 0)
                #expect(try daemon.berth("exec", "one", "ls", "/root").status == 0)
                // One that is not loaded: an error before the program runs.
                let absent = ["--security-opt", "apparmor=berth-no-such-profile", "berth/default", "echo", "ran"]
                let outcome = try daemon.client(["run"] + absent).finish()
                #expect(outcome.status != 0 && outcome.output.isEmpty, "\(outcome)")
            }
        }
    }
}
