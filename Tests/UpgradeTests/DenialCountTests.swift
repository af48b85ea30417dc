import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// Each refused call is counted once, whoever dies meanwhile, and although the container is gone in the end.
    @Suite struct DenialCountTests {
        /// A call of the shell itself, as often as it can.
        private static func script(_ call: String) -> String {
            "i=0; until [ -e /gate/go ]; do \(call); i=$((i+1)); done 2>/dev/null; echo $i >/gate/count"
        }

        @Test(arguments: ["enforce", "audit"])
        func everyRefusedCallIsCountedOnce(mode: String) throws {
            try Daemon.with { (daemon) throws in
                let gate = daemon.scratch.appendingPathComponent("gate")
                try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
                let options = ["--network", "none", "-v", "\(gate.path):/gate", "berth/default", "sh", "-c"]
                let lesson =
                    "i=0; until [ $i -gt 2 ]; do [ -e /gate/go ]; i=$((i+1)); done 2>/dev/null; echo $i >/gate/count"
                let learned = try daemon.client(["profile", "learn", "--name", "p", "--rm"] + options + [lesson])
                    .finish()
                #expect(learned.status == 0, "\(learned)")
                try daemon.ok("profile", "promote", "p")
                let words = ["-d", "--rm", "--name", "one", "--security-opt", "berth.profile=p"]
                let run = try daemon.client(
                    ["run"] + words + ["--security-opt", "berth.mode=\(mode)"] + options + [Self.script("kill -0 $$")]
                ).finish()
                #expect(run.status == 0, "\(run)")
                let answer = mode == "audit" ? "allowed" : "EPERM"
                try goes(on: daemon, "at the beginning", answer)

                try daemon.crash()
                try daemon.start()
                try goes(on: daemon, "after the manager's death", answer)
                var shim = try daemon.shim("one")
                for round in 0..<2 {
                    let old = try daemon.signal(SIGKILL, shimOf: "one")
                    try eventually("a new shim has taken over") {
                        shim = try daemon.shim("one")
                        return try shim != old && !daemon.field("json .State.Berth", "one").contains("Reachable")
                    }
                    try goes(on: daemon, "after the shim's death \(round)", answer)
                }
                try daemon.ok("shim", "upgrade", "one")
                try goes(on: daemon, "after the shim's upgrade", answer)

                // The end comes without a manager, and nothing is left of the container but its counts.
                try daemon.crash()
                try Data().write(to: gate.appendingPathComponent("go"))
                let file = gate.appendingPathComponent("count")
                var made: UInt64?
                try eventually("it has ended") {
                    made = UInt64(try String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .newlines))
                    return made != nil && made != 3
                }
                try daemon.start()
                try eventually("it is gone") { try daemon.ok("ps", "-aq").isEmpty }
                let (count, others) = try told(daemon, answer)
                #expect(count == made && others.isEmpty, "\(count) of \(made ?? 0) were told; besides \(others)")
            }
        }

        /// How often the call was told, and whatever else was.
        private func told(_ daemon: Daemon, _ answer: String) throws -> (UInt64, [String]) {
            var (count, others): (UInt64, [String]) = (0, [])
            for line in try daemon.ok("profile", "denials", "p", "--format", "json").split(separator: "\n") {
                let row = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                if row["Syscall"] as? String == "kill", row["Answer"] as? String == answer {
                    count += (row["Count"] as? NSNumber)?.uint64Value ?? 0
                } else {
                    others.append(String(line))
                }
            }
            return (count, others)
        }

        private func goes(on daemon: Daemon, _ when: String, _ answer: String) throws {
            let before = try told(daemon, answer).0
            try eventually("more is told \(when)") { try told(daemon, answer).0 > before }
        }
    }
}
