import Foundation
import SystemFixture
import Testing

/// Control groups: whose they are, and who is inside.
@Suite struct GroupTests {
    /// The hierarchy that lists a container's processes.
    static let listing: String = {
        let root = "/sys/fs/cgroup"
        let candidates = [root, root + "/unified", root + "/freezer"]
        return candidates.first { FileManager.default.fileExists(atPath: $0 + "/cgroup.procs") } ?? root
    }()

    static let hasUnified = ["", "/unified"].contains {
        FileManager.default.fileExists(atPath: "/sys/fs/cgroup\($0)/cgroup.controllers")
    }

    /// A creation that is killed while a hook runs: it has a record, and no process.
    private func killCreation(_ fixture: RuntimeFixture) throws {
        let pid = fixture.scratch.appendingPathComponent("hook").path
        try fixture.configure { document in
            let script = "echo $$ > \(pid); exec sleep 1000"
            document["hooks"] = ["createRuntime": [["path": "/bin/sh", "args": ["sh", "-c", script]]]]
        }
        let words = ["--root", fixture.containers, "create", "--bundle", fixture.bundle.path, fixture.id]
        let command = try Command(RuntimeFixture.program, words, in: fixture.scratch)
        try eventually("the hook runs") { FileManager.default.fileExists(atPath: pid) }
        command.send(SIGKILL)
        try command.finish()
        kill(try #require(Int32(String(contentsOfFile: pid, encoding: .utf8).dropLast())), SIGKILL)
    }

    /// A command writes down which group it is going to make before it does; when it is killed between the two, the group of
    /// that name may be another container's.
    @Test func aContainerThatNeverHadItsGroupLeavesAnothersAlone() throws {
        let (one, two) = (try RuntimeFixture("exec sleep 1000"), try RuntimeFixture())
        #expect(try one.run("--detach").status == 0)
        try killCreation(two)
        #expect(try two.call("kill", "--all", two.id, "KILL").status == 0)
        let record = URL(fileURLWithPath: "\(two.containers)/\(two.id)/state.json")
        let text = try String(contentsOf: record, encoding: .utf8)
        let group = "berth-runtime-\(two.id)"
        #expect(text.contains(group))
        try two.shell(["/bin/sh", "-c", "rmdir /sys/fs/cgroup/\(group) /sys/fs/cgroup/*/\(group)"])
        #expect(!two.hasGroup)
        try Data(text.replacingOccurrences(of: group, with: "berth-runtime-\(one.id)").utf8).write(to: record)
        #expect(try two.call("kill", "--all", two.id, "KILL").status == 0)
        #expect(try two.call("delete", two.id).status == 0)
        #expect(try one.status() == "running")
        #expect(one.hasGroup)
    }

    @Test func twoContainersDoNotShareAGroup() throws {
        let (one, two) = (try RuntimeFixture("exec sleep 1000"), try RuntimeFixture("exec sleep 1000"))
        for fixture in [one, two] {
            try fixture.configure { document in
                var linux = try #require(document["linux"] as? [String: Any])
                linux["cgroupsPath"] = "/berth-runtime-\(one.id)"
                document["linux"] = linux
            }
        }
        #expect(try one.run("--detach").status == 0)
        #expect(try two.create().status == 1)
        #expect(try one.status() == "running")
        #expect(try one.call("kill", one.id, "KILL").status == 0)
        try eventually("it has stopped") { try one.status() == "stopped" }
        // Empty by now, but still the first one's, which is going to remove it.
        #expect(try two.create().status == 1)
        #expect(one.hasGroup && !two.isRecorded)
        #expect(try one.call("delete", one.id).status == 0)
        #expect(try two.create().status == 0)
    }

    /// A group below is made in one hierarchy; elsewhere the process is in the container's own groups.
    @Test func execInAGroupBelowIsInTheContainersOtherGroups() throws {
        let fixture = try RuntimeFixture("exec sleep 1000")
        #expect(try fixture.run("--detach").status == 0)
        let below = "\(Self.listing)/berth-runtime-\(fixture.id)/below"
        try FileManager.default.createDirectory(atPath: below, withIntermediateDirectories: false)
        let outcome = try fixture.call("exec", "--cgroup", "below", fixture.id, "cat", "/proc/self/cgroup")
        let paths = outcome.lines.map { $0.split(separator: ":", omittingEmptySubsequences: false).last ?? "" }
        #expect(!paths.isEmpty && paths.allSatisfy { $0 == "/" || $0 == "/below" }, "\(outcome)")
        #expect(paths.filter { $0 == "/below" }.count == 1)
        for name in ["nobody", "../..", "below/.."] {
            #expect(try fixture.call("exec", "--cgroup", name, fixture.id, "true").status == 1, "\(name)")
        }
    }

    @Test func aFailedCreationKillsWhatItsHooksHaveLeftInside() throws {
        let fixture = try RuntimeFixture()
        let pid = fixture.scratch.appendingPathComponent("left").path
        try fixture.configure { document in
            let group = "\(Self.listing)/berth-runtime-\(fixture.id)/cgroup.procs"
            let script = """
                echo $$ > \(group)
                setsid sleep 1000 < /dev/null > /dev/null 2>&1 &
                echo $! > \(pid)
                exit 1
                """
            document["hooks"] = ["createRuntime": [["path": "/bin/sh", "args": ["sh", "-c", script]]]]
        }
        #expect(try fixture.create().status == 1)
        #expect(!fixture.isRecorded && !fixture.hasGroup)
        let left = try #require(Int32(String(contentsOfFile: pid, encoding: .utf8).dropLast()))
        try eventually("what was left has ended") { kill(left, 0) != 0 }
    }

    /// On version 2, which the case has alone in a mount namespace of its own.
    @Test(.enabled(if: hasUnified, "the host has no cgroup v2"))
    func aJoinedUserNamespaceGetsTheGroupToo() throws {
        let fixture = try RuntimeFixture("exec sleep 1000")
        try fixture.configure { document in
            var linux = try #require(document["linux"] as? [String: Any])
            linux["namespaces"] =
                ["mount", "pid", "network", "ipc", "uts", "cgroup"].map { ["type": $0] }
                + [["type": "user", "path": "/proc/HOLDER/ns/user"]]
            linux["resources"] = nil
            document["linux"] = linux
            var mounts = try #require(document["mounts"] as? [[String: Any]])
            mounts.removeAll { $0["destination"] as? String == "/sys/fs/cgroup" }
            mounts.append([
                "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "rw"],
            ])
            document["mounts"] = mounts
        }
        let config = fixture.bundle.appendingPathComponent("config.json").path
        let program = "\(RuntimeFixture.program) --root \(fixture.containers)"
        let outcome = try fixture.isolated(
            """
            [ -e /sys/fs/cgroup/cgroup.controllers ] || mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup
            coproc unshare -U sh -c 'echo ready; exec cat'
            holder=$COPROC_PID
            read -u ${COPROC[0]} line
            echo "0 100000 65536" > /proc/$holder/uid_map
            echo "0 200000 65536" > /proc/$holder/gid_map
            chown -R 100000:200000 \(fixture.bundle.path)/rootfs
            sed -i "s/HOLDER/$holder/" \(config)
            \(program) create --bundle \(fixture.bundle.path) \(fixture.id)
            stat -c %u:%g /sys/fs/cgroup/berth-runtime-\(fixture.id)/cgroup.procs
            \(program) delete --force \(fixture.id)
            kill $holder
            """
        )
        #expect(outcome.lines.last == "100000:200000", "\(outcome)")
    }
}
