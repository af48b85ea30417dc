import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// What is refused becomes a line in front of somebody.
    @Suite struct DenialTests {
        private static let rounds = 6
        /// Of a machine that is up; the same inside and outside, to ten milliseconds.
        private static func uptime() throws -> Double {
            let text = try String(contentsOfFile: "/proc/uptime", encoding: .utf8)
            return try #require(text.split(separator: " ").first.flatMap { Double($0) })
        }

        /// Says when, and has a call refused; each time another process, and so another kind.
        private static let rounds6 = """
            n=0; while [ $n -lt \(rounds) ]; do
                n=$((n+1)); read now rest </proc/uptime; echo $now; $CALL /tmp/d 2>/dev/null; sleep 0.35
            done
            """

        /// The promise is a second, from the call to the line.
        @Test(arguments: [false, true]) func aDenialIsALineWithinASecond(isFlooded: Bool) throws {
            try Daemon.with { daemon in
                _ = try ProfileUseTests.learn(daemon, "web", "(CALL=ls; \(Self.rounds6)) & wait; :")
                try daemon.ok("profile", "promote", "web")
                let follower = try daemon.client(["profile", "denials", "-f", "web", "--format", "json"])
                // A call of the shell itself: one kind, as often as it can.
                let flood = isFlooded ? "(while :; do kill -0 $$; done) 2>/dev/null & " : ""
                let options = ["--rm", "--security-opt", "berth.profile=web"] + ProfileUseTests.alone
                // The flood ends with the first process.
                let script = "\(flood)CALL=mkdir; \(Self.rounds6)"
                let run = try daemon.client(["run"] + options + ["berth/default", "sh", "-c", script])
                var arrivals: [Double] = []
                try eventually(within: 30, "all denials are told") {
                    let lines = follower.output.split(separator: "\n").filter { $0.contains("\"mkdir\"") }
                    while arrivals.count < lines.count { arrivals.append(try Self.uptime()) }
                    return arrivals.count >= Self.rounds
                }
                if isFlooded { #expect(follower.output.contains("\"kill\"")) }
                let calls = try run.finish().lines.compactMap { Double($0) }
                #expect(calls.count == Self.rounds && arrivals.count == Self.rounds)
                let delays = zip(arrivals, calls).map { ($0 - $1) / patience }
                #expect(delays.allSatisfy { $0 < 1 }, "\(delays)")
                follower.send(SIGKILL)
                try follower.finish()
            }
        }

        /// A report of a run that goes on would make half a profile of what was removed.
        @Test func aProfileIsNotForgottenWhileItLearns() throws {
            try Daemon.with { daemon in
                let options = ["-d", "--name", "pupil", "--security-opt", "berth.learn=p"] + ProfileUseTests.alone
                let script = "while :; do ls / >/dev/null; sleep 0.1; done"
                let run = try daemon.client(["run"] + options + ["berth/default", "sh", "-c", script]).finish()
                #expect(run.status == 0, "\(run)")
                try eventually("it learns") { try daemon.ok("profile", "show", "p").contains("getdents64") }
                for words in [["profile", "rm", "p"], ["profile", "rm", "-f", "p"]] {
                    let outcome = try daemon.client(words).finish()
                    #expect(outcome.status == 1 && outcome.errors.contains("'pupil'"), "\(outcome)")
                }
                #expect(try daemon.ok("profile", "ls", "-q") == "p")
                try daemon.ok("stop", "-t", "0", "pupil")
                #expect(try daemon.berth("profile", "rm", "p").status == 1)
                try daemon.ok("profile", "rm", "-f", "p")
                #expect(try daemon.ok("profile", "ls", "-q").isEmpty)
                // What it learns from then on is a whole run.
                try daemon.ok("start", "pupil")
                try eventually("it learns again") { try daemon.ok("profile", "ls", "-q") == "p" }
                try daemon.ok("rm", "-f", "pupil")
                try eventually("the run is complete") {
                    try daemon.ok("profile", "ls", "--format", "{{.Runs}} {{.IncompleteRuns}}") == "1 0"
                }
                #expect(try daemon.ok("profile", "show", "p", "--format", "{{.Call}}").contains("execve"))
                try daemon.ok("profile", "rm", "p")
            }
        }
    }
}
