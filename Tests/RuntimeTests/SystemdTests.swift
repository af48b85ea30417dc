import Foundation
import SystemFixture
import Testing

/// Whether systemd is process 1 and cgroups are version 2 alone.
let systemdHasAll =
    FileManager.default.fileExists(atPath: "/run/systemd/private")
    && FileManager.default.fileExists(atPath: "/sys/fs/cgroup/cgroup.controllers")

/// `--systemd-cgroup`: the container's group is a transient scope, which systemd makes and watches.
@Suite(.enabled(if: systemdHasAll, "systemd with cgroup v2"), .serialized) struct SystemdTests {
    /// A container in a scope of its own slice, and its calls.
    private final class Scoped {
        let fixture: RuntimeFixture
        /// Not the container's id: `cgroupsPath` says how the scope is called.
        let name = "scoped-\(UUID().uuidString.prefix(8).lowercased())"
        var unit: String { "berthtest-\(name).scope" }
        var group: String { "/berthtests.slice/\(unit)" }

        init(_ script: String) throws {
            fixture = try RuntimeFixture(script)
            try fixture.configure { document in
                var linux = try #require(document["linux"] as? [String: Any])
                linux["cgroupsPath"] = "berthtests.slice:berthtest:\(name)"
                linux["resources"] = [
                    // What `spec` says: nothing but the default devices, which every container has.
                    "devices": [["allow": false, "access": "rwm"]],
                    "memory": ["limit": 64 << 20], "pids": ["limit": 40], "cpu": ["shares": 512],
                ]
                document["linux"] = linux
                var process = try #require(document["process"] as? [String: Any])
                let sets = ["CAP_MKNOD", "CAP_KILL"]
                process["capabilities"] = ["bounding": sets, "effective": sets, "permitted": sets]
                document["process"] = process
                document["root"] = ["path": "rootfs", "readonly": false]
            }
        }

        deinit {
            _ = try? call("delete", "--force", fixture.id)
            _ = try? systemctl("stop", "berthtests.slice")
        }

        @discardableResult
        func call(_ words: String...) throws -> Outcome {
            try fixture.shell([RuntimeFixture.program, "--root", fixture.containers, "--systemd-cgroup"] + words)
        }

        @discardableResult
        func systemctl(_ words: String...) throws -> Outcome { try fixture.shell(["systemctl"] + words) }

        func property(_ name: String) throws -> String { try systemctl("show", "-P", name, unit).text }

        func file(_ name: String) throws -> String {
            try String(contentsOfFile: "/sys/fs/cgroup\(group)/\(name)", encoding: .utf8)
                .trimmingCharacters(in: .newlines)
        }

        /// Every process in the scope and below it.
        func members() throws -> Set<Int32> {
            let place = "/sys/fs/cgroup\(group)"
            let found = try fixture.shell(["find", place, "-name", "cgroup.procs", "-exec", "cat", "{}", "+"])
            return Set(found.lines.compactMap { Int32($0) })
        }

        func pid() throws -> Int32 { try #require(fixture.state()["pid"] as? Int32) }
    }

    /// What a process may do with a device that every container has, and with the kernel's log, which none has.
    private static let devices = """
        [ -e /log ] || mknod /log c 1 11
        (: < /dev/null) && (: > /dev/null) && head -c 1 /dev/zero | wc -c
        (: < /log) 2>/dev/null && echo open || echo closed
        """

    private static let expected = ["1", "closed"]

    @Test func theWholeLifeInAScope() throws {
        let scoped = try Scoped("exec sleep 1000")
        let (fixture, id) = (scoped.fixture, scoped.fixture.id)
        let created = try scoped.call("create", "--bundle", fixture.bundle.path, id)
        #expect(created.status == 0, "\(created)")
        let pid = try scoped.pid()
        #expect(try scoped.members().contains(pid))
        #expect(try scoped.property("ActiveState") == "active")
        #expect(try scoped.property("Delegate") == "yes")
        #expect(try scoped.property("MemoryMax") == String(64 << 20))
        #expect(try scoped.file("memory.max") == String(64 << 20))
        #expect(try scoped.call("start", id).status == 0)
        #expect(try fixture.status() == "running")
        // All of a container's processes, and nobody else's: not even those who made it.
        #expect(try scoped.call("ps", "--format", "json", id).text == "[\(pid)]")
        let group = try String(contentsOfFile: "/proc/\(pid)/cgroup", encoding: .utf8)
        #expect(group.hasPrefix("0::\(scoped.group)"), "\(group)")

        let seen = try scoped.call("exec", id, "sh", "-c", Self.devices + "\ncat /proc/self/cgroup")
        #expect(seen.lines.prefix(2) == Self.expected[...], "\(seen)")
        // The namespace of cgroups is the container's own: the scope's name is not seen.
        #expect(seen.lines.count == 3 && !seen.output.contains(scoped.name), "\(seen)")
        let other = fixture.scratch.appendingPathComponent("pid").path
        #expect(try scoped.call("exec", "-d", "--pid-file", other, id, "sleep", "1000").status == 0)
        let second = try #require(Int32(String(contentsOfFile: other, encoding: .utf8)))
        #expect(try scoped.members().isSuperset(of: [pid, second]))

        #expect(try scoped.call("pause", id).status == 0)
        #expect(try fixture.status() == "paused")
        #expect(try scoped.call("resume", id).status == 0)
        #expect(try scoped.call("kill", id, "KILL").status == 0)
        try eventually("it has stopped") { try fixture.status() == "stopped" }
        #expect(try scoped.call("delete", id).status == 0)
        #expect(try scoped.property("ActiveState") == "inactive")
        #expect(!FileManager.default.fileExists(atPath: "/sys/fs/cgroup\(scoped.group)"))
        #expect(kill(second, 0) == -1 && !fixture.isRecorded)
    }

    @Test func reloadTakesNoDeviceAndNoLimit() throws {
        let scoped = try Scoped("exec sleep 1000")
        let id = scoped.fixture.id
        let outcome = try scoped.call("run", "--detach", "--bundle", scoped.fixture.bundle.path, id)
        #expect(outcome.status == 0, "\(outcome)")
        // The first round is before any reload; an update comes between the others.
        for (round, memory) in [64, 64, 96, 96].enumerated() {
            if round > 0 { #expect(try scoped.systemctl("daemon-reload").status == 0) }
            if round == 2 {
                let limits = ["--memory", "\(memory << 20)", "--pids-limit", "30", "--cpu-quota", "50000"]
                let words = [RuntimeFixture.program, "--root", scoped.fixture.containers, "--systemd-cgroup", "update"]
                #expect(try scoped.fixture.shell(words + limits + [id]).status == 0)
            }
            let seen = try scoped.call("exec", id, "sh", "-c", Self.devices)
            #expect(seen.lines == Self.expected, "round \(round): \(seen)")
            #expect(try scoped.file("memory.max") == String(memory << 20), "round \(round)")
            #expect(try scoped.property("MemoryMax") == String(memory << 20), "round \(round)")
            // One more than was asked for, for who keeps the scope.
            #expect(try scoped.file("pids.max") == (round < 2 ? "41" : "31"), "round \(round)")
            #expect(try scoped.file("cpu.max") == (round < 2 ? "max 100000" : "50000 100000"), "round \(round)")
        }
        #expect(try scoped.call("delete", "--force", id).status == 0)
        #expect(try scoped.property("ActiveState") == "inactive")
    }

    @Test(arguments: ["/not/of/systemd", "a:b", "a--b.slice:x:y"])
    func nameThatIsNoScopeIsRefused(_ path: String) throws {
        let scoped = try Scoped("exit 0")
        try scoped.fixture.configure { document in
            var linux = try #require(document["linux"] as? [String: Any])
            linux["cgroupsPath"] = path
            document["linux"] = linux
        }
        #expect(try scoped.call("create", "--bundle", scoped.fixture.bundle.path, scoped.fixture.id).status == 1)
        #expect(!scoped.fixture.isRecorded)
    }
}
