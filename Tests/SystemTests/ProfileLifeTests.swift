import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// Profiles that are removed, that nobody could learn of, and what is no way around them.
    @Suite struct ProfileLifeTests {
        private static let held = ["--security-opt", "berth.profile=web"] + ProfileUseTests.alone

        private func shown(_ daemon: Daemon, _ name: String) throws -> String {
            try daemon.ok("profile", "show", name, "--format", "{{.Call}} {{.Argument}} {{.Verdict}}")
        }

        @Test func aSessionIsNoWayAroundAProfile() throws {
            try Daemon.with { daemon in
                _ = try ProfileUseTests.learn(daemon, "web", "true; sleep 0.01")
                try daemon.ok("profile", "promote", "web")
                for (name, option) in [("held", "berth.profile=web"), ("pupil", "berth.learn=other")] {
                    let options = ["-d", "--name", name, "--security-opt", option] + ProfileUseTests.alone
                    let run = try daemon.client(["run"] + options + ["berth/default", "sleep", "1000"]).finish()
                    #expect(run.status == 0, "\(run)")
                    let session = try daemon.client(["exec", "--privileged", name, "true"]).finish()
                    #expect(session.status == 1 && session.errors.contains("profile '"), "\(session)")
                }
                #expect(try daemon.berth("exec", "held", "true").status == 0)
                try daemon.ok("rm", "-f", "held", "pupil")
            }
        }

        /// What the filter's own set-up takes is there before the limits.
        @Test func smallLimitsAreTheProgramsAlone() throws {
            try Daemon.with { daemon in
                let run = ["run", "--network", "none", "--runtime", "restricted", "--ulimit"]
                let memory = try daemon.client(run + ["as=30000000", "--rm", "berth/default", "true"]).finish()
                #expect(memory.status == 0, "\(memory)")
                let file = try daemon.client(
                    run + ["fsize=0", "-d", "--name", "one", "berth/default", "sleep", "1000"]
                ).finish()
                #expect(file.status == 0, "\(file)")
                #expect(try daemon.ok("exec", "one", "echo", "inside") == "inside")
            }
        }

        /// Half a run would look like a whole one.
        @Test func aProfileThatLearnsNowIsNotReplaced() throws {
            try Daemon.with { daemon in
                let words = ["run", "-d", "--network", "none", "--name", "pupil", "--security-opt", "berth.learn=web"]
                #expect(try daemon.client(words + ["berth/default", "sleep", "1000"]).finish().status == 0)
                let document = daemon.scratch.appendingPathComponent("web.json").path
                try eventually("something is learned") { try daemon.berth("profile", "export", "web").status == 0 }
                try Data(try daemon.ok("profile", "export", "web").utf8).write(to: URL(fileURLWithPath: document))
                let refused = try daemon.berth("profile", "import", "--replace", "web", document)
                #expect(refused.status != 0 && refused.errors.contains("pupil"), "\(refused)")
                try daemon.ok("rm", "-f", "pupil")
                try daemon.ok("profile", "import", "--replace", "web", document)
            }
        }

        /// A profile of a newer program hides no other.
        @Test func aProfileThatCannotBeReadIsListedWithTheReason() throws {
            try Daemon.with { daemon in
                let learn = ["profile", "learn", "--rm", "--network", "none", "--name", "web", "berth/default", "true"]
                #expect(try daemon.client(learn).finish().status == 0)
                let newer = daemon.root.appendingPathComponent("profiles/newer.json")
                try Data("{\"version\": 99, \"name\": \"newer\"}\n".utf8).write(to: newer)
                let rows = try daemon.ok("profile", "ls", "--format", "{{.Name}} {{.State}}").split(separator: "\n")
                #expect(rows.contains("web learned") && rows.contains { $0.hasPrefix("newer unreadable: ") }, "\(rows)")
            }
        }

        @Test func aRunThatNeverBeganIsNothingToPromote() throws {
            try Daemon.with { daemon in
                for (program, code) in [("/no/such", 127), ("/etc/passwd", 126)] as [(String, Int32)] {
                    let words =
                        ["profile", "learn", "--name", "web", "--rm", "--allow", "bpf"] + ProfileUseTests.alone
                    let failed = try daemon.client(words + ["berth/default", program]).finish()
                    #expect(failed.status == code, "\(failed)")
                    // Nothing but what every profile allows.
                    #expect(try daemon.ok("profile", "ls", "--format", "{{.Calls}} {{.IncompleteRuns}}") == "4 0")
                    let promoted = try daemon.berth("profile", "promote", "web")
                    #expect(promoted.status == 1 && promoted.errors.contains("never began"), "\(promoted)")
                }
                let shown = try daemon.ok("profile", "show", "web")
                #expect(shown.contains("never began") && !shown.contains("bpf"), "\(shown)")
                // One that begins is learned of, whatever its code, and the others stand in nobody's way.
                let learned = try ProfileUseTests.learn(daemon, "web", "exit 127")
                #expect(learned.status == 127 && !learned.errors.contains("never began"), "\(learned)")
                #expect(try daemon.ok("profile", "ls", "--format", "{{.Runs}} {{.IncompleteRuns}}") == "3 0")
                try daemon.ok("profile", "promote", "web")
            }
        }

        /// With manager and shim nobody answers the calls that are made, so the run has taught only a part of them.
        @Test func aRunThatNobodyHeardForAWhileIsIncomplete() throws {
            try Daemon.with { daemon in
                let options = ["-d", "--name", "pupil", "--security-opt", "berth.learn=web"] + ProfileUseTests.alone
                let run = try daemon.client(["run"] + options + ["berth/default", "sleep", "1000"]).finish()
                try #require(run.status == 0, "\(run)")
                let shim = HostState.processes(of: daemon.state).first { $0.command.contains("berth-shim-restricted") }
                // A call that nobody answers fails: the program would end by itself before it sleeps.
                let pid = try daemon.field(".State.Pid", "pupil")
                try eventually("it sleeps") {
                    try String(contentsOfFile: "/proc/\(pid)/wchan", encoding: .utf8).contains("nanosleep")
                }
                try daemon.crash()
                kill(try #require(shim).pid, SIGKILL)
                try daemon.start()
                // An older kernel does not tell how a process has ended that is nobody's child.
                let code = try daemon.ok("wait", "pupil")
                #expect(["137", "255"].contains(code))
                #expect(try daemon.ok("profile", "ls", "--format", "{{.Runs}} {{.IncompleteRuns}}") == "1 1")
                try daemon.ok("rm", "pupil")
            }
        }

        @Test func whatCouldNotBeStartedAgainIsNotStopped() throws {
            try Daemon.with { daemon in
                _ = try ProfileUseTests.learn(daemon, "web", "true; sleep 0.01")
                try daemon.ok("profile", "promote", "web")
                let place = daemon.scratch.appendingPathComponent("data")
                try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
                let held = try daemon.client(
                    ["run", "-d", "--name", "held"] + Self.held + ["berth/default", "sleep", "1000"]
                ).finish()
                #expect(held.status == 0, "\(held)")
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "bound",
                    "-v",
                    "\(place.path):/data",
                    "berth/default",
                    "sleep",
                    "1000"
                )
                try daemon.ok("profile", "rm", "-f", "web")
                try FileManager.default.removeItem(at: place)
                for (name, what) in [("held", "No such profile: web"), ("bound", place.path)] {
                    let pid = try daemon.field(".State.Pid", name)
                    let again = try daemon.berth("restart", "-t", "0", name)
                    #expect(again.status == 1 && again.errors.contains(what), "\(again)")
                    #expect(try daemon.field(".State.Pid", name) == pid, "\(name) was stopped")
                }
                try daemon.ok("rm", "-f", "held", "bound")
            }
        }

        /// One number of calls in lists, comparisons and for each promotion; `show` names what its lines do not.
        @Test func callsAreCountedAlikeEverywhere() throws {
            try Daemon.with { daemon in
                _ = try ProfileUseTests.learn(daemon, "web", ProfileUseTests.work)
                try daemon.ok("profile", "promote", "web")
                let count = try daemon.ok("profile", "diff", "web", "--format", "{{.Allowed}}")
                let listed = try daemon.ok("profile", "ls", "--format", "{{.Calls}} {{.PromotedCalls}}")
                #expect(listed == "\(count) \(count)")
                let shown = try daemon.ok("profile", "show", "web", "--format", "json")
                let document = try JSONSerialization.jsonObject(with: Data(shown.utf8)) as? [String: Any]
                let calls = try #require(document?["Calls"] as? [[String: Any]]).compactMap { $0["Call"] as? String }
                let unseen = try #require(document?["Unseen"] as? [String])
                #expect("\(Set(calls + unseen).count)" == count && Set(calls).isDisjoint(with: unseen))
            }
        }

        @Test func whoIsHeldToAnOlderPromotionIsSeen() throws {
            try Daemon.with { daemon in
                _ = try ProfileUseTests.learn(daemon, "web", "true; sleep 0.01")
                func taken(_ name: String) throws -> String { try daemon.field(".Berth.Profile.Promoted", name) }
                func run(_ name: String) throws -> String {
                    try daemon.ok("profile", "promote", "web")
                    let words = ["run", "-d", "--name", name] + Self.held + ["berth/default", "sleep", "1000"]
                    let run = try daemon.client(words).finish()
                    #expect(run.status == 0, "\(run)")
                    return try daemon.ok("profile", "ls", "--format", "{{.Promoted}}")
                }
                let (first, second) = (try run("old"), try run("new"))
                #expect(first != second && !first.isEmpty)
                #expect(try taken("old") == first && taken("new") == second)
                try daemon.ok("restart", "-t", "0", "old")
                #expect(try taken("old") == second)
                #expect(try daemon.ok("profile", "show", "web").contains(second))
                try daemon.ok("rm", "-f", "old", "new")
            }
        }

        @Test func denialsOfARemovedProfileAreNotThoseOfTheNext() throws {
            try Daemon.with { daemon in
                let step = "step() { while ! cat $1 >/dev/null 2>&1; do sleep 0.05; done; $2 /tmp/d 2>/dev/null; }"
                let calm = "(sleep 0.2; echo x >/tmp/gate) & \(step); step /tmp/gate ls; wait; true"
                _ = try ProfileUseTests.learn(daemon, "web", calm)
                try daemon.ok("profile", "promote", "web")
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let names = ["one", "two", "three"].map { "step /gate/\($0) mkdir; " }.joined()
                let steps = "\(step); \(names)sleep 1000"
                let options = ["run", "-d", "--name", "old", "-v", "\(gate.path):/gate"] + Self.held
                let old = try daemon.client(options + ["berth/default", "sh", "-c", steps]).finish()
                #expect(old.status == 0, "\(old)")
                func go(_ step: String) throws { try Data().write(to: gate.appendingPathComponent(step)) }
                func kinds() throws -> Set<String> {
                    let rows = try daemon.ok("profile", "denials", "--format", "{{.Profile}}: {{.Syscall}}")
                    return Set(rows.split(separator: "\n").map(String.init).filter { $0.hasSuffix(": mkdir") })
                }
                try go("one")
                try eventually("a denial of the profile") { try kinds() == ["web: mkdir"] }
                try daemon.ok("profile", "rm", "-f", "web")
                #expect(try kinds().isEmpty)
                try go("two")
                try eventually("a denial of the removed one") { try kinds() == ["web (removed): mkdir"] }
                _ = try ProfileUseTests.learn(daemon, "web", "true")
                try daemon.ok("profile", "promote", "web")
                try daemon.crash()
                try daemon.start()
                try go("three")
                try eventually("one more of the removed one") {
                    try daemon.ok("profile", "denials", "--format", "{{.Syscall}} {{.Count}}").contains("mkdir 2")
                }
                #expect(try kinds() == ["web (removed): mkdir"])
                #expect(try ProfileUseTests.denials(daemon, "web").isEmpty)
                #expect(try daemon.ok("profile", "ls", "--format", "{{.Denials}}") == "0")
                try daemon.ok("rm", "-f", "old")
            }
        }

        @Test func whatWasRefusedAndIsDangerousIsMarkedSo() throws {
            try Daemon.with { daemon in
                let learned = try ProfileUseTests.learn(daemon, "web", "unshare -m true; renice -n -5 1; true")
                #expect(learned.errors.contains("refused (EPERM, dangerous: makes namespaces): unshare"), "\(learned)")
                #expect(
                    try shown(daemon, "web").contains(
                        "unshare CLONE_NEWNS refused (EPERM), dangerous: makes namespaces"
                    )
                )
                #expect(try daemon.ok("profile", "ls", "--format", "{{.Dangerous}}") == "1")
            }
        }

        /// The backend without a profile: what a profile takes away beside system calls.
        @Test func restrictedModeTakesRightsAwayAlsoWithoutAProfile() throws {
            try Daemon.with { daemon in
                func run(_ options: [String], _ script: String) throws -> Outcome {
                    try daemon.client(
                        ["run", "--rm", "--runtime", "restricted"] + options + ProfileUseTests.alone
                            + ["berth/default", "sh", "-c", script]
                    ).finish()
                }
                let facts = "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status"
                let writes = "echo x >/f 2>/dev/null && echo root; echo x >/tmp/f && echo tmp"
                // A place that the image does not have is not made, for it would be in the writable layer.
                let plain = try run([], "\(facts); \(writes); ls -d /var/tmp 2>/dev/null")
                #expect(
                    plain.lines == ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "tmp"],
                    "\(plain)"
                )
                let named = try run(["--cap-add", "CHOWN", "--read-only=false"], "\(facts); \(writes)")
                #expect(
                    named.lines
                        == ["CapEff:\t0000000000000001", "CapBnd:\t0000000000000001", "NoNewPrivs:\t1", "root", "tmp"],
                    "\(named)"
                )
            }
        }
    }
}
