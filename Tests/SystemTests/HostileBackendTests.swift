import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// A backend that does wrong: its own container fails with an error that says why, and nothing else is touched.
    ///
    /// `hostile-backend` does what the name of its link says; `good` is a native container beside it.
    @Suite struct HostileBackendTests {
        /// A manager that knows backends of these names, and waits for their answers for `deadline` seconds.
        ///
        /// Foreign ones are started and called by `berth-shim-foreign`.
        static func with(
            _ names: [String],
            foreign: Bool = false,
            deadline: Int = 1,
            startDeadline: Int? = nil,
            _ body: (Neighbour) throws -> Void
        ) throws {
            let environment = [
                "BERTH_DEADLINE": String(deadline), "BERTH_START_DEADLINE": String(startDeadline ?? deadline),
            ]
            try Daemon.with(executable: "berthd-faults", environment: environment) { (daemon) throws in
                let folder = daemon.scratch.appendingPathComponent("backends")
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                var arguments: [String] = []
                var configuration = ""
                for name in names {
                    let link = folder.appendingPathComponent("hostile.\(name)")
                    let program = Binaries.path("hostile-backend")
                    try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: program)
                    if !foreign { arguments += ["--backend", "\(name)=\(link.path)"] }
                    configuration += "[backends.\"\(name)\"]\nshim = \"\(link.path)\"\n"
                }
                if foreign {
                    let file = BackendChoiceTests.configuration(daemon)
                    try Data(configuration.utf8).write(to: file)
                    arguments = ["--config", file.path]
                }
                try daemon.stop()
                try daemon.start(arguments, executable: "berthd-faults", environment: environment)
                try daemon.ok("run", "-d", "--name", "good", "berth/default", "sleep", "100000")
                let neighbour = try Neighbour(daemon, folder, arguments, environment)
                try body(neighbour)
                let isTheSame = daemon.pid == neighbour.manager
                try (isTheSame ? neighbour : try Neighbour(daemon, folder, arguments, environment)).isUnharmed()
                #expect(try daemon.field(".State.Pid", "good") == neighbour.pid)
                for removal in try names.map({ try daemon.client(["rm", "-f", $0]) }) { try removal.finish() }
            }
        }

        /// The container beside, and the manager.
        struct Neighbour {
            let daemon: Daemon
            let folder: URL
            let pid: String
            let manager: Int32
            private let arguments: [String]
            private let environment: [String: String]

            init(_ daemon: Daemon, _ folder: URL, _ arguments: [String], _ environment: [String: String]) throws {
                (self.daemon, self.folder, manager) = (daemon, folder, daemon.pid)
                (self.arguments, self.environment) = (arguments, environment)
                pid = try daemon.field(".State.Pid", "good")
            }

            /// It runs, as the same process; it takes a session at once, is listed and shown at once.
            func isUnharmed(within seconds: Double = 2) throws {
                #expect(daemon.isRunning && daemon.pid == manager)
                try timed("a session", within: seconds) { () throws in
                    #expect(try daemon.ok("exec", "good", "echo", "here") == "here")
                }
                try timed("a list", within: seconds) { () throws in
                    #expect(try daemon.ok("ps", "--format", "{{.Names}}").split(separator: "\n").contains("good"))
                }
                try timed("what is shown", within: seconds) { () throws in
                    #expect(try daemon.field(".State.Pid", "good") == pid)
                    #expect(try daemon.field(".State.Status", "good") == "running")
                }
            }

            /// Another container beside is started, stopped and removed as if there were nobody else.
            func othersComeAndGo(within seconds: Double = 5) throws {
                try timed("a start", within: seconds) { () throws in
                    try daemon.ok("run", "-d", "--name", "brief", "berth/default", "sleep", "100000")
                }
                try timed("a stop", within: seconds) { try daemon.ok("stop", "-t", "0", "brief") }
                try timed("a removal", within: seconds) { try daemon.ok("rm", "brief") }
            }

            private func timed(_ what: String, within seconds: Double, _ body: () throws -> Void) throws {
                let start = Date()
                try body()
                #expect(Date().timeIntervalSince(start) < seconds * patience, "\(what) took too long")
            }

            /// Another manager, in place of one that was killed.
            func restart() throws -> Neighbour {
                try daemon.crash()
                let start = Date()
                try daemon.start(arguments, executable: "berthd-faults", environment: environment)
                #expect(Date().timeIntervalSince(start) < 5 * patience, "the manager took too long")
                return try Neighbour(daemon, folder, arguments, environment)
            }

            func run(_ name: String) throws -> Outcome { try begin(name).finish() }

            func begin(_ name: String) throws -> Command {
                let options = ["--name", name, "--runtime", name, "--userns", "host"]
                return try daemon.client(["run", "-d"] + options + ["berth/default", "sleep", "1"])
            }

            /// Nothing of the backend is left, but for what its name says.
            func nothingIsLeft(of name: String) throws {
                try eventually("the shim of \(name) is gone") {
                    let program = folder.appendingPathComponent("hostile.\(name)").path
                    return !HostState.processes(of: folder).contains { $0.command.hasPrefix(program + " ") }
                }
            }
        }

        private static let faults = ["crash", "hang", "garbage", "noise", "oversize", "endless", "claim", "slow"]

        /// Wrong at a call of the start: the start fails within its deadlines.
        @Test func aStartThatGoesWrongFails() throws {
            let names = Self.faults.flatMap { ["\($0).Create", "\($0).Start"] }
            try Self.with(names) { neighbour in
                let start = Date()
                let starts = try names.map { try neighbour.begin($0) }
                try neighbour.isUnharmed(within: 5)
                try neighbour.othersComeAndGo()
                for (name, command) in zip(names, starts) {
                    let outcome = try command.finish(within: 20)
                    #expect(outcome.status == 125, "\(name): \(outcome)")
                    #expect(try neighbour.daemon.field(".State.Status", name) == "created")
                    #expect(try neighbour.daemon.field(".State.Error", name) != "")
                }
                #expect(Date().timeIntervalSince(start) < 20 * patience)
                for name in names { try neighbour.nothingIsLeft(of: name) }
            }
        }

        /// What is no frame of an answer is not waited for like an answer.
        @Test func aFrameThatDoesNotComeIsNotWaitedFor() throws {
            let names = ["claim", "noise", "oversize", "slow"].flatMap { ["\($0).Create", "\($0).Start"] }
            try Self.with(names, startDeadline: 60) { neighbour in
                let start = Date()
                for (name, command) in zip(names, try names.map { try neighbour.begin($0) }) {
                    #expect(try command.finish(within: 40).status == 125, "\(name)")
                    #expect(Date().timeIntervalSince(start) < 20 * patience, "\(name) was waited for")
                }
            }
        }

        /// Every call that a manager makes to a shim, and the verb that makes it: the second of two where the first is right.
        ///
        /// Those that it does not make (Wait, Connect, CloseIO, Checkpoint, ReopenLog) are not here; Create and Start are above, State and ReportExit
        /// below.
        static let calls = [
            ("Exec", ["exec", "-d"], ["true"]), ("Pids", ["top"], []), ("Pause", ["pause"], []),
            ("Kill", ["kill", "-s", "USR1"], []), ("Stats", ["stats", "--no-stream"], []),
            ("Update", ["update", "--memory", "64m"], []), ("Delete", ["rm", "-f"], []),
            ("Shutdown", ["rm", "-f"], []),
            ("Events", ["stop", "-t", "1"], []), ("Info", ["stop", "-t", "1"], []),
            ("Acknowledge", ["stop", "-t", "1"], []), ("Resume", ["unpause"], []),
            ("ExecStart", ["exec", "-d"], ["true"]),
            ("ExecDelete", ["exec", "-d"], ["true"]), ("SetPolicy", ["stop", "-t", "1"], []),
            ("CheckFiles", ["stop", "-t", "1"], []),
            // The client of the API itself, for there is no verb.
            ("ResizePty", ["resize"], []),
        ]

        private func begin(
            _ call: String,
            _ verb: [String],
            _ name: String,
            _ rest: [String],
            _ daemon: Daemon
        ) throws -> Command {
            if call == "Resume" { try daemon.ok("pause", name) }
            guard call == "ResizePty" else { return try daemon.client(verb + [name] + rest) }
            let place = "http://localhost/containers/\(name)/resize?h=10&w=20"
            return try Command(
                "curl",
                ["-sS", "-X", "POST", "--unix-socket", daemon.socket, place],
                in: daemon.scratch
            )
        }

        @Test(arguments: [["crash"], ["hang"], ["garbage"], ["oversize", "endless"]])
        func aCallThatGoesWrongEndsInTime(faults: [String]) throws {
            let some = faults.count == 1 ? Self.calls : Self.calls.filter { ["Pids", "Kill", "Delete"].contains($0.0) }
            let cases = faults.flatMap { fault in
                some.map { (name: "\(fault).\($0.0)", call: $0.0, verb: $0.1, rest: $0.2) }
            }
            try Self.with(cases.map(\.name)) { neighbour in
                // What is wrong before the start is over may fail it.
                for start in try cases.map({ try neighbour.begin($0.name) }) {
                    let outcome = try start.finish()
                    #expect([0, 125].contains(outcome.status), "\(outcome)")
                }
                let start = Date()
                let verbs = try cases.map { try begin($0.call, $0.verb, $0.name, $0.rest, neighbour.daemon) }
                try neighbour.isUnharmed(within: 5)
                try neighbour.othersComeAndGo()
                for (entry, verb) in zip(cases, verbs) {
                    try verb.finish(within: 30)
                    #expect(Date().timeIntervalSince(start) < 30 * patience, "\(entry.name)")
                }
                let removals = try cases.map { try neighbour.daemon.client(["rm", "-f", $0.name]) }
                for removal in removals { try removal.finish(within: 40) }
                for entry in cases { try neighbour.nothingIsLeft(of: entry.name) }
            }
        }

        /// Whoever is told to start nothing again, and does not say that it will not, keeps nobody from ending its container.
        @Test func aPolicyThatCannotBeEndedKeepsNobody() throws {
            let names = ["garbage", "hang", "crash"].map { "\($0).SetPolicy" }
            let verbs = [["stop", "-t", "1"], ["kill"], ["rm", "-f"]]
            try Self.with(names) { neighbour in
                let cases = names.flatMap { name in verbs.map { (runtime: name, name: "\(name).\($0[0])", verb: $0) } }
                for (runtime, name, _) in cases {
                    let options = ["--name", name, "--runtime", runtime, "--userns", "host", "--restart", "always"]
                    let start = try neighbour.daemon.client(["run", "-d"] + options + ["berth/default", "sleep", "1"])
                    #expect(try start.finish().status == 0)
                }
                let ends = try cases.map { try neighbour.daemon.client($0.verb + [$0.name]) }
                for (entry, end) in zip(cases, ends) {
                    let outcome = try end.finish(within: 30)
                    #expect(outcome.status == 0, "\(entry.name): \(outcome)")
                }
                try neighbour.isUnharmed(within: 5)
                for entry in cases { try neighbour.daemon.client(["rm", "-f", entry.name]).finish() }
                for name in names { try neighbour.nothingIsLeft(of: name) }
            }
        }

        /// What is written to a shim's standard error without end fills neither a disk nor the memory that all containers share.
        @Test func aFloodOfStandardErrorIsCut() throws {
            try Self.with(["spill.Start"]) { neighbour in
                #expect(try neighbour.run("spill.Start").status == 0)
                let id = try neighbour.daemon.field(".Id", "spill.Start")
                let log = neighbour.daemon.state.appendingPathComponent("containers/\(id)/shim.log")
                try eventually("it is cut") { try ShimLogFile(log).isCut }
                let end = Date().addingTimeInterval(3)
                var largest: UInt64 = 0
                try eventually("a while has gone by") {
                    largest = max(largest, try ShimLogFile(log).size)
                    return Date() > end
                }
                // 100 ms of it, and as much again for a busy machine.
                #expect(largest < 64 << 20, "it grows to \(largest) bytes")
                try neighbour.isUnharmed()
            }
        }

        /// What a new manager asks of the shims that it finds: one that does not answer keeps neither it nor the others.
        @Test func aShimThatDoesNotAnswerANewManagerHarmsNobody() throws {
            let names = ["hang.State", "crash.State", "claim.State", "slow.State"]
            try Self.with(names) { before in
                for name in names { #expect(try before.run(name).status == 0) }
                let neighbour = try before.restart()
                #expect(neighbour.pid == before.pid)
                try neighbour.isUnharmed(within: 5)
                try neighbour.othersComeAndGo()
                let removals = try names.map { try neighbour.daemon.client(["rm", "-f", $0]) }
                for (name, removal) in zip(names, removals) {
                    #expect(try removal.finish(within: 40).status == 0, "\(name)")
                    try neighbour.nothingIsLeft(of: name)
                }
            }
        }

        /// The client of a session is not kept by a shim that has its connection and does nothing.
        @Test func aSessionThatNobodyServesEnds() throws {
            try Self.with(["hang.Wait"]) { neighbour in
                #expect(try neighbour.run("hang.Wait").status == 0)
                // This shim never looks at the socket by which it would get the client.
                let outcome = try neighbour.daemon.berth("exec", "hang.Wait", "true", within: 15)
                #expect(outcome.status == 125, "\(outcome)")
                #expect(try neighbour.daemon.field(".State.Status", "hang.Wait") == "running")
            }
        }

        /// A program that does not say what it can keeps its own creations waiting, and nobody else's.
        @Test func aBackendThatDoesNotSayWhatItCanIsWaitedForByNobodyElse() throws {
            try Self.with(["hang.-info"], deadline: 6) { neighbour in
                let waiting = try (0..<24).map { _ in
                    try neighbour.daemon.client(["create", "--runtime", "hang.-info", "berth/default", "true"])
                }
                for _ in 0..<3 { try neighbour.isUnharmed(within: 8) }
                let start = Date()
                #expect(try neighbour.daemon.berth("run", "--rm", "berth/default", "true").status == 0)
                #expect(Date().timeIntervalSince(start) < 8 * patience)
                let listed = try neighbour.daemon.ok("backend", "ls", "--format", "{{.Name}} {{.Capabilities}}")
                #expect(
                    listed.split(separator: "\n").contains { $0.hasPrefix("hang.-info ") && $0.contains("did not say") }
                )
                for client in waiting { #expect(try client.finish(within: 40).status == 125) }
            }
        }

        // Floods -------------------------------------------------------------------------------------------------------

        @Test func aFloodOfEventsIsTakenInSlowly() throws {
            let names = ["flood.tasks.oom", "flood.tasks.paused", "flood.tasks.exit", "flood.nothing"]
            try Self.with(names) { neighbour in
                for name in names { #expect(try neighbour.run(name).status == 0) }
                // Ten thousand in each answer, as fast as they are asked for.
                for _ in 0..<5 { try neighbour.isUnharmed(within: 5) }
                #expect(try neighbour.daemon.berth("run", "--rm", "berth/default", "true").status == 0)
                for removal in try names.map({ try neighbour.daemon.client(["rm", "-f", $0]) }) {
                    #expect(try removal.finish(within: 40).status == 0)
                }
            }
        }

        // Lies ---------------------------------------------------------------------------------------------------------

        @Test func aProcessOfSomebodyElseIsNotBelieved() throws {
            try Self.with(["pid.Create", "pid.Start", "pid.Exec"]) { neighbour in
                let daemon = neighbour.daemon
                // The last is a number that nobody has: of a process that is reaped already.
                let past = try Command("true", [], in: daemon.scratch)
                try past.finish()
                for number in [neighbour.pid, "1", "\(daemon.pid)", "0", "-1", "\(past.pid)"] {
                    try Data(number.utf8).write(to: neighbour.folder.appendingPathComponent("victim"))
                    for name in ["pid.Create", "pid.Start"] {
                        let outcome = try neighbour.run(name)
                        #expect(outcome.status == 125 && outcome.errors.contains("says that"), "\(number): \(outcome)")
                        #expect(try daemon.field(".State.Pid", name) == "0")
                        // Whatever is done to the container, the other process gets nothing of it.
                        for verb in [["kill"], ["rm", "-f"]] { try daemon.berth(words: verb + [name]) }
                    }
                    #expect(try neighbour.run("pid.Exec").status == 0)
                    let session = try daemon.berth("exec", "-d", "pid.Exec", "true")
                    let isNobody = number == "\(past.pid)"
                    #expect((session.status == 0) == isNobody, "\(number): \(session)")
                    #expect(isNobody || session.errors.contains("says that"), "\(number): \(session)")
                    for verb in [["kill"], ["rm", "-f"]] { try daemon.berth(words: verb + ["pid.Exec"]) }
                    try neighbour.isUnharmed()
                }
            }
        }
    }
}

/// A look at a shim's own log.
struct ShimLogFile {
    let size: UInt64
    /// Whether its end was cut off.
    let isCut: Bool

    init(_ place: URL) throws {
        let file = try FileHandle(forReadingFrom: place)
        defer { try? file.close() }
        size = try file.seekToEnd()
        try file.seek(toOffset: 512 << 10)
        isCut = try file.read(upToCount: 80).map { String(decoding: $0, as: UTF8.self).contains("is cut") } ?? false
    }
}

extension Daemon {
    /// As ``berth(_:within:)``, with the words in an array.
    @discardableResult
    fileprivate func berth(words: [String]) throws -> Outcome { try client(words).finish(within: 60) }
}
