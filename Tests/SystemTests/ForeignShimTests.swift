import Foundation
import Kernel
import SystemFixture
import Testing

extension SystemTests {
    /// Another's shim that dies, stands still or hangs, and the process of ours before it: nothing is left, and what is shown is true.
    ///
    /// That nothing is left, neither a process nor a mount nor a group, is what the fixture looks at when a test ends.
    @Suite struct ForeignShimTests {
        /// The two processes of a container.
        private struct Shims {
            /// The process of ours.
            let own: Int32
            /// The foreign shim.
            let foreign: Int32

            init(_ daemon: Daemon, _ name: String) throws {
                let id = try daemon.field(".Id", name)
                let all = HostState.processes(of: daemon.state).filter { $0.command.contains(" -id \(id) ") }
                func only(_ program: String) throws -> Int32 {
                    let found = all.filter { $0.command.hasPrefix(program + " ") }
                    try #require(found.count == 1, "\(program): \(all)")
                    return found[0].pid
                }
                own = try only(Binaries.path("berth-shim-foreign"))
                foreign = try only(BackendChoiceTests.shim)
            }
        }

        private static func run(
            _ daemon: Daemon,
            _ name: String,
            _ options: String...,
            runtime: String = "runc-foreign",
            script: String = "sleep 1000"
        ) throws -> Command {
            let words = ["run", "-d", "--name", name, "--runtime", runtime] + options
            return try daemon.client(words + ["berth/default", "sh", "-c", script])
        }

        /// What is wrong, and with whom: signals for the process of ours and for the foreign shim.
        static let faults: [(own: Int32, foreign: Int32, policy: String)] = [
            (SIGKILL, 0, "adopt"), (SIGKILL, 0, "kill"), (SIGSTOP, 0, "adopt"), (0, SIGSTOP, "adopt"),
            (0, SIGKILL, "adopt"),
            (SIGSTOP, SIGSTOP, "adopt"), (SIGKILL, SIGSTOP, "adopt"), (SIGKILL, SIGSTOP, "kill"),
            (SIGKILL, SIGKILL, "adopt"), (SIGSTOP, SIGKILL, "adopt"),
        ]

