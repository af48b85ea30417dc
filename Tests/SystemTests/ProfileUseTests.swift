import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// Profiles from learning to enforcement, with the backend that guards.
    @Suite struct ProfileUseTests {
        /// What the workload does: programs, a pipe, a file.
        static let work = "echo hi; ls / >/dev/null; echo x | cat; echo y >/tmp/f; cat /tmp/f"
        static let alone = ["--network", "none"]

        static func learn(_ daemon: Daemon, _ name: String, _ script: String, allow: [String] = []) throws -> Outcome {
            try daemon.client(
                ["profile", "learn", "--name", name, "--rm"] + allow.flatMap { ["--allow", $0] } + alone
                    + ["berth/default", "sh", "-c", script]
            ).finish()
        }

        static func enforced(_ daemon: Daemon, _ name: String, _ script: String, mode: String? = nil) throws -> Outcome
        {
            let options = mode.map { ["--security-opt", "berth.mode=\($0)"] } ?? []
            return try daemon.client(
                ["run", "--rm", "--security-opt", "berth.profile=\(name)"] + options + alone
                    + ["berth/default", "sh", "-c", script]
            ).finish()
        }

        static func denials(_ daemon: Daemon, _ name: String) throws -> [[String: Any]] {
            try daemon.ok("profile", "denials", name, "--format", "json").split(separator: "\n").map { line in
                try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            }
        }

        @Test func whatWasLearnedIsEnforcedWithoutADenial() throws {
            try Daemon.with { daemon in
                let learned = try Self.learn(daemon, "web", Self.work)
                #expect((learned.status, learned.output) == (0, "hi\nx\ny\n"), "\(learned)")
                #expect(learned.errors.contains("learned: execve"))
                let early = try Self.enforced(daemon, "web", Self.work)
                #expect(early.status == 125 && early.errors.contains("not promoted"), "\(early)")
                try daemon.ok("profile", "promote", "web")
                let held = try Self.enforced(daemon, "web", Self.work)
                #expect((held.status, held.output) == (0, "hi\nx\ny\n"), "\(held)")
                #expect(try Self.denials(daemon, "web").isEmpty)
                // What it says does not change by being used.
                #expect(try daemon.ok("profile", "ls", "--format", "{{.State}}") == "promoted")
            }
        }

        /// On the shim's processor, where nothing comes between a call and its answer; and with as many as ever to count on.
        @Test func whatIsLearnedRunsOnOneProcessorAndIsToldOfAll() throws {
            let all = String(ProcessInfo.processInfo.activeProcessorCount)
            let script = "grep Cpus_allowed_list /proc/self/status | cut -f2; nproc; nproc; exec sleep 60"
            try Daemon.with { daemon in
                let words = [
                    "-d", "--name", "one", "--security-opt", "berth.learn=web", "berth/default", "sh", "-c", script,
                ]
                let run = try daemon.client(["run"] + Self.alone + words).finish()
                #expect(run.status == 0, "\(run)")
                try eventually("it has said all") { try daemon.ok("logs", "one").split(separator: "\n").count == 3 }
                let said = try daemon.ok("logs", "one").split(separator: "\n").map(String.init)
                let its = try String(
                    contentsOfFile: "/proc/\(RuleUseTests.shim(daemon, "one"))/status",
                    encoding: .utf8
                )
                .split(separator: "\n").first { $0.hasPrefix("Cpus_allowed_list:") }
                #expect(its?.split(separator: "\t").last.map(String.init) == said[0], "\(said)")
                #expect(Int(said[0]) != nil, "more than one: \(said)")
                #expect(said[1...] == [all, all], "\(said)")
                // A session of its own is no exception, nor is what another program of the shim answers.
                #expect(try daemon.ok("exec", "one", "nproc") == all)
                try daemon.ok("shim", "upgrade", "one")
                #expect(try daemon.ok("exec", "one", "nproc") == all)
                try daemon.ok("rm", "-f", "one")
            }
        }

        @Test func aHostileCallIsRefusedAndNamedWithinASecond() throws {
            try Daemon.with { daemon in
                _ = try Self.learn(daemon, "web", Self.work + "; sleep 0.01")
                try daemon.ok("profile", "promote", "web")
                let before = try daemon.ok("profile", "export", "web")
                let events = try daemon.client(["events", "--filter", "event=denial", "--format", "json"])
                let follower = try daemon.client(["profile", "denials", "-f", "web", "--format", "json"])
                let script = "unshare -m true || echo refused; echo began; sleep 30"
                let id = try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "bad",
                    "--security-opt",
                    "berth.profile=web",
                    "--network",
                    "none",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                try eventually("the call was refused") { try daemon.ok("logs", "bad").contains("began") }
                let refused = Date()
                try eventually("the denial is told") {
                    events.output.contains("\"unshare\"") && follower.output.contains("\"unshare\"")
                }
                #expect(Date().timeIntervalSince(refused) < patience)
                #expect(events.output.contains(id) && events.output.contains("\"denial\""))
                let denial = try #require(
                    try Self.denials(daemon, "web").first { $0["Syscall"] as? String == "unshare" }
                )
                #expect(denial["Container"] as? String == "bad" && denial["Answer"] as? String == "EPERM")
                #expect(denial["Command"] as? String == "unshare" && denial["Mode"] as? String == "enforce")
                #expect(denial["Argument"] as? String == "CLONE_NEWNS")
                let proposal = try daemon.ok("profile", "propose", "web", "--format", "{{.Call}} {{.Danger}}")
                #expect(proposal.contains("unshare:CLONE_NEWNS makes namespaces"))
                // Nothing widens itself.
                #expect(try daemon.ok("profile", "export", "web") == before)
                for command in [events, follower] {
                    command.send(SIGKILL)
                    try command.finish()
                }
                try daemon.ok("rm", "-f", "bad")
            }
        }

        @Test func everyModeDoesWhatItSays() throws {
            try Daemon.with { daemon in
                _ = try Self.learn(daemon, "web", "echo hi")
                try daemon.ok("profile", "promote", "web")
                // A call that the workload has not made: refused, made, or the end.
                let script = "mkdir /tmp/d && echo made; echo end"
                let enforce = try Self.enforced(daemon, "web", script)
                #expect(!enforce.output.contains("made"), "\(enforce)")
                let audit = try Self.enforced(daemon, "web", script, mode: "audit")
                #expect((audit.status, audit.output) == (0, "made\nend\n"), "\(audit)")
                // So is an option of a call of which the profile knows others, which is no unknown call (busybox names itself).
                let listed = try Self.enforced(daemon, "web", "ls / >/dev/null && echo listed", mode: "audit")
                #expect((listed.status, listed.output) == (0, "listed\n"), "\(listed)")
                let audited = try Self.denials(daemon, "web").filter { $0["Mode"] as? String == "audit" }
                let names = audited.filter { $0["Syscall"] as? String == "prctl" }
                #expect(!names.isEmpty && names.allSatisfy { $0["Answer"] as? String == "allowed" }, "\(audited)")
                let kill = try Self.enforced(daemon, "web", script, mode: "kill")
                #expect(!kill.output.contains("made"), "\(kill)")
                let told = try Self.denials(daemon, "web").filter { $0["Syscall"] as? String == "mkdir" }
                #expect(Set(told.compactMap { $0["Mode"] as? String }).isSuperset(of: ["audit"]), "\(told)")
                // Audited, a dangerous call is refused all the same.
                let danger = try Self.enforced(daemon, "web", "unshare -m true && echo made; echo end", mode: "audit")
                #expect(danger.output == "end\n", "\(danger)")
            }
        }

        @Test func whatIsDangerousHasToBeNamed() throws {
            try Daemon.with { daemon in
                let bad = try Self.learn(daemon, "p", "true", allow: ["nonsense"])
                #expect(bad.status == 125 && bad.errors.contains("nonsense"), "\(bad)")
                let named = try Self.learn(daemon, "q", "unshare -m true && echo made", allow: ["unshare:CLONE_NEWNS"])
                // The ceiling lets it through; the kernel wants a capability for it, which is none of the filter's business.
                let shown = try daemon.ok("profile", "show", "q", "--format", "{{.Call}} {{.Argument}} {{.Verdict}}")
                #expect(shown.contains("unshare CLONE_NEWNS allowed"), "\(named) \(shown)")
                let plain = try Self.learn(daemon, "r", "unshare -m true; true")
                let refused = try daemon.ok("profile", "show", "r", "--format", "{{.Call}} {{.Argument}} {{.Verdict}}")
                #expect(refused.contains("unshare CLONE_NEWNS refused (EPERM)"), "\(plain) \(refused)")
            }
        }

        @Test func aManagerThatIsKilledLosesNoCount() throws {
            try Daemon.with { daemon in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                // Each round reads a directory in two calls.
                let script = """
                    i=0; while [ $i -lt 40 ]; do i=$((i+1)); ls / >/dev/null; done; touch /gate/half
                    while [ ! -e /gate/go ]; do :; done
                    while [ $i -lt 80 ]; do i=$((i+1)); ls / >/dev/null; done; touch /gate/end; exec sleep 1
                    """
                try daemon.ok(
                    "run",
                    "-d",
                    "--rm",
                    "--name",
                    "kk",
                    "--security-opt",
                    "berth.learn=p",
                    "--network",
                    "none",
                    "-v",
                    "\(gate.path):/gate",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                func isThere(_ name: String) -> Bool {
                    FileManager.default.fileExists(atPath: gate.appendingPathComponent(name).path)
                }
                try eventually(within: 60, "half of it is done") { isThere("half") }
                try daemon.crash()
                try Data().write(to: gate.appendingPathComponent("go"))
                try eventually(within: 60, "all of it is done") { isThere("end") }
                try daemon.start()
                try eventually(within: 60, "the run is complete") {
                    try daemon.ok("profile", "ls", "--format", "{{.Runs}} {{.IncompleteRuns}}") == "1 0"
                }
                let shown = try daemon.ok("profile", "show", "p", "--format", "{{.Call}} {{.Count}}").split(
                    separator: "\n"
                )
                #expect(shown.contains("getdents64 160"), "\(shown)")
            }
        }

        @Test func badInputIsAnswered() throws {
            try Daemon.with { daemon in
                for (words, status, text) in [
                    (["profile", "show", "none"], 1, "No such profile"),
                    (["profile", "promote", "none"], 1, "No such profile"),
                    (["profile", "rm", "none"], 1, "No such profile"),
                    (["profile", "export", "a b"], 1, "profile name"),
                    (["profile", "learn", "--name", "a/b", "berth/default", "true"], 125, "profile name"),
                    (["run", "--security-opt", "berth.profile=none", "berth/default", "true"], 125, "No such profile"),
                    (
                        ["run", "--security-opt", "berth.profile=none", "--runtime", "native", "berth/default"], 125,
                        "native"
                    ),
                    (["run", "--security-opt", "berth.mode=kill", "berth/default", "true"], 125, "berth.profile"),
                ] as [([String], Int32, String)] {
                    let outcome = try daemon.client(words).finish()
                    #expect(outcome.status == status && outcome.errors.contains(text), "\(words): \(outcome)")
                }
                let document = daemon.scratch.appendingPathComponent("profile.json")
                try Data("{}".utf8).write(to: document)
                #expect(try daemon.berth("profile", "import", "p", document.path).status == 1)
                _ = try Self.learn(daemon, "p", "true")
                try daemon.ok("profile", "export", "--learned", "-o", document.path, "p")
                let again = try daemon.berth("profile", "import", "p", document.path)
                #expect(again.status == 1 && again.errors.contains("there already"), "\(again)")
                try daemon.ok("profile", "import", "q", document.path)
                try daemon.ok("profile", "promote", "q")
                try daemon.ok(
                    "create",
                    "--name",
                    "user",
                    "--security-opt",
                    "berth.profile=q",
                    "--network",
                    "none",
                    "berth/default",
                    "true"
                )
                let used = try daemon.berth("profile", "rm", "q")
                #expect(used.status == 1 && used.errors.contains("'user'"), "\(used)")
                // One that runs is incomplete, and says so.
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "runs",
                    "--security-opt",
                    "berth.learn=s",
                    "--network",
                    "none",
                    "berth/default",
                    "sleep",
                    "1000"
                )
                let cut = try daemon.berth("profile", "promote", "s")
                #expect(
                    cut.status == 1 && (cut.errors.contains("incomplete") || cut.errors.contains("allows nothing")),
                    "\(cut)"
                )
                try daemon.ok("rm", "-f", "user", "runs")
                try daemon.ok("profile", "rm", "-f", "p", "q", "s")
                #expect(try daemon.ok("profile", "ls", "-q").isEmpty)
            }
        }

        @Test func wrongProfilesAreExplained() throws {
            try Daemon.with { daemon in
                func file(_ name: String, _ text: String) throws -> String {
                    let file = daemon.scratch.appendingPathComponent(name)
                    try Data(text.utf8).write(to: file)
                    return file.path
                }
                let rule =
                    #"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read","wriet"],"action":"SCMP_ACT_ALLOW"}]}"#
                let good = try file("good.json", rule)
                for (path, text) in [
                    (try file("empty.json", "{}"), "seccomp profile: 'defaultAction' is missing"),
                    (try file("none.json", "nonsense"), "seccomp profile: not valid JSON"),
                    (try file("deep.json", String(repeating: "[", count: 100_000)), "seccomp profile: not valid JSON"),
                    (try file("action.json", rule.replacing("ALLOW", with: "FOO")), "'syscalls[0].action'"),
                    (try file("large.json", rule + String(repeating: " ", count: 1 << 20)), "more than 1048576 bytes"),
                    (try file("huge.json", rule + String(repeating: " ", count: 17 << 20)), "huge.json"),
                    (daemon.scratch.path, "directory"), ("/nowhere", "open '/nowhere'"),
                ] {
                    let outcome = try daemon.client(["profile", "import", "p", path]).finish()
                    #expect(outcome.status != 0 && outcome.errors.contains(text), "\(path): \(outcome)")
                    for word in ["DecodingError", "engine:", "--import"] { #expect(!outcome.errors.contains(word)) }
                }
                #expect(try daemon.ok("profile", "ls", "-q").isEmpty)
                let imported = try daemon.berth("profile", "import", "p", good)
                #expect(imported.status == 0 && imported.errors.contains("wriet") && !imported.errors.contains("read"))
                let again = try daemon.berth("profile", "import", "p", good)
                #expect(again.status == 1 && again.errors.contains("--replace"), "\(again)")
                // Under this one no program starts.
                let early = try daemon.berth("profile", "promote", "p")
                #expect(early.status == 1 && early.errors.contains("execve"), "\(early)")
                try daemon.ok("profile", "allow", "p", "execve")
                try daemon.ok("profile", "promote", "p")
                try daemon.ok("profile", "promote", "p")
                let nothing =
                    #"{"version":1,"name":"n","state":"learned","architecture":"SCMP_ARCH_X86_64","calls":{}}"#
                try Data(nothing.utf8).write(to: daemon.root.appendingPathComponent("profiles/n.json"))
                let export = try daemon.berth("profile", "export", "n")
                #expect(export.status == 1 && export.errors.contains("allows nothing"), "\(export)")
            }
        }

        @Test func aDamagedProfileIsSetAside() throws {
            try Daemon.with { daemon in
                _ = try Self.learn(daemon, "p", "true")
                try daemon.ok("profile", "promote", "p")
                let file = daemon.root.appendingPathComponent("profiles/p.promoted.json")
                var bytes = try Data(contentsOf: file)
                bytes.removeLast(20)
                try bytes.write(to: file)
                let outcome = try Self.enforced(daemon, "p", "true")
                #expect(outcome.status == 125 && outcome.errors.contains("not promoted"), "\(outcome)")
                #expect(FileManager.default.fileExists(atPath: file.path + ".bad"))
                #expect(try daemon.berth("info").errors.contains("p.promoted.json"))
            }
        }
    }
}
