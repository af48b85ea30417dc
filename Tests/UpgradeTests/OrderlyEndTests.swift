import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// An end that was asked for comes in time, whatever is under way.
    @Suite struct OrderlyEndTests {
        /// Ends the manager, and says how many seconds that took.
        private func end(_ daemon: Daemon, within seconds: Double) throws -> (took: Double, errors: String) {
            let begun = Date()
            daemon.send(SIGTERM)
            let outcome = try #require(try daemon.ended(within: seconds))
            #expect(outcome.status == 0, "\(outcome)")
            return (Date().timeIntervalSince(begun), outcome.errors)
        }

        private func isStopped(_ pid: Int32) throws -> Bool {
            try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8).contains(") T ")
        }

        /// It would wait a minute for the answer, and as long again for what it undoes.
        @Test func aShimThatIsSilentInTheMiddleOfAStartKeepsNobody() throws {
            try Daemon.with(executable: "berthd-faults", environment: ["BERTH_FAULT": "start.created:freeze"]) {
                daemon in
                let id = try daemon.ok("create", "--name", "one", "berth/default", "sleep", "1000")
                let start = try daemon.client(["start", "one"], environment: ["BERTH_PATIENCE": "0"])
                let bundle = daemon.state.appendingPathComponent("containers/\(id)")
                var shim: Int32 = -1
                try eventually("the shim is frozen") {
                    guard let pid = try? daemon.recordedShim(in: bundle) else { return false }
                    shim = pid
                    return try isStopped(pid)
                }
                defer { kill(shim, SIGCONT) }
                let ended = try end(daemon, within: 40)
                #expect(ended.took < 15 && !ended.errors.contains("left to the next start"), "\(ended)")
                try start.finish(within: 20)
                #expect(kill(shim, SIGCONT) == 0)
                try daemon.start()
                // The call lay with the shim, which carries it out if it comes to it before the manager has undone what was begun.
                try eventually("it runs, by that call or by another") {
                    try daemon.berth("start", "one").status == 0
                        && daemon.berth("exec", "one", "echo", "alive").output == "alive\n"
                }
                let told = try daemon.told("one").filter { !$0.hasPrefix("exec") && !$0.contains("reachable") }
                #expect(told == ["create", "start"])
            }
        }

        @Test func workThatHangsIsLeftToTheNextStart() throws {
            let environment = ["BERTH_FAULT": "create.directories:hang", "BERTH_DEADLINE": "1"]
            try Daemon.with(executable: "berthd-faults", environment: environment) { (daemon) throws in
                let create = try daemon.client(
                    ["create", "--name", "one", "berth/default", "true"],
                    environment: ["BERTH_PATIENCE": "0"]
                )
                let folder = daemon.root.appendingPathComponent("containers").path
                try eventually("it hangs") { try !FileManager.default.contentsOfDirectory(atPath: folder).isEmpty }
                let ended = try end(daemon, within: 20)
                #expect(ended.took < 12 && ended.errors.contains("left to the next start"), "\(ended)")
                try create.finish(within: 20)
                try daemon.start()
                try daemon.ok("create", "--name", "one", "berth/default", "true")
            }
        }

        /// Every thread that has something to say waits there, at the signal already.
        @Test func aManagerWhoseErrorsNobodyReadsEndsAllTheSame() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                try daemon.stop()
                let pipe = daemon.scratch.appendingPathComponent("errors").path
                #expect(mkfifo(pipe, 0o600) == 0)
                // Both ends are the manager's own: nobody else has to be there for it to write.
                let script = #"exec 2<>"$1"; shift; exec "$@""#
                let options = ["--root", daemon.root.path, "--state", daemon.state.path]
                let words = ["--net", "--", "sh", "-c", script, "sh", pipe, Binaries.path("berthd-faults")]
                let manager = try Command(
                    "unshare",
                    words + options,
                    in: daemon.scratch,
                    environment: ["BERTH_DEADLINE": "1"]
                )
                try eventually("it answers") { try daemon.berth("ps").status == 0 }
                // To the last byte.
                for size in ["4096", "1"] {
                    try Command(
                        "dd",
                        ["if=/dev/zero", "of=\(pipe)", "bs=\(size)", "oflag=nonblock"],
                        in: daemon.scratch
                    )
                    .finish()
                }
                manager.send(SIGTERM)
                #expect(try manager.finish(within: 20).status == 0)
                try daemon.start()
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
            }
        }
    }
}