        /// Both programs in every way of being wrong, and the foreign one's commands that hang, all at once.
        @Test(.enabled(if: BackendChoiceTests.areInstalled)) func whatIsLeftIsRemoved() throws {
            try Self.withScripts { (daemon, linger) throws in
                let hanging = try Self.run(daemon, "start", runtime: "hang-start")
                let starts = try Self.faults.enumerated().map { number, fault in
                    try Self.run(daemon, "f\(number)", "--shim-death", fault.policy)
                }
                for start in try starts + [Self.run(daemon, "delete", runtime: "hang-delete")] {
                    let outcome = try start.finish(within: 60)
                    #expect(outcome.status == 0, "\(outcome)")
                }
                for (number, fault) in Self.faults.enumerated() {
                    let shims = try Shims(daemon, "f\(number)")
                    if fault.foreign != 0 { #expect(kill(shims.foreign, fault.foreign) == 0) }
                    if fault.own != 0 { #expect(kill(shims.own, fault.own) == 0) }
                }
                let names = Self.faults.indices.map { "f\($0)" } + ["delete"]
                let removals = try names.map { try daemon.client(["rm", "-f", $0]) }
                for (name, removal) in zip(names, removals) {
                    let outcome = try removal.finish(within: 40)
                    #expect(outcome.status == 0, "\(name): \(outcome)")
                }
                #expect(try hanging.finish(within: 60).status == 125)
                let left = HostState.processes(of: daemon.scratch).filter { $0.command.hasPrefix(linger + " ") }
                #expect(left.isEmpty, "\(left)")
            }
        }

        /// As containerd does: what nobody supervises any more is ended, and that is how it is shown.
        @Test(.enabled(if: BackendChoiceTests.areInstalled))
        func theDeathOfTheForeignShimIsSeenAtOnce() throws {
            try BackendChoiceTests.with { daemon in
                let script = "echo here; exec sleep 1000"
                let start = try Self.run(daemon, "one", "--restart", "on-failure:1", script: script).finish()
                try #require(start.status == 0, "\(start)")
                let first = try daemon.field(".State.Pid", "one")
                try daemon.ok("exec", "-d", "one", "sleep", "1000")
                try eventually("its output") { try daemon.ok("logs", "one") == "here" }
                #expect(kill(try Shims(daemon, "one").foreign, SIGKILL) == 0)
                try eventually(within: 10, "it runs again") {
                    try daemon.field(".State.Pid", "one") != first
                        && daemon.field(".State.Status", "one") == "running"
                }
                #expect(try daemon.field(".RestartCount", "one") == "1")
                #expect(kill(try Shims(daemon, "one").foreign, SIGKILL) == 0)
                #expect(try daemon.ok("wait", "one") == "137")
                #expect(try daemon.field(".State.Status", "one") == "exited")
                #expect(try daemon.ok("logs", "one") == "here\nhere")
                try daemon.ok("rm", "one")
            }
        }

        /// The pipes outlive the process of ours, whose successor reads on: with the manager, or when that comes back.
        @Test(.enabled(if: BackendChoiceTests.areInstalled), arguments: [true, false])
        func outputGoesOnAfterADeath(managerIsThere: Bool) throws {
            try BackendChoiceTests.with { daemon in
                let folder = daemon.scratch.appendingPathComponent("folder")
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                let count = 100_000
                let script = "echo 0; until [ -e /folder/go ]; do sleep 0.05; done; seq \(count); exit 6"
                let start = try Self.run(daemon, "one", "-v", "\(folder.path):/folder", script: script).finish()
                try #require(start.status == 0, "\(start)")
                try eventually("it has begun") { try daemon.ok("logs", "one") == "0" }
                let shims = try Shims(daemon, "one")
                if !managerIsThere { try daemon.crash() }
                #expect(kill(shims.own, SIGKILL) == 0)
                try Data().write(to: folder.appendingPathComponent("go"))
                if !managerIsThere { try daemon.start(["--config", BackendChoiceTests.configuration(daemon).path]) }
                #expect(try daemon.ok("wait", "one") == "6")
                #expect(try daemon.field(".State.ExitCode", "one") == "6")
                let lines = try daemon.ok("logs", "one").split(separator: "\n")
                #expect(lines.elementsEqual((0...count).lazy.map { Substring(String($0)) }))
            }
        }

        /// Nobody but this shim takes the foreign one's events: neither its death nor its replacement stops the foreign shim.
        @Test(.enabled(if: BackendChoiceTests.areInstalled)) func eventsAreTakenAlsoAfterADeath() throws {
            try BackendChoiceTests.with { daemon in
                let start = try Self.run(daemon, "one").finish()
                try #require(start.status == 0, "\(start)")
                let id = try daemon.field(".Id", "one")
                let foreign = try Shims(daemon, "one").foreign
                // Whatever else of ours is there for this container would go as well.
                func ours() -> [Int32] {
                    HostState.processes(of: daemon.state).filter { process in
                        process.command.hasPrefix(Binaries.path("berth-shim-foreign") + " ")
                            && process.command.contains(id)
                    }.map(\.pid)
                }
                let dead = ours()
                try #require(!dead.isEmpty)
                for pid in dead { #expect(kill(pid, SIGKILL) == 0) }
                try eventually("a successor answers") {
                    try !Set(ours()).subtracting(dead).isEmpty
                        && daemon.client(["exec", "one", "true"]).finish().status == 0
                }
                // The foreign shim keeps those of somewhat more than forty sessions.
                for _ in 0..<8 {
                    let sessions = try (0..<8).map { _ in try daemon.client(["exec", "one", "true"]) }
                    for session in sessions {
                        let outcome = try session.finish(within: 60)
                        try #require(outcome.status == 0, "\(outcome)")
                    }
                }
                #expect(try Shims(daemon, "one").foreign == foreign)
                try daemon.ok("rm", "-f", "one")
            }
        }

        private struct Probe: Decodable {
            var exitCode: Int
            var output: String
            private enum CodingKeys: String, CodingKey {
                case exitCode = "ExitCode"
                case output = "Output"
            }
        }

        private static func probes(_ daemon: Daemon, _ name: String) throws -> [Probe] {
            let json = try daemon.ok("inspect", "--format", "{{json .State.Health.Log}}", name)
            return try JSONDecoder().decode([Probe].self, from: Data(json.utf8))
        }

        /// Probes are not this shim's children, and end at once, late, with a failure or not in time.
        @Test(.enabled(if: BackendChoiceTests.areInstalled)) func healthIsKnown() throws {
            try BackendChoiceTests.with { daemon in
                for (name, script, time, status, code) in [
                    ("quick", "echo seen", "10s", "healthy", 0), ("slow", "sleep 0.3; echo seen", "10s", "healthy", 0),
                    ("bad", "echo seen; exit 7", "10s", "unhealthy", 7),
                    ("late", "echo seen; exec sleep 1000", "1s", "unhealthy", -1),
                ] {
                    let check = [
                        "--health-cmd", script, "--health-interval", "200ms", "--health-retries", "1",
                        "--health-timeout", time,
                    ]
                    let words = ["run", "-d", "--name", name, "--runtime", "runc-foreign"] + check
                    try daemon.client(words + ["berth/default", "sleep", "1000"]).finish()
                    try eventually("\(name) is looked at") { try Self.probes(daemon, name).count >= 2 }
                    #expect(try daemon.field(".State.Health.Status", name) == status)
                    for probe in try Self.probes(daemon, name) {
                        #expect(probe.exitCode == code && probe.output.hasSuffix("seen\n"), "\(name): \(probe)")
                    }
                }
            }
        }

        /// A probe that is given up, by a pause or by a death, is still there in the foreign shim when the next one begins.
        @Test(.enabled(if: BackendChoiceTests.areInstalled)) func aProbeThatWasGivenUpIsBegunAnew() throws {
            try BackendChoiceTests.with { daemon in
                let script = "echo >>/probes; until [ -e /go ]; do sleep 0.05; done"
                let start = try Self.run(
                    daemon,
                    "one",
                    "--health-cmd",
                    script,
                    "--health-interval",
                    "200ms",
                    "--health-retries",
                    "1"
                ).finish()
                try #require(start.status == 0, "\(start)")
                func probes(_ count: Int) throws {
                    try eventually("probe \(count)") {
                        try daemon.client(["exec", "one", "wc", "-l", "/probes"]).finish().output
                            == "\(count) /probes\n"
                    }
                }
                try probes(1)
                try daemon.ok("pause", "one")
                try daemon.ok("unpause", "one")
                try probes(2)
                #expect(kill(try Shims(daemon, "one").own, SIGKILL) == 0)
                try probes(3)
                try daemon.ok("exec", "one", "touch", "/go")
                try eventually("it is healthy") { try daemon.field(".State.Health.Status", "one") == "healthy" }
                let seen = try Self.probes(daemon, "one")
                #expect(seen.allSatisfy { $0.exitCode == 0 }, "\(seen)")
            }
        }

        /// A manager that knows the foreign shim, and two scripts in its place of which one hangs in `start` and one in `delete`, with a
        /// helper in a group of its own.
        private static func withScripts(_ test: (Daemon, String) throws -> Void) throws {
            try Daemon.with { (daemon) throws in
                // Named so that the fixture finds it wherever it goes.
                let linger = daemon.scratch.appendingPathComponent("linger")
                try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: linger.path)
                var text = "[backends.runc-foreign]\nshim = \"\(BackendChoiceTests.shim)\"\n"
                for command in ["start", "delete"] {
                    let script = daemon.scratch.appendingPathComponent(command)
                    let body = """
                        #!/bin/bash
                        [ "${@: -1}" = \(command) ] && { set -m; \(linger.path) 1000 & wait; }
                        exec \(BackendChoiceTests.shim) "$@"

                        """
                    try Data(body.utf8).write(to: script)
                    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
                    text += "[backends.hang-\(command)]\nshim = \"\(script.path)\"\n"
                }
                let file = BackendChoiceTests.configuration(daemon)
                try Data(text.utf8).write(to: file)
                try daemon.stop()
                try daemon.start(["--config", file.path])
                try test(daemon, linger.path)
            }
        }

        /// A manager that knows a script as another's shim.
        private static func with(shim body: String, _ test: (Daemon) throws -> Void) throws {
            try Daemon.with { (daemon) throws in
                let script = daemon.scratch.appendingPathComponent("script")
                try Data("#!/bin/bash\n\(body)\n".utf8).write(to: script)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
                let file = BackendChoiceTests.configuration(daemon)
                try Data("[backends.script]\nshim = \"\(script.path)\"\n".utf8).write(to: file)
                try daemon.stop()
                try daemon.start(["--config", file.path])
                try test(daemon)
            }
        }

        /// What a foreign shim writes into its log without end is bounded also while there is no manager.
        @Test(.enabled(if: BackendChoiceTests.areInstalled)) func aFloodIntoTheLogIsCut() throws {
            // The pipe `log` is in the working directory.
            let body = """
                [ "${@: -1}" = start ] && { until [ -e ${0%/*}/go ]; do sleep 0.05; done
                    head -c 4194304 /dev/zero >log; touch ${0%/*}/over; } >/dev/null 2>&1 &
                exec \(BackendChoiceTests.shim) "$@"
                """
            try Self.with(shim: body) { daemon in
                let start = try Self.run(daemon, "one", runtime: "script").finish()
                try #require(start.status == 0, "\(start)")
                let id = try daemon.field(".Id", "one")
                try daemon.crash()
                try Data().write(to: daemon.scratch.appendingPathComponent("go"))
                let over = daemon.scratch.appendingPathComponent("over").path
                try eventually("all is written") { FileManager.default.fileExists(atPath: over) }
                let log = daemon.state.appendingPathComponent("containers/\(id)/shim.log")
                try eventually("it is cut") { try ShimLogFile(log).isCut }
                #expect(try ShimLogFile(log).size <= 2 << 20)
                try daemon.start(["--config", BackendChoiceTests.configuration(daemon).path])
                #expect(try daemon.field(".State.Status", "one") == "running")
                try daemon.ok("rm", "-f", "one")
            }
        }

        /// What a foreign shim prints in place of an address is shown as text.
        @Test(arguments: [0, 3]) func whatItPrintsIsEscaped(status: Int) throws {
            try Self.with(shim: "printf 'no \\033[31m\\001\\377 address'; exit \(status)") { daemon in
                let outcome = try Self.run(daemon, "one", runtime: "script").finish()
                #expect(outcome.status == 125 && outcome.errors.contains(#"no \u{1b}[31m\u{1}"#), "\(outcome)")
                #expect(outcome.errors.contains("backend 'script'"), "\(outcome)")
                let isPlain = outcome.errors.unicodeScalars.allSatisfy { $0 == "\n" || $0.value >= 0x20 }
                #expect(isPlain, "\(outcome.errors.debugDescription)")
            }
        }

        /// It is the runtime that is missing, not the command, and the error says whose.
        @Test(.enabled(if: BackendChoiceTests.areInstalled), arguments: ["foreign", "oci"])
        func aRuntimeThatIsMissingIsNamed(backend: String) throws {
            try Daemon.with { (daemon) throws in
                let shim = backend == "foreign" ? "shim = \"\(BackendChoiceTests.shim)\"\n" : ""
                let file = BackendChoiceTests.configuration(daemon)
                try Data("[backends.u]\n\(shim)runtime = \"/nonexistent/runc\"\n".utf8).write(to: file)
                try daemon.stop()
                try daemon.start(["--config", file.path])
                let words = ["run", "--rm", "--runtime", "u", "berth/default", "true"]
                let outcome = try daemon.client(words).finish()
                #expect(outcome.status == 125 && outcome.errors.contains("'/nonexistent/runc'"), "\(outcome)")
                #expect(outcome.errors.contains("backend 'u'"), "\(outcome)")
            }
        }

        /// What somebody has mounted in a bundle does not keep its container, and nothing outside of it is unmounted.
        @Test func whatIsMountedInABundleIsUnmounted() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let id = try daemon.field(".Id", "one")
                let (bundle, outside) = (
                    daemon.state.appendingPathComponent("containers/\(id)"),
                    daemon.scratch.appendingPathComponent("outside")
                )
                let script = """
                    set -e
                    mkdir "$0/a b" "$1"
                    mount -t tmpfs berth-test "$1"
                    mount -t tmpfs berth-test "$0/a b"
                    mkdir "$0/a b/c"
                    mount -t tmpfs berth-test "$0/a b/c"
                    mount -t tmpfs berth-test "$0/a b"
                    ln -s "$1" "$0/link"
                    """
                let made = try Command("sh", ["-c", script, bundle.path, outside.path], in: daemon.scratch).finish()
                try #require(made.status == 0, "\(made)")
                defer { _ = try? Command("umount", [outside.path], in: daemon.scratch).finish() }
                let removal = try daemon.client(["rm", "-f", "one"]).finish(within: 30)
                #expect(removal.status == 0, "\(removal)")
                #expect(!FileManager.default.fileExists(atPath: bundle.path))
                #expect(try HostState.mounts(of: daemon.scratch).contains { $0.contains(" \(outside.path) ") })
            }
        }

