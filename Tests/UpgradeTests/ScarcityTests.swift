import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// What a manager without descriptors leaves, and what it keeps too many of.
    @Suite struct ScarcityTests {
        private func limit(_ daemon: Daemon, _ descriptors: Int) throws {
            let words = ["--pid", "\(daemon.pid)", "--nofile=\(descriptors):"]
            let outcome = try Command("prlimit", words, in: daemon.scratch).finish()
            try #require(outcome.status == 0, "\(outcome)")
        }

        @Test func aShimThatIsShortOfDescriptorsRestartsItsContainerLater() throws {
            try Daemon.with { (daemon) throws in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let script = "echo >>/gate/starts; until [ -e /gate/go ]; do sleep 0.05; done; rm /gate/go; exit 3"
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "--restart",
                    "on-failure:2",
                    "-v",
                    "\(gate.path):/gate",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                let shim = try daemon.shim("one")
                let log = try daemon.bundle("one").appendingPathComponent("shim.log")
                #expect(
                    try Command("prlimit", ["--pid", "\(shim)", "--nofile=3:"], in: daemon.scratch).finish().status == 0
                )
                try Data().write(to: gate.appendingPathComponent("go"))
                try eventually("the restart was tried more than once") {
                    try String(contentsOf: log, encoding: .utf8).components(separatedBy: "restart postponed").count > 2
                }
                // Nothing new can be asked of such a shim, so its manager may hear of the end a little later.
                try eventually(within: 60, "the end is known") {
                    try daemon.field(".State.Status", "one") == "restarting"
                }
                #expect(
                    try Command("prlimit", ["--pid", "\(shim)", "--nofile=4096:"], in: daemon.scratch).finish().status
                        == 0
                )
                try eventually("it runs again") { try daemon.field(".State.Running", "one") == "true" }
                #expect(try daemon.field(".RestartCount", "one") == "1")
                var told: [String] = []
                try eventually("its second start is told once, and nothing else: \(told)") {
                    told = try daemon.told("one")
                    return told == ["create", "start", "die", "start"]
                }
                #expect(try daemon.shim("one") == shim)
            }
        }

        @Test func whatATearDownCouldNotRemoveIsNoObstacleToTheNextStart() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let pid = try #require(Int32(try daemon.field(".State.Pid", "one")))
                // Nothing can be opened any more; what is open works.
                try limit(daemon, 3)
                #expect(kill(pid, SIGKILL) == 0)
                try eventually("the tear-down has failed") { daemon.logs().contains("bundle was not removed") }
                try limit(daemon, 4096)
                try eventually("its end is known") { try daemon.field(".State.ExitCode", "one") == "137" }
                try daemon.ok("start", "one")
                #expect(try daemon.field(".State.Running", "one") == "true")
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
            }
        }

        @Test(arguments: [true, false])
        func aRemovalThatFailedIsTriedAgain(inTheSameLife: Bool) throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--rm", "--name", "one", "berth/default", "sleep", "1000")
                let pid = try #require(Int32(try daemon.field(".State.Pid", "one")))
                try limit(daemon, 3)
                #expect(kill(pid, SIGKILL) == 0)
                try eventually("the removal has failed") { daemon.logs().contains("container was not removed") }
                if inTheSameLife {
                    try limit(daemon, 4096)
                } else {
                    try daemon.crash()
                    try daemon.start()
                }
                try eventually(within: 30, "it is gone") { try daemon.ok("ps", "-aq").isEmpty }
                #expect(try daemon.told("one").suffix(2) == ["die", "destroy"])
                // What could not be removed at first is gone as well.
                let trash = daemon.root.appendingPathComponent("snapshots/trash").path
                let bundles = daemon.state.appendingPathComponent("containers").path
                for folder in [trash, bundles] {
                    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [], "\(folder)")
                }
            }
        }

        @Test(arguments: [48, 60]) func aManagerThatStartsShortOfDescriptorsEndsNothing(_ count: Int) throws {
            try Daemon.with { (daemon) throws in
                var pids: [String: String] = [:]
                for index in 0..<8 {
                    let (name, policy) = ("c\(index)", index.isMultiple(of: 4) ? "adopt" : "kill")
                    try daemon.ok("run", "-d", "--name", name, "--shim-death", policy, "berth/default", "sleep", "1000")
                    pids[name] = try daemon.field(".State.Pid", name)
                }
                try daemon.crash()
                // Two processors' worth of event loops are in it.
                let loops = max(0, ProcessInfo.processInfo.activeProcessorCount - 2)
                try daemon.start(descriptors: count + 3 * loops)
                try eventually("some were not reached again and again") {
                    let log = daemon.logs()
                    return log.contains("has died") || log.components(separatedBy: "cannot be seen").count > 3
                }
                // Containers do not take what requests need.
                #expect(try daemon.ok("ps", "-q").split(separator: "\n").count == 8)
                // What it may open, it may not raise again.
                try daemon.crash()
                try daemon.start()
                for (name, pid) in pids {
                    try eventually(within: 60, "\(name) is reached") {
                        try daemon.berth("exec", name, "echo", "alive").output == "alive\n"
                    }
                    #expect(try daemon.field(".State.Pid", name) == pid)
                    #expect(try daemon.told(name).filter { ["die", "shim_die"].contains($0) }.isEmpty, "\(name)")
                }
            }
        }

        /// With any number of descriptors a manager either says that it cannot start, or it ends when it is told to.
        @Test func aManagerShortOfDescriptorsEndsWhenItIsTold() throws {
            try Daemon.with { (daemon) throws in
                for index in 0..<6 {
                    try daemon.ok("run", "-d", "--name", "c\(index)", "berth/default", "sleep", "1000")
                }
                try daemon.stop()
                let limits = Array(stride(from: 12, through: 60, by: 3))
                var ends: [Int: Int32] = [:]
                for limit in limits {
                    let options = ["--root", daemon.root.path, "--state", daemon.state.path]
                    let words = ["--net", "--", "prlimit", "--nofile=\(limit):\(limit)", Binaries.path("berthd")]
                    let manager = try Command("unshare", words + options, in: daemon.scratch)
                    try eventually("it has started or ended") {
                        !manager.isRunning || manager.errors.contains("listening")
                    }
                    manager.send(SIGTERM)
                    let outcome = try manager.finish(within: 10)
                    #expect([0, 1].contains(outcome.status), "\(limit): \(outcome)")
                    if outcome.status == 1 { #expect(outcome.errors.contains("open files"), "\(limit): \(outcome)") }
                    ends[limit] = outcome.status
                }
                #expect(ends[12] == 1 && (ends[60] == 0 || ProcessInfo.processInfo.activeProcessorCount > 8))
                try daemon.start()
                for index in 0..<6 {
                    try eventually("c\(index) is reached") {
                        try daemon.berth("exec", "c\(index)", "echo", "alive").output == "alive\n"
                    }
                }
            }
        }

        /// Heaps of threads, which the C library maps at multiples of 64 MiB, in two parts of that size together.
        @Test func threadsShareTheirHeaps() throws {
            try Daemon.with { (daemon) throws in
                for index in 0..<4 {
                    try daemon.ok("run", "-d", "--name", "c\(index)", "berth/default", "sleep", "1000")
                }
                let clients = try (0..<12).map { _ in try daemon.client(["ps", "-a"]) }
                for client in clients { #expect(try client.finish().status == 0) }
                let lines = try String(contentsOfFile: "/proc/\(daemon.pid)/maps", encoding: .utf8).split(
                    separator: "\n"
                )
                let ranges = lines.compactMap { line -> (Int, Int)? in
                    let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { Int($0, radix: 16) }
                    // A library's have a name.
                    return line.hasSuffix(" ") || line.split(separator: " ").count == 5 ? (ends[0], ends[1]) : nil
                }
                let heaps = zip(ranges, ranges.dropFirst()).filter { first, second in
                    first.0 % (64 << 20) == 0 && first.1 == second.0 && second.1 - first.0 == 64 << 20
                }
                #expect(!lines.isEmpty && heaps.count <= 1, "\(lines.joined(separator: "\n"))")
            }
        }

        private func descriptors(_ daemon: Daemon) throws -> [String] {
            let folder = "/proc/\(daemon.pid)/fd"
            return try FileManager.default.contentsOfDirectory(atPath: folder).compactMap {
                // One that was closed meanwhile.
                try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\($0)")
            }
        }

        private func work(_ daemon: Daemon, _ names: [String]) throws {
            for name in names {
                try daemon.ok("run", "-dit", "--name", name, "berth/default", "sh")
                try daemon.ok("run", "-di", "--name", "\(name)-piped", "berth/default", "cat")
                try daemon.ok("exec", "-d", name, "sleep", "1000")
            }
        }

        @Test func whatIsHeldOfAContainerGoesWithItAlsoAfterUpgrades() throws {
            try Daemon.with { (daemon) throws in
                // Once for what is opened at the first use.
                try work(daemon, ["zero"])
                try daemon.ok("system", "upgrade")
                try daemon.ok("rm", "-f", "zero", "zero-piped")
                var before = try descriptors(daemon)
                try eventually("nothing is held") {
                    before = try descriptors(daemon)
                    return !before.contains { $0.contains("pidfd") || $0.contains("ptmx") }
                }
                let names = ["one", "two", "three"]
                try work(daemon, names)
                for _ in 0..<2 { try daemon.ok("system", "upgrade") }
                #expect(try descriptors(daemon).count > before.count + 6 * names.count)
                for name in names { try daemon.ok("rm", "-f", name, "\(name)-piped") }
                var after: [String] = []
                try eventually("as many as before are open: \(before.sorted()), and now \(after.sorted())") {
                    after = try descriptors(daemon)
                    return after.count <= before.count
                }
            }
        }
    }
}
