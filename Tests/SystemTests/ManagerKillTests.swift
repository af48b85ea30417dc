import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// The manager is killed, and nothing is lost.
    @Suite struct ManagerKillTests {
        /// How long it stays down: BERTH_TEST_DOWN seconds, else three.
        private static let down = Double(ProcessInfo.processInfo.environment["BERTH_TEST_DOWN"] ?? "") ?? 3

        /// Counts as fast as it can until it is told to stop; then says how far it came, and ends in `ending`.
        private static func writer(_ ending: String) -> String {
            "i=0; while [ ! -e /stop ]; do i=$((i+1)); echo $i; done; echo total $i; \(ending)"
        }

        @Test func twentyWritersLoseNothing() throws {
            try Daemon.with { (daemon) throws in
                // What is told from outside, with the manager gone, is told by a file in a directory of both.
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let endings = ["exit 0", "exit 1", "exit 42", "exec sleep 1000", "exit 126", "exit 127"]
                let codes = ["0", "1", "42", "137", "126", "127"]
                for index in 0..<20 {
                    let remove = index >= 18 ? ["--rm"] : []
                    let script = Self.writer(endings[index % 6])
                    let options =
                        ["run", "-d", "--name", "w\(index)", "--log-opt", "max-size=200m", "-v", "\(gate.path):/gate"]
                        + remove
                    let outcome = try daemon.client(options + ["berth/default", "sh", "-c", script]).finish()
                    try #require(outcome.status == 0, "\(outcome)")
                }
                // Half of them end by themselves while there is no manager.
                let early = Array(0..<10) + [18]
                let exec = try daemon.client([
                    "exec", "w19", "sh", "-c", "echo begun; while [ ! -e /end ]; do sleep 0.05; done; exit 33",
                ])
                try eventually("the exec runs") { exec.output == "begun\n" }
                let stoppers = try early.map { index in
                    try daemon.client([
                        "exec", "w\(index)", "sh", "-c",
                        "echo begun; until [ -e /gate/go ]; do sleep 0.05; done; sleep \(index % 3); touch /stop",
                    ])
                }
                for stopper in stoppers { try eventually("the stopper runs") { stopper.output == "begun\n" } }
                let pids = try (0..<20).map { try Int32(daemon.field(".State.Pid", "w\($0)")) ?? -1 }
                let logs = try (0..<20).map { try daemon.field(".LogPath", "w\($0)") }

                let killed = Date()
                try daemon.crash()
                try Data().write(to: gate.appendingPathComponent("go"))
                // The first process of a container takes no signal of its own: those that end by one get it from here,
                // when their log says that they are done.
                func killDone(_ indices: [Int]) throws {
                    for index in indices where index % 6 == 3 {
                        try eventually(within: 30, "writer \(index) is done") { try Self.isDone(logs[index]) }
                        kill(pids[index], SIGKILL)
                    }
                }
                try killDone(early)
                try eventually(within: 30, "half of the writers have ended") {
                    early.allSatisfy { !FileManager.default.fileExists(atPath: "/proc/\(pids[$0])") }
                }
                let sizes = try logs.map { try Self.size(of: $0) }
                // The pause is what is tested: a manager that is away for long.
                Thread.sleep(until: killed.addingTimeInterval(Self.down))
                for index in 10..<18 {
                    #expect(kill(pids[index], 0) == 0, "writer \(index) has stopped")
                    #expect(try Self.size(of: logs[index]) > sizes[index], "the log of writer \(index) stands still")
                }
                let restarted = Date()
                try daemon.start()

                for index in early where index < 18 {
                    // The manager answers before it has asked every shim.
                    #expect(try daemon.ok("wait", "w\(index)") == codes[index % 6])
                    #expect(try daemon.field(".State.ExitCode", "w\(index)") == codes[index % 6])
                    let end = try Self.time(daemon.field(".State.FinishedAt", "w\(index)"))
                    #expect(end > killed && end < restarted, "w\(index) ended at \(end)")
                }
                try eventually("the removed one is gone") { try daemon.berth("inspect", "w18").status == 1 }
                try daemon.ok("exec", "w19", "touch", "/end")
                let end = try exec.finish()
                #expect(end.status == 33, "\(end)")
                for index in 10..<20 where index != 18 {
                    #expect(try daemon.field(".State.Pid", "w\(index)") == String(pids[index]))
                    // The container ends as soon as it sees the file, and then takes `touch` with it (137).
                    let status = try daemon.berth("exec", "w\(index)", "touch", "/stop").status
                    #expect([0, 137].contains(status), "w\(index): \(status)")
                }
                try killDone(Array(10..<18))
                for index in 10..<18 { #expect(try daemon.ok("wait", "w\(index)") == codes[index % 6]) }
                try eventually("the other removed one is gone") { try daemon.berth("inspect", "w19").status == 1 }
                for index in 0..<18 { try Self.checkLog(of: "w\(index)", daemon) }
            }
        }

        /// Every number once and in order, and the last line says the same as the last number.
        private static func checkLog(of name: String, _ daemon: Daemon) throws {
            let log = try daemon.berth("logs", name, within: 120).output
            var expected = 0
            var isWhole = true
            for line in log.utf8.split(separator: UInt8(ascii: "\n")) {
                guard let number = Int(Substring(line)) else {
                    #expect(String(Substring(line)) == "total \(expected)", "\(name)")
                    break
                }
                expected += 1
                if number != expected {
                    isWhole = false
                    break
                }
            }
            #expect(isWhole && expected > 0, "the log of \(name) breaks at \(expected)")
        }

        /// Whether the end of a log says that the writer has stopped.
        private static func isDone(_ file: String) throws -> Bool {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
            defer { try? handle.close() }
            let end = try handle.seekToEnd()
            try handle.seek(toOffset: end > 200 ? end - 200 : 0)
            return String(decoding: try handle.readToEnd() ?? Data(), as: UTF8.self).contains("total")
        }

        private static func size(of file: String) throws -> Int {
            try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int ?? 0
        }

        private static func time(_ text: String) throws -> Date {
            let formatter = ISO8601DateFormatter()
            formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
            let parts = text.split(separator: ".")
            let short = parts.count == 2 ? "\(parts[0]).\(parts[1].prefix(3))Z" : text
            return try #require(formatter.date(from: short))
        }

        @Test func exitCodesOfCommandsThatCannotStartAreKept() throws {
            try Daemon.with { (daemon) throws in
                #expect(
                    try daemon.berth("run", "--name", "missing", "berth/default", "nothing-of-that-name").status == 127
                )
                #expect(try daemon.berth("run", "--name", "directory", "berth/default", "/etc").status == 126)
                try daemon.crash()
                try daemon.start()
                #expect(try daemon.field(".State.ExitCode", "missing") == "127")
                #expect(try daemon.field(".State.ExitCode", "directory") == "126")
            }
        }

        @Test func anOrderlyStopLeavesContainersRunning() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "100")
                let pid = try daemon.field(".State.Pid", "one")
                #expect(try daemon.stop()?.status == 0)
                #expect(kill(Int32(pid) ?? -1, 0) == 0)
                try daemon.start()
                #expect(try daemon.field(".State.Pid", "one") == pid)
                #expect(try daemon.ok("exec", "one", "echo", "still") == "still")
            }
        }
    }
}