        /// A program that is no backend fails its container, and the error says which backend it was meant for.
        @Test func aProgramThatIsNoBackendIsNamed() throws {
            try Daemon.with { (daemon) throws in
                try daemon.stop()
                try daemon.start(["--backend", "nothing=/bin/true"])
                for options in [[], ["--userns", "host"]] {
                    let words = ["run", "--rm", "--runtime", "nothing"] + options
                    let outcome = try daemon.client(words + ["berth/default", "true"]).finish()
                    #expect(outcome.status == 125 && outcome.errors.contains("backend 'nothing'"), "\(outcome)")
                }
            }
        }

        /// Asked what it can, a backend leaves what it has started: all of it is ended.
        @Test(arguments: ["wait", "echo"])
        func aBackendThatIsAskedLeavesNothing(end: String) throws {
            let environment = ["BERTH_START_DEADLINE": "1"]
            try Daemon.with(executable: "berthd-faults", environment: environment) { (daemon) throws in
                let script = daemon.scratch.appendingPathComponent("backend")
                let linger = daemon.scratch.appendingPathComponent("linger")
                try FileManager.default.copyItem(atPath: "/bin/sleep", toPath: linger.path)
                let text = "#!/bin/bash\nset -m\n\(linger.path) 1000 >/dev/null &\n\(end)\n"
                try Data(text.utf8).write(to: script)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path)
                try daemon.stop()
                let words = ["--backend", "strange=\(script.path)"]
                try daemon.start(words, executable: "berthd-faults", environment: environment)
                #expect(try daemon.berth("backend", "info", "strange").status == 1)
                let left = HostState.processes(of: daemon.scratch).filter { $0.command.hasPrefix(linger.path) }
                #expect(left.isEmpty, "\(left)")
            }
        }
    }
}
