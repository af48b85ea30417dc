import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// Another's shim that does wrong below `berth-shim-foreign`: its own container fails or is ended, and nothing else is touched.
    ///
    /// `hostile-backend` does what the name of its link says; `good` is a native container beside it.
    @Suite struct HostileForeignShimTests {
        private typealias Neighbour = HostileBackendTests.Neighbour

        private static func with(_ names: [String], deadline: Int = 8, _ body: (Neighbour) throws -> Void) throws {
            try HostileBackendTests.with(names, foreign: true, deadline: deadline, startDeadline: 30, body)
        }

        private static func write(_ victim: String, _ neighbour: Neighbour) throws {
            try Data(victim.utf8).write(to: neighbour.folder.appendingPathComponent("victim"))
        }

        /// Removes the containers of all names, which nothing may keep.
        private static func remove(_ names: [String], _ neighbour: Neighbour) throws {
            let removals = try names.map { try neighbour.daemon.client(["rm", "-f", $0]) }
            for (name, removal) in zip(names, removals) {
                let outcome = try removal.finish(within: 40)
                #expect(outcome.status == 0, "\(name): \(outcome)")
                try neighbour.nothingIsLeft(of: name)
            }
        }

        // Lies ---------------------------------------------------------------------------------------------------------

        /// The last two are a number that nobody has, and that of the process of ours before the foreign shim.
        @Test func aProcessOfSomebodyElseIsNotBelieved() throws {
            try Self.with(["pid.Create", "pid.Exec"]) { neighbour in
                let daemon = neighbour.daemon
                let past = try Command("true", [], in: daemon.scratch)
                try past.finish()
                #expect(try neighbour.run("pid.Exec").status == 0)
                for number in [neighbour.pid, "1", "\(daemon.pid)", "0", "-1", "\(past.pid)", "parent"] {
                    try Self.write(number, neighbour)
                    let outcome = try neighbour.run("pid.Create")
                    #expect(outcome.status == 125, "\(number): \(outcome)")
                    #expect(try daemon.field(".State.Pid", "pid.Create") == "0")
                    try Self.remove(["pid.Create"], neighbour)
                    let session = try daemon.client(["exec", "-d", "pid.Exec", "true"]).finish()
                    // Of one that has ended only the shim knows.
                    #expect((session.status == 0) == (number == "\(past.pid)"), "\(number): \(session)")
                    #expect(try daemon.field(".State.Status", "pid.Exec") == "running")
                    try neighbour.isUnharmed()
                }
            }
        }

        /// A process of the container is a session's only once: the end of one would be the end of both.
        @Test func theFirstProcessIsNoSession() throws {
            try Self.with(["pid.Exec"]) { neighbour in
                #expect(try neighbour.run("pid.Exec").status == 0)
                try Self.write(try neighbour.daemon.field(".State.Pid", "pid.Exec"), neighbour)
                #expect(try neighbour.daemon.client(["exec", "-d", "pid.Exec", "true"]).finish().status != 0)
                #expect(try neighbour.daemon.field(".State.Status", "pid.Exec") == "running")
            }
        }

        /// What it lists is shown as far as it is the container's, and numbers that are none end nobody.
        @Test func whatItListsIsNotBelieved() throws {
            try Self.with(["pid.Pids"]) { neighbour in
                let daemon = neighbour.daemon
                try Self.write(neighbour.pid, neighbour)
                #expect(try neighbour.run("pid.Pids").status == 0)
                let shim = try Self.shim(of: "pid.Pids", neighbour)
                let outcome = try daemon.client(["top", "pid.Pids"]).finish()
                #expect(outcome.status == 0 && outcome.lines.count == 1, "\(outcome)")
                #expect(try Self.shim(of: "pid.Pids", neighbour) == shim)
            }
        }

        /// The process of ours that stands before a foreign shim.
        private static func shim(of name: String, _ neighbour: Neighbour) throws -> [Int32] {
            let id = try neighbour.daemon.field(".Id", name)
            return HostState.processes(of: neighbour.daemon.state).filter {
                $0.command.hasPrefix(Binaries.path("berth-shim-foreign") + " ") && $0.command.contains(id)
            }.map(\.pid)
        }

        /// 256 would be 0: the kernel knows that it was SIGKILL, or it is unknown.
        @Test(arguments: ["256", "4294967295"]) func aStatusThatIsNoneIsNotBelieved(status: String) throws {
            let name = "exit.\(status)"
            try Self.with([name]) { neighbour in
                #expect(try neighbour.run(name).status == 0)
                try neighbour.daemon.ok("kill", name)
                try neighbour.daemon.ok("wait", name)
                let code = try neighbour.daemon.field(".State.ExitCode", name)
                #expect(["137", "255"].contains(code), "\(code)")
            }
        }

        /// It says that it has ended, and does not resume: what it is, is the kernel's to say.
        @Test func aStateThatIsNoneHarmsNobody() throws {
            try Self.with(["state.Resume"]) { neighbour in
                #expect(try neighbour.run("state.Resume").status == 0)
                try neighbour.daemon.ok("pause", "state.Resume")
                try neighbour.daemon.client(["unpause", "state.Resume"]).finish()
                #expect(try neighbour.daemon.field(".State.Running", "state.Resume") == "true")
                try Self.remove(["state.Resume"], neighbour)
            }
        }

        /// Another's socket is neither called nor removed: the manager's own, and that of another container.
        @Test func theAddressOfSomebodyElseIsNotBelieved() throws {
            try Self.with(["address.start"]) { neighbour in
                let daemon = neighbour.daemon
                let bundle = daemon.state.appendingPathComponent("containers/\(try daemon.field(".Id", "good"))").path
                let sockets = try FileManager.default.contentsOfDirectory(atPath: bundle).map { "\(bundle)/\($0)" }
                    .filter {
                        try FileManager.default.attributesOfItem(atPath: $0)[.type] as? FileAttributeType == .typeSocket
                    }
                try #require(!sockets.isEmpty)
                for socket in sockets + [daemon.socket] {
                    try Self.write(socket, neighbour)
                    #expect(try neighbour.run("address.start").status == 125)
                    try Self.remove(["address.start"], neighbour)
                    #expect(FileManager.default.fileExists(atPath: socket), "\(socket)")
                    try neighbour.isUnharmed()
                }
            }
        }

        // Everything else ------------------------------------------------------------------------------------------------

        private static let faults = ["crash", "hang", "garbage", "noise", "oversize", "endless", "claim", "slow"]

        @Test func aStartThatGoesWrongFails() throws {
            let names = Self.faults.flatMap { ["\($0).Create", "\($0).Start"] }
            try Self.with(names, deadline: 1) { neighbour in
                let starts = try names.map { try neighbour.begin($0) }
                try neighbour.isUnharmed(within: 10)
                try neighbour.othersComeAndGo(within: 10)
                for (name, command) in zip(names, starts) {
                    let outcome = try command.finish(within: 60)
                    #expect(outcome.status == 125, "\(name): \(outcome)")
                    #expect(try neighbour.daemon.field(".State.Status", name) == "created")
                    #expect(try neighbour.daemon.field(".State.Error", name) != "")
                }
                try Self.remove(names, neighbour)
            }
        }

        /// Every call that the shim of ours makes to it later, and the verb that makes it.
        private static let calls = [
            ("Exec", ["exec", "-d"], ["true"]), ("ExecStart", ["exec", "-d"], ["true"]),
            ("ExecDelete", ["exec", "-d"], ["true"]), ("Pids", ["top"], []), ("Pause", ["pause"], []),
            ("Resume", ["pause"], []), ("Kill", ["kill", "-s", "USR1"], []), ("Stats", ["stats", "--no-stream"], []),
            ("Update", ["update", "--memory", "64m"], []), ("Wait", ["kill"], []), ("Delete", ["rm", "-f"], []),
            ("Shutdown", ["rm", "-f"], []),
        ]

        @Test(arguments: [["crash"], ["hang"], ["garbage"], ["oversize", "endless"]])
        func aCallThatGoesWrongEndsInTime(faults: [String]) throws {
            let some = faults.count == 1 ? Self.calls : Self.calls.filter { ["Pids", "Kill", "Delete"].contains($0.0) }
            let cases = faults.flatMap { fault in
                some.map { (name: "\(fault).\($0.0)", call: $0.0, verb: $0.1, rest: $0.2) }
            }
            try Self.with(cases.map(\.name), deadline: 1) { neighbour in
                for (entry, start) in zip(cases, try cases.map { try neighbour.begin($0.name) }) {
                    let outcome = try start.finish()
                    #expect(outcome.status == 0, "\(entry.name): \(outcome)")
                }
                let verbs = try cases.map { try neighbour.daemon.client($0.verb + [$0.name] + $0.rest) }
                try neighbour.isUnharmed(within: 10)
                try neighbour.othersComeAndGo(within: 10)
                for verb in verbs { try verb.finish(within: 30) }
                for entry in cases where entry.call == "Resume" {
                    try neighbour.daemon.client(["unpause", entry.name]).finish(within: 30)
                }
                let removals = try cases.map { try neighbour.daemon.client(["rm", "-f", $0.name]) }
                for removal in removals { try removal.finish(within: 40) }
                for entry in cases { try neighbour.nothingIsLeft(of: entry.name) }
            }
        }

        @Test func aFloodOfEventsHarmsNobody() throws {
            try Self.with(["flood.tasks.exit"]) { neighbour in
                #expect(try neighbour.run("flood.tasks.exit").status == 0)
                for _ in 0..<5 { try neighbour.isUnharmed(within: 10) }
                try neighbour.othersComeAndGo(within: 10)
                // Also its own container goes on.
                #expect(try neighbour.daemon.field(".State.Status", "flood.tasks.exit") == "running")
                #expect(try neighbour.daemon.client(["exec", "-d", "flood.tasks.exit", "true"]).finish().status == 0)
                try Self.remove(["flood.tasks.exit"], neighbour)
            }
        }
    }
}
