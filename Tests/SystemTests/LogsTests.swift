import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// `berth logs`.
    @Suite struct LogsTests {
        @Test func tailSinceUntilAndTimestamps() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok(
                    "run",
                    "--name",
                    "one",
                    "berth/default",
                    "sh",
                    "-c",
                    "seq 1 10; echo e >&2; sleep 1.2; echo last"
                )
                #expect(try daemon.ok("logs", "one") == (1...10).map(String.init).joined(separator: "\n") + "\nlast")
                #expect(try daemon.berth("logs", "one").errors == "e\n")
                #expect(try daemon.ok("logs", "--tail", "2", "one") == "last")
                #expect(try daemon.ok("logs", "-n", "1", "one") == "last")
                #expect(try daemon.ok("logs", "--tail", "0", "one") == "")
                let stamped = try daemon.ok("logs", "-t", "one").split(separator: "\n").map(String.init)
                let times = stamped.map { String($0.prefix { $0 != " " }) }
                #expect(times == times.sorted())
                let last = try #require(times.last)
                #expect(last.count == 30)
                #expect(try daemon.ok("logs", "--since", last, "one") == "last")
                #expect(try daemon.ok("logs", "--until", times[9], "one").hasSuffix("10"))
                #expect(try daemon.ok("logs", "--since", "1h", "one").hasSuffix("last"))
            }
        }

        @Test func followEndsWithTheContainer() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "-i",
                    "berth/default",
                    "sh",
                    "-c",
                    "echo one; while [ ! -e /go ]; do sleep 0.02; done; echo two"
                )
                let follower = try daemon.client(["logs", "-f", "one"])
                try eventually("the first line is there") { follower.output == "one\n" }
                try daemon.ok("exec", "one", "touch", "/go")
                let outcome = try follower.finish(within: 20)
                #expect(outcome.status == 0)
                #expect(outcome.output == "one\ntwo\n")
            }
        }

        @Test func rotationKeepsTheOrder() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok(
                    "run",
                    "--name",
                    "one",
                    "--log-opt",
                    "max-size=64k",
                    "--log-opt",
                    "max-file=3",
                    "berth/default",
                    "seq",
                    "1",
                    "20000"
                )
                let numbers = try daemon.ok("logs", "one").split(separator: "\n").compactMap { Int($0) }
                #expect(numbers.last == 20_000)
                #expect(numbers == Array((20_001 - numbers.count)...20_000))
                #expect(numbers.count < 20_000)
            }
        }

        @Test func bytesAreKeptExactly() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok(
                    "run",
                    "--name",
                    "one",
                    "berth/default",
                    "sh",
                    "-c",
                    "printf 'no newline'; printf '\\r\\n\\ttab\\n\\nend'"
                )
                #expect(try daemon.berth("logs", "one").output == "no newline\r\n\ttab\n\nend")
            }
        }
    }
}
