import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// A full disk together with kills of the manager: what happened is told once, as soon as there is room.
    @Suite struct FullDiskTests {
        /// A manager whose root directory is on a small disk, and a directory that containers see at `/gate`.
        private func withDisk(
            _ disk: @autoclosure () throws -> PrivateDisk = try .small(96),
            _ body: (Daemon, PrivateDisk, _ gate: URL) throws -> Void
        ) throws {
            let disk = try disk()
            defer { disk.remove() }
            try Daemon.with(root: URL(fileURLWithPath: disk.path), mountsOf: disk.pid) { (daemon) throws in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                try body(daemon, disk, gate)
            }
        }

        private func run(_ daemon: Daemon, _ gate: URL, _ options: String...) throws {
            let script = "echo >>/gate/starts; until [ -e /gate/go ]; do sleep 0.05; done; sleep 0.2; exit 42"
            let words = ["-v", "\(gate.path):/gate", "berth/default", "sh", "-c", script]
            let started = try daemon.client(["run", "-d", "--name", "one"] + options + words).finish()
            try #require(started.status == 0, "\(started)")
        }

        private func go(_ gate: URL) throws { try Data().write(to: gate.appendingPathComponent("go")) }

        private func starts(_ gate: URL) -> Int {
            (try? Data(contentsOf: gate.appendingPathComponent("starts")).count) ?? 0
        }

        @Test func aContainerIsNotRemovedBeforeItsEndIsWritten() throws {
            try withDisk { daemon, disk, gate in
                try run(daemon, gate)
                try disk.fill()
                let wait = try daemon.client(["wait", "one"])
                try go(gate)
                #expect(try wait.finish(within: 20).text == "42")
                try #require(daemon.logs().contains("state was not written"))
                #expect(try daemon.berth("rm", "one").status != 0)
                #expect(try daemon.field(".State.Status", "one") == "exited")
                try daemon.crash()
                try disk.empty()
                try daemon.start()
                try eventually("its end is known") { try daemon.field(".State.ExitCode", "one") == "42" }
                try daemon.ok("rm", "one")
                #expect(try daemon.told("one") == ["create", "start", "die", "destroy"])
            }
        }

        @Test func aContainerThatGoesByItselfGoesWhenItsEndIsWritten() throws {
            try withDisk { daemon, disk, gate in
                try run(daemon, gate, "--rm")
                try disk.fill()
                try go(gate)
                try eventually("its end was not written") { daemon.logs().contains("state was not written") }
                try disk.empty()
                try eventually(within: 30, "it has gone") { try daemon.ok("ps", "-aq").isEmpty }
                #expect(try daemon.told("one") == ["create", "start", "die", "destroy"])
            }
        }

        @Test func whatACrashLoopDoesMeanwhileIsToldOnce() throws {
            try withDisk { daemon, disk, gate in
                try run(daemon, gate, "--restart", "always")
                try disk.fill()
                try go(gate)
                for round in 1...2 {
                    let before = starts(gate)
                    try eventually("it was started again") { starts(gate) > before }
                    try daemon.crash()
                    if round == 2 { try disk.empty() }
                    try daemon.start()
                }
                try eventually("it was started again") { starts(gate) > 5 }
                try daemon.ok("stop", "-t", "0", "one")
                let told = try daemon.told("one").filter { ["create", "start", "die"].contains($0) }
                let lives = told.count { $0 == "start" }
                #expect(told == ["create"] + Array(repeating: ["start", "die"], count: lives).flatMap { $0 })
                // The last one may have been ended before it said that it runs, or while the next was waited for, which counts.
                #expect([lives - 1, lives].contains(starts(gate)), "\(starts(gate)) of \(lives)")
                let restarts = try daemon.field(".RestartCount", "one")
                #expect(["\(lives - 1)", "\(lives)"].contains(restarts), "\(restarts) of \(lives)")
            }
        }

        @Test func theRecordOfAnEndIsWrittenWhenThereIsRoomAgain() throws {
            try withDisk { daemon, disk, gate in
                try run(daemon, gate)
                let folder = "\(disk.path)/containers/\(try daemon.field(".Id", "one"))"
                let log = try daemon.bundle("one").appendingPathComponent("shim.log")
                try daemon.crash()
                try disk.fill()
                try go(gate)
                try eventually("the shim could not write the record") {
                    try String(contentsOf: log, encoding: .utf8).contains("exit record failed")
                }
                try disk.empty()
                // Nobody but the shim is there.
                try eventually("the record is written") {
                    try disk.run("sh", "-c", "grep -l '\"code\":42' \(folder)/exit-*.json").status == 0
                }
                try daemon.start()
                #expect(try daemon.ok("wait", "one") == "42")
                #expect(try daemon.field(".State.ExitCode", "one") == "42")
            }
        }

        enum Shortage: String, CaseIterable { case memory, disk, names }

        /// After an orderly end nothing has to be made that the disk has no room for; and what is free for a moment is another's.
        @Test(arguments: Shortage.allCases) func aManagerStartsWhileTheDiskIsFull(_ kind: Shortage) throws {
            try withDisk(kind == .disk ? .ext4(96) : .small(96)) { daemon, disk, gate in
                try run(daemon, gate)
                try daemon.ok("run", "-d", "--name", "two", "berth/default", "sleep", "1000")
                let pid = try daemon.field(".State.Pid", "two")
                var hog: Command?
                defer { hog?.send(SIGKILL) }
                for round in 1...2 {
                    try daemon.stop()
                    if round == 1 {
                        // All of it is in the database's file then.
                        if kind == .names { try disk.fillNames() } else { try disk.fill() }
                        if kind != .names { hog = try disk.hog() }
                    }
                    try daemon.start()
                    try eventually("both are there") { try daemon.ok("ps", "-q").split(separator: "\n").count == 2 }
                    #expect(try daemon.field(".State.Pid", "two") == pid)
                    if round == 1 { try daemon.ok("system", "upgrade") }
                }
                try daemon.ok("stop", "-t", "0", "two")
                #expect(try daemon.field(".State.ExitCode", "two") == "137")
                let wait = try daemon.client(["wait", "one"])
                try go(gate)
                #expect(try wait.finish(within: 20).text == "42")
                // Ids of its own, or none at all: nobody becomes root of the host because something could not be tried.
                let made = try daemon.berth("create", "--name", "three", "berth/default", "true")
                if kind == .names { #expect(made.status != 0, "\(made)") }
                hog?.send(SIGKILL)
                _ = try hog?.finish()
                try disk.empty()
                if made.status != 0 { try daemon.ok("create", "--name", "three", "berth/default", "true") }
                #expect(try daemon.field(".Berth.UserNamespace.Mode", "three") == "auto")
                try eventually("what is owed is written") {
                    try ["one", "two"].allSatisfy { name in
                        try daemon.told(name).filter { ["create", "start", "die"].contains($0) } == [
                            "create", "start", "die",
                        ]
                    }
                }
                try daemon.crash()
                try daemon.start()
                #expect(try daemon.ok("wait", "one") == "42")
                #expect(try daemon.field(".State.ExitCode", "one") == "42")
                #expect(try daemon.field(".State.ExitCode", "two") == "137")
            }
        }
    }
}
