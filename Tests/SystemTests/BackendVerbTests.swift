import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// `berth backend ls` and `info`: what is right is shown, and what is wrong with a backend is said, with what would be right.
    @Suite struct BackendVerbTests {
        /// Backends of a configuration, each wrong in its own way, and what is said of it.
        private static let wrong = [
            (name: "gone", entry: "program = \"/no/such/program\"", text: "'/no/such/program' is no file"),
            (name: "folder", entry: "program = \"/etc\"", text: "'/etc' is no file"),
            (name: "plain", entry: "program = \"/etc/passwd\"", text: "'/etc/passwd' is not executable"),
            (name: "stranger", entry: "program = \"/bin/true\"", text: "Another's shim v2 program is named by 'shim'"),
            (name: "shimless", entry: "shim = \"/no/such/shim\"", text: "'/no/such/shim' is no file"),
            (name: "runtimeless", entry: "runtime = \"/etc/passwd\"", text: "'/etc/passwd' is not executable"),
            (name: "runtimenowhere", entry: "runtime = \"no-such-runc\"", text: "'no-such-runc' is not in /usr"),
            (name: "shimnowhere", entry: "shim = \"no-such-shim\"", text: "'no-such-shim' is not in /usr"),
            (name: "silent", entry: "program = \"SILENT\"", text: "did not say within"),
        ]

        @Test func whatIsWrongWithABackendIsSaid() throws {
            try Daemon.with(image: false) { (daemon) throws in
                let silent = daemon.scratch.appendingPathComponent("silent")
                try Data("#!/bin/sh\nexec sleep 1000\n".utf8).write(to: silent)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: silent.path)
                let tables = Self.wrong.map {
                    "[backends.\($0.name)]\n\($0.entry.replacingOccurrences(of: "SILENT", with: silent.path))\n"
                }
                let file = daemon.scratch.appendingPathComponent("berthd.toml")
                try Data(tables.joined().utf8).write(to: file)
                try daemon.stop()
                try daemon.start(["--config", file.path])
                for (name, _, text) in Self.wrong {
                    let info = try daemon.berth("backend", "info", name)
                    #expect(info.status == 1 && info.output.contains("Error:"), "\(name): \(info)")
                    #expect(info.output.contains(text), "\(name): \(info)")
                }
                // The list is there, whatever is wrong with one of them.
                let rows = try daemon.ok("backend", "ls", "--format", "{{.Name}}: {{.Capabilities}}").split(
                    separator: "\n"
                )
                for (name, _, text) in Self.wrong {
                    #expect(rows.contains { $0.hasPrefix("\(name): ") && $0.contains(text) }, "\(name): \(rows)")
                }
                #expect(rows.contains { $0.hasPrefix("native: ") && $0.contains("idmap") }, "\(rows)")
            }
        }

        /// `--check` knows it as well: what is missing of a backend stops no manager, unless all containers are to get it.
        @Test(arguments: ["native", "shimless"]) func theCheckNamesWhatIsMissing(standard: String) throws {
            try Daemon.with(image: false) { (daemon) throws in
                let wrong = Self.wrong.filter { !["stranger", "silent"].contains($0.name) }
                let file = daemon.scratch.appendingPathComponent("berthd.toml")
                let tables = wrong.map { "[backends.\($0.name)]\n\($0.entry)\n" }
                try Data("default-backend = \"\(standard)\"\n\(tables.joined())".utf8).write(to: file)
                let check = try Command(
                    Binaries.path("berthd"),
                    ["--check", "--config", file.path, "--root", daemon.root.path, "--state", daemon.state.path],
                    in: daemon.scratch
                ).finish()
                let lines = check.output.split(separator: "\n")
                for (name, _, text) in wrong {
                    let word = name == standard ? "bad " : "missing "
                    let line = lines.first { $0.contains(" backend \(name) ") }
                    #expect(line?.hasPrefix(word) == true && line?.contains(text) == true, "\(name): \(check)")
                }
                let bad = lines.filter { $0.hasPrefix("bad ") && $0.contains(" backend ") }
                #expect(bad.count == (standard == "native" ? 0 : 1), "\(check)")
            }
        }

        /// A program that is missing is the backend's own, and no command of the container that was not found.
        @Test func aBackendThatCannotBeStartedIsToBlame() throws {
            try Daemon.with { (daemon) throws in
                let wrong = Self.wrong.filter { !["stranger", "silent"].contains($0.name) }
                let file = daemon.scratch.appendingPathComponent("berthd.toml")
                try Data(wrong.map { "[backends.\($0.name)]\n\($0.entry)\n" }.joined().utf8).write(to: file)
                try daemon.stop()
                try daemon.start(["--config", file.path])
                for (name, _, _) in wrong {
                    let run = try daemon.berth("run", "--name", name, "--runtime", name, "berth/default", "true")
                    #expect(run.status == 125 && run.errors.contains("backend"), "\(name): \(run)")
                    // What can be asked before is refused before there is a container.
                    let isThere = try daemon.ok("ps", "-aq", "-f", "name=^\(name)$") != ""
                    if isThere { #expect(try daemon.field(".State.ExitCode", name) == "125") }
                }
            }
        }

        /// A backend may be a script that becomes a shim.
        @Test func aBackendMayBeAScript() throws {
            try Daemon.with { (daemon) throws in
                let script = daemon.scratch.appendingPathComponent("script")
                try Data("#!/bin/sh\nexec \(Binaries.path("berth-shim-native")) \"$@\"\n".utf8).write(to: script)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
                let backend = ["--backend", "script=\(script.path)"]
                try daemon.stop()
                try daemon.start(backend)
                try daemon.ok("run", "-d", "--name", "one", "--runtime", "script", "berth/default", "sleep", "1000")
                let pid = try daemon.field(".State.Pid", "one")
                try daemon.crash()
                try daemon.start(backend)
                #expect(try daemon.field(".State.Pid", "one") == pid)
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                try daemon.ok("rm", "-f", "one")
            }
        }

        @Test func whatABackendIsIsShown() throws {
            try Daemon.with(image: false) { (daemon) throws in
                let info = try daemon.ok("backend", "info", "native")
                for line in ["Name:", "native (default)", "Source:", "found", "Capabilities:", "upgrade"] {
                    #expect(info.contains(line), "\(line): \(info)")
                }
                let program = try daemon.ok("backend", "info", "--format", "{{.Program}}", "native")
                #expect(program == Binaries.path("berth-shim-native"))
                let json = try daemon.ok("backend", "info", "--format", "json", "native")
                let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
                #expect(object?["Name"] as? String == "native" && object?["Version"] as? String == "0.1.0", "\(json)")
                let unknown = try daemon.berth("backend", "info", "nobody")
                #expect(
                    unknown.status == 1 && unknown.errors.contains("no such backend: nobody; there are"),
                    "\(unknown)"
                )
                #expect(unknown.errors.contains("native"), "\(unknown)")
                #expect(try daemon.ok("backend", "ls", "--quiet").split(separator: "\n").contains("native"))
                try daemon.stop()
                let away = try Command(
                    Binaries.path("berth"),
                    ["--host", "unix://\(daemon.socket)", "backend", "info", "native"],
                    in: daemon.scratch,
                    environment: ["BERTH_PATIENCE": "0"]
                ).finish()
                #expect(away.status == 125 && away.errors.contains(daemon.socket), "\(away)")
                try daemon.start()
            }
        }
    }
}
