import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// `berth shim ls` and `berth shim upgrade`.
    @Suite struct ShimUpgradeVerbTests {
        private static let shims = 12

        @Test func allShimsAreReplacedUnderTheirContainers() throws {
            try Daemon.with { (daemon) throws in
                let count = "i=0; while [ ! -e /stop ]; do i=$((i+1)); echo $i; usleep 2000; done; exit 5"
                for index in 0..<Self.shims {
                    try daemon.ok("run", "-d", "--name", "c\(index)", "berth/default", "sh", "-c", count)
                }
                let before = try rows(daemon)
                #expect(before.count == Self.shims)
                #expect(before.allSatisfy { $0["State"] as? String == "reachable" && ($0["Pid"] as? Int ?? 0) > 0 })
                #expect(before.allSatisfy { ($0["PrivateMemory"] as? Int ?? 0) > 0 && $0["Protocol"] as? Int == 1 })

                let session = try daemon.client(["exec", "-i", "c0", "cat"], keepsInput: true)
                try session.type("before\n")
                try eventually("the session answers") { session.output == "before\n" }
                let logs = try daemon.client(["logs", "-f", "c1"])
                let outcome = try daemon.ok("shim", "upgrade", "--all")
                #expect(outcome.split(separator: "\n").count == Self.shims)
                try session.type("after\n")
                try eventually("the session goes on") { session.output == "before\nafter\n" }
                session.closeInput()
                #expect(try session.finish().status == 0)

                let after = try rows(daemon)
                #expect(after.allSatisfy { $0["State"] as? String == "reachable" })
                #expect(after.map { $0["Pid"] as? Int } == before.map { $0["Pid"] as? Int })
                for index in 0..<Self.shims {
                    // The container ends as soon as it sees the file, and then takes `touch` with it (137).
                    #expect([0, 137].contains(try daemon.berth("exec", "c\(index)", "touch", "/stop").status))
                    #expect(try daemon.ok("wait", "c\(index)") == "5")
                    let lines = try daemon.ok("logs", "c\(index)").split(separator: "\n").map { String($0) }
                    let expected = (1...max(1, lines.count)).map { String($0) }
                    #expect(lines == expected, "c\(index)")
                }
                #expect(try logs.finish().output == daemon.berth("logs", "c1").output)
                #expect(try rows(daemon).isEmpty)
            }
        }

        @Test func programThatIsNoShimChangesNothing() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let pid = try rows(daemon).first?["Pid"] as? Int
                for binary in ["/bin/true", "/nowhere", Binaries.path("berthd")] {
                    let outcome = try daemon.berth("shim", "upgrade", "--binary", binary, "one")
                    #expect(outcome.status == 1 && outcome.errors.contains("one: "), "\(outcome)")
                }
                let row = try rows(daemon).first
                #expect(row?["State"] as? String == "reachable" && row?["Pid"] as? Int == pid)
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                #expect(try daemon.berth("shim", "upgrade", "nobody").status == 1)
                #expect(try daemon.berth("shim", "upgrade").status == 125)
                #expect(try daemon.berth("shim", "upgrade", "--all", "one").status == 125)
            }
        }

        @Test func aShimThatIsNotFoundAfterItsUpgradeIsMetAgain() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "two", "berth/default", "sleep", "1000")
                let pid = try daemon.field(".State.Pid", "two")
                let socket = try daemon.bundle("two").appendingPathComponent("shim.sock").path
                #expect(rename(socket, socket + ".kept") == 0)
                let outcome = try daemon.berth("shim", "upgrade", "two")
                #expect(outcome.status == 1 && outcome.errors.contains("two: "), "\(outcome)")
                #expect(rename(socket + ".kept", socket) == 0)
                try eventually(within: 40, "it is met again") {
                    try daemon.berth("exec", "two", "echo", "alive").output == "alive\n"
                }
                #expect(try daemon.field(".State.Pid", "two") == pid)
            }
        }

        private func rows(_ daemon: Daemon) throws -> [[String: Any]] {
            let answer = Poller.answer(
                Poller.send("GET /berth/v1/shims HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", to: daemon.socket)
            )
            let body = try #require(answer.range(of: "\r\n\r\n"))
            let document = try JSONSerialization.jsonObject(with: Data(answer[body.upperBound...].utf8))
            return try #require(document as? [[String: Any]])
        }
    }
}
