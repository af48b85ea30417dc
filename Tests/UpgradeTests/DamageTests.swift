import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// Every file that Berth wrote is cut off and changed: the manager starts, says what it cannot read, deletes nothing, and all
    /// else works.
    @Suite struct DamageTests {
        /// BERTH_TEST_DAMAGE=all: every place of small files, and many of large ones, in minutes; else as many as fit into half a one.
        private static let isWhole = ProcessInfo.processInfo.environment["BERTH_TEST_DAMAGE"] == "all"

        @Test func everyFileThatIsDamagedIsNamedAndTheRestWorks() throws {
            try Daemon.with { (daemon) throws in
                let state = try DamagedState(daemon)
                try daemon.stop()
                let plan = DamagePlan(try state.files())
                try #require(plan.kinds.count > 20, "\(plan.kinds)")
                #expect(plan.kinds.contains("profiles/p.promoted.json"), "\(plan.kinds)")
                for kind in Unread.kinds.keys { #expect(plan.kinds.contains(kind), "there is no \(kind)") }
                var round = 0
                while Self.isWhole ? !plan.isDone : round < 15 {
                    // What was made anew is what it is from then on.
                    let files = try state.files()
                    let done = try state.damage(files, plan, round: round)
                    try daemon.start()
                    try state.check("round \(round): \(done.map(\.description))")
                    try state.expectNamed(done, "round \(round)")
                    try daemon.stop()
                    try state.restore(files, done)
                    round += 1
                }
                print("damaged files: \(plan.count) times, each of \(plan.kinds.count) kinds, in \(round) starts")
                #expect(plan.untried.isEmpty, "never damaged: \(plan.untried)")
                try daemon.start()
                try state.check("the end")
                #expect(try daemon.berth("info").errors.contains("cannot be read") == false)
            }
        }

        @Test func listOfImagesThatIsDamagedIsNamedAndSetAside() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                try daemon.stop()
                let file = daemon.root.appendingPathComponent("content/index.json")
                let damaged = try Data(contentsOf: file).prefix(40)
                try damaged.write(to: file)
                try daemon.start()
                #expect(try daemon.berth("info").errors.contains("index.json"))
                #expect(try Data(contentsOf: URL(fileURLWithPath: file.path + ".damaged")) == damaged)
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                try daemon.ok("load", "-i", try DefaultImage.archive())
                #expect(try daemon.ok("run", "--rm", "--network", "none", "berth/default", "echo", "new") == "new")
            }
        }

        @Test(arguments: ["kill", "adopt"]) func recordOfAShimThatIsWrongIsNoDeath(_ policy: String) throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "--shim-death", policy, "berth/default", "sleep", "1000")
                let pid = try daemon.field(".State.Pid", "one")
                let (shim, file) = (try daemon.shim("one"), try daemon.bundle("one").appendingPathComponent("shim.pid"))
                try daemon.crash()
                // The last digit of its start time.
                var text = try String(contentsOf: file, encoding: .utf8)
                let digit = try #require(text.lastIndex { $0.isNumber })
                text.replaceSubrange(digit...digit, with: text[digit] == "7" ? "8" : "7")
                try Data(text.utf8).write(to: file)
                try daemon.start()
                try eventually("it is supervised") {
                    try daemon.berth("exec", "one", "echo", "alive").output == "alive\n"
                }
                #expect(try daemon.field(".State.Pid", "one") == pid && isAlive(shim))
                #expect(try daemon.told("one").filter { ["die", "shim_die", "shim_adopt"].contains($0) }.isEmpty)
            }
        }

        @Test func changedExitRecordIsNotBelieved() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'exit 1' USR1")
                let pid = try #require(Int32(try daemon.field(".State.Pid", "one")))
                let (shim, bundle) = (try daemon.shim("one"), try daemon.bundle("one"))
                let folder = daemon.root.appendingPathComponent("containers/\(bundle.lastPathComponent)")
                try daemon.crash()
                var record: URL?
                #expect(kill(pid, SIGUSR1) == 0)
                try eventually("its end is on record") {
                    record = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
                        .first { $0.lastPathComponent.hasPrefix("exit-") && $0.pathExtension == "json" }
                    return record != nil
                }
                // As after a boot.
                #expect(kill(shim, SIGKILL) == 0)
                try FileManager.default.removeItem(at: bundle)
                let file = try #require(record)
                let text = try String(contentsOf: file, encoding: .utf8)
                #expect(text.contains(#""code":1"#))
                try Data(text.replacingOccurrences(of: #""code":1"#, with: #""code":0"#).utf8).write(to: file)
                try daemon.start()
                try eventually("its end is known") { try daemon.field(".State.Running", "one") == "false" }
                #expect(try daemon.field(".State.ExitCode", "one") == "255")
                #expect(try daemon.field(".State.Error", "one").contains("damaged"))
                #expect(try daemon.berth("info").errors.contains(file.lastPathComponent))
                #expect(FileManager.default.fileExists(atPath: file.path + ".bad"))
            }
        }

        /// The numbers of all events that are kept.
        private static func cursors(_ daemon: Daemon) throws -> [Int] {
            let now = String(Int(Date().timeIntervalSince1970) + 1)
            let arguments = ["events", "--since", "0", "--until", now, "--format", "{{.Cursor}}"]
            return try daemon.client(arguments).finish().lines.compactMap { Int($0) }
        }

        @Test func databaseThatIsDamagedIsMadeAgain() throws {
            try Daemon.with { (daemon) throws in
                let state = try DamagedState(daemon)
                let cursors = try Self.cursors(daemon)
                // All of it is in one file then.
                try daemon.stop()
                try tryChanges(daemon, state, of: "berth.db", cursors)
            }
        }

        @Test func logOfTheDatabaseThatIsDamagedIsNoHarm() throws {
            try Daemon.with { (daemon) throws in
                let state = try DamagedState(daemon)
                let cursors = try Self.cursors(daemon)
                // Nearly all of it is in the log then.
                try daemon.crash()
                try tryChanges(daemon, state, of: "berth.db-wal", cursors)
            }
        }

        /// Starts the manager with `name` changed, and puts the database back, again and again.
        private func tryChanges(_ daemon: Daemon, _ state: DamagedState, of name: String, _ before: [Int]) throws {
            let files = ["berth.db", "berth.db-wal", "berth.db-shm"].map { daemon.root.appendingPathComponent($0) }
            let contents = files.map { try? Data(contentsOf: $0) }
            let changed = daemon.root.appendingPathComponent(name)
            let whole = try Data(contentsOf: changed)
            let highest = try #require(before.max())
            let (began, later) = state.workerBegan
            for (index, change) in DamagePlan.changes(of: whole.count, places: Self.isWhole ? 100 : 4).enumerated() {
                let damaged = change.applied(to: whole)
                try damaged.write(to: changed)
                try daemon.start()
                try state.check("\(name) \(index) \(change)")
                // It runs since then, and not since nobody knows when.
                let since = try daemon.field(".State.StartedAt", "worker")
                #expect(
                    since.prefix(16) == began.prefix(16) || since.prefix(16) == later.prefix(16),
                    "\(since), \(began)"
                )
                if damaged.isEmpty, name == "berth.db" {
                    #expect(try daemon.berth("info").errors.contains("cannot be read"))
                }
                // No number is given out twice: an event is the one that had it before, or has a new one.
                let told = try Self.cursors(daemon)
                #expect(told.filter { $0 <= highest }.allSatisfy(before.contains) && Set(told).count == told.count)
                try daemon.stop()
                for (file, content) in zip(files, contents) {
                    try? FileManager.default.removeItem(at: file)
                    try content?.write(to: file)
                }
            }
            try daemon.start()
            try state.check("the end")
        }
    }
}
