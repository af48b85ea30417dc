import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// What cannot be done now is refused, and says whose fault it is.
    @Suite struct RefusalTests {
        @Test func aBindThatDoesNotAnswerIsNamedAndDelaysNobody() throws {
            let disk = try PrivateDisk.silent()
            defer { disk.remove() }
            try Daemon.with(mountsOf: disk.pid) { (daemon) throws in
                let source = daemon.scratch.appendingPathComponent("source").path
                try FileManager.default.createSymbolicLink(atPath: source, withDestinationPath: "/var")
                let bind = { (path: String) in ["-v", "\(path):/data", "berth/default", "true"] }
                let early = try daemon.client(["create", "--name", "early"] + bind(source)).finish()
                try #require(early.status == 0, "\(early)")
                try FileManager.default.removeItem(atPath: source)
                try FileManager.default.createSymbolicLink(atPath: source, withDestinationPath: disk.path)

                let create = try daemon.client(["create", "--name", "late"] + bind(disk.path))
                let start = try daemon.client(["start", "early"])
                let others = try daemon.seconds { () throws in
                    try daemon.ok("run", "--rm", "berth/default", "true")
                    #expect(try daemon.ok("ps", "-a", "--format", "{{.Names}}") == "early")
                }
                #expect(create.isRunning && start.isRunning)
                #expect(others < 5, "\(others) s")
                for (command, path) in [(create, disk.path), (start, source)] {
                    let outcome = try command.finish(within: 30)
                    #expect(outcome.status != 0 && outcome.errors.contains("'\(path)'"), "\(outcome)")
                }
                try FileManager.default.removeItem(atPath: source)
                try FileManager.default.createSymbolicLink(atPath: source, withDestinationPath: "/var")
                try daemon.ok("start", "early")
                #expect(try daemon.ok("wait", "early") == "0")
            }
        }

        @Test func aProcessOfTheLastRunRefusesTheStart() throws {
            try Daemon.with { (daemon) throws in
                let script = "[ -e /once ] && exec sleep 1000; touch /once; exit 7"
                #expect(try daemon.berth("run", "--name", "one", "berth/default", "sh", "-c", script).status == 7)
                try daemon.ok("run", "-d", "--name", "two", "berth/default", "sleep", "1000")
                let (id, other) = (try daemon.field(".Id", "one"), try daemon.field(".Id", "two"))
                // As if a task had lived through an end: there is its cgroup, with somebody in it.
                let groups = HostState.cgroups(of: [other]).sorted()
                    .map { $0.replacingOccurrences(of: other, with: id) }
                try #require(!groups.isEmpty)
                let left = try Command("sleep", ["1000"], in: daemon.scratch)
                defer { for group in groups.reversed() { rmdir(group) } }
                for group in groups {
                    try FileManager.default.createDirectory(atPath: group, withIntermediateDirectories: true)
                    // Nobody may enter a cgroup that has no processors yet (cpuset).
                    try? FileHandle(forWritingTo: URL(fileURLWithPath: group + "/cgroup.procs"))
                        .write(contentsOf: Data("\(left.pid)".utf8))
                }
                let place = try String(contentsOfFile: "/proc/\(left.pid)/cgroup", encoding: .utf8)
                try #require(place.contains(id))
                let refused = try daemon.berth("start", "one")
                #expect(refused.status != 0 && refused.errors.contains("process \(left.pid) of its last run is left"))
                #expect(try daemon.field(".State.Status", "one") == "exited")
                #expect(try daemon.field(".State.ExitCode", "one") == "7")
                left.send(SIGKILL)
                try left.finish(within: 10)
                try daemon.ok("start", "one")
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
            }
        }
    }
}
