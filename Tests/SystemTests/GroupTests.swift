import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// Cgroups of containers, in whichever versions the host has them, made by the manager or by systemd.
    @Suite struct GroupTests {
        /// Who makes the groups; systemd does where it runs.
        enum Maker: String, CaseIterable, CustomTestStringConvertible {
            case cgroupfs, systemd

            static let isUnified = FileManager.default.fileExists(atPath: "/sys/fs/cgroup/cgroup.controllers")
            static let all = FileManager.default.fileExists(atPath: "/run/systemd/private") ? allCases : [.cgroupfs]
            var testDescription: String { rawValue }
        }

        /// A manager that has groups made so.
        private func with(_ maker: Maker, _ body: (Daemon) throws -> Void) throws {
            try Daemon.with { (daemon) throws in
                try daemon.stop()
                try start(daemon, maker)
                #expect(try daemon.ok("info", "--format", "{{.CgroupDriver}}") == maker.rawValue)
                try body(daemon)
            }
        }

        private func start(_ daemon: Daemon, _ maker: Maker) throws {
            let file = daemon.scratch.appendingPathComponent("berthd.toml")
            try Data("cgroup-manager = \"\(maker.rawValue)\"\n".utf8).write(to: file)
            try daemon.start(["--config", file.path])
        }

        /// The container's group below the hierarchy of a controller.
        private func group(_ daemon: Daemon, _ name: String, _ controller: String) throws -> String {
            let (pid, id) = (try daemon.field(".State.Pid", name), try daemon.field(".Id", name))
            let lines = try String(contentsOfFile: "/proc/\(pid)/cgroup", encoding: .utf8).split(separator: "\n")
            let fields = lines.map { $0.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false) }
            let line = fields.first { Maker.isUnified || $0[1].split(separator: ",").contains(Substring(controller)) }
            let parts = try #require(line)[2].split(separator: "/")
            // Groups inside are the container's own business.
            let end = try #require(parts.firstIndex { $0.contains(id) })
            return "/" + parts[...end].joined(separator: "/")
        }

        private func file(_ group: String, _ controller: String, _ name: String) throws -> String {
            let place = Maker.isUnified ? "" : "/\(controller)"
            return try String(contentsOfFile: "/sys/fs/cgroup\(place)\(group)/\(name)", encoding: .utf8)
                .trimmingCharacters(in: .newlines)
        }

        /// The limits of memory, tasks and processor time that a container's group has.
        private func limits(_ daemon: Daemon, _ name: String) throws -> [String] {
            let groups = try ["memory", "pids", "cpu"].map { try group(daemon, name, $0) }
            let quota =
                try Maker.isUnified
                ? file(groups[2], "cpu", "cpu.max").replacingOccurrences(of: " 100000", with: "")
                : file(groups[2], "cpu", "cpu.cfs_quota_us")
            let memory = Maker.isUnified ? "memory.max" : "memory.limit_in_bytes"
            return [try file(groups[0], "memory", memory), try file(groups[1], "pids", "pids.max"), quota]
        }

        @Test(arguments: Maker.all) func limitsAreThoseOfTheGroup(_ maker: Maker) throws {
            // One more than was asked for, for who keeps a scope, where it is counted.
            let keeper = maker == .systemd && Maker.isUnified ? 1 : 0
            try with(maker) { daemon in
                let asked = ["--memory", "64m", "--pids-limit", "50", "--cpus", "0.5"]
                let words = ["run", "-d", "--name", "one"] + asked + ["berth/default", "sleep", "1000"]
                #expect(try daemon.client(words).finish().status == 0)
                #expect(try limits(daemon, "one") == ["67108864", String(50 + keeper), "50000"])
                try daemon.ok("update", "--memory", "96m", "--pids-limit", "60", "one")
                let updated = ["100663296", String(60 + keeper), "50000"]
                #expect(try limits(daemon, "one") == updated)
                if maker == .systemd {
                    let outcome = try Command("systemctl", ["daemon-reload"], in: daemon.scratch).finish()
                    #expect(outcome.status == 0, "\(outcome)")
                    #expect(try limits(daemon, "one") == updated)
                    #expect(try daemon.ok("exec", "one", "sh", "-c", ": </dev/null && echo open") == "open")
                }
                // A container that is started again has what it was given last.
                try daemon.ok("restart", "-t", "0", "one")
                #expect(try limits(daemon, "one") == updated)
                #expect(try daemon.ok("stats", "--no-stream", "--format", "{{.PIDs}}", "one") == "1")
            }
        }

        /// What systemd does to groups of version 1 that it was not asked for, when its units begin to need a controller and cease to.
        @Test(.enabled(if: !Maker.isUnified, "cgroup v1"))
        func aGroupThatSomebodyRemovedIsMissedInItsHierarchyOnly() throws {
            try with(.cgroupfs) { daemon in
                try daemon.ok("run", "-d", "--name", "one", "--pids-limit", "50", "berth/default", "sleep", "1000")
                let (pid, lost) = (try daemon.field(".State.Pid", "one"), try group(daemon, "one", "pids"))
                // Read once, so that files of it are open.
                #expect(try daemon.ok("stats", "--no-stream", "--format", "{{.PIDs}}", "one") == "1")
                try pid.write(toFile: "/sys/fs/cgroup/blkio/cgroup.procs", atomically: false, encoding: .utf8)
                // Where systemd runs beside, it may have been faster.
                #expect(rmdir("/sys/fs/cgroup/blkio\(lost)") == 0 || errno == ENOENT)
                #expect(try daemon.ok("stats", "--no-stream", "--format", "{{.PIDs}}", "one") == "1")
                try daemon.crash()
                try start(daemon, .cgroupfs)
                #expect(try daemon.ok("stats", "--no-stream", "--format", "{{.PIDs}}", "one") == "1")
                // In all other hierarchies a further process is where it belongs.
                let line = try daemon.ok("exec", "one", "sh", "-c", "grep pids: /proc/self/cgroup")
                #expect(line.hasSuffix(":/"))
                #expect(try file(group(daemon, "one", "pids"), "pids", "pids.max") == "50")
                try daemon.ok("restart", "-t", "0", "one")
                #expect(try group(daemon, "one", "pids") == lost)
            }
        }

        @Test(arguments: Maker.all) func theOwnerOfTheLimitThatKilledIsNamed(_ maker: Maker) throws {
            let name = "berthtest\(UUID().uuidString.prefix(8).lowercased())"
            let above = try Above(name, maker)
            defer { above.remove() }
            try with(maker) { daemon in
                let hungry = "read -r go </gate; a=x; while true; do a=$a$a; done"
                let gate = daemon.scratch.appendingPathComponent("gate")
                for (container, options) in [
                    ("own", ["--memory", "16m"]), ("above", ["--memory", "512m", "--cgroup-parent", above.parent]),
                ] {
                    #expect(mkfifo(gate.path, 0o666) == 0)
                    let words = ["run", "-d", "--name", container, "-v", "\(gate.path):/gate", "--userns", "host"]
                    let run = try daemon.client(words + options + ["berth/default", "sh", "-c", hungry]).finish()
                    #expect(run.status == 0, "\(run)")
                    let owner = container == "own" ? try group(daemon, container, "memory") : above.group
                    try "go\n".write(toFile: gate.path, atomically: false, encoding: .utf8)
                    #expect(try daemon.ok("wait", container) == "137")
                    #expect(try daemon.field(".State.OOMKilled", container) == "true")
                    #expect(try daemon.field(".State.Berth.OOMOwner", container) == owner)
                    try FileManager.default.removeItem(at: gate)
                }
                let until = String(Int(Date().timeIntervalSince1970) + 1)
                let events = ["events", "--since", "0", "--until", until, "-f", "event=die"]
                let told = try daemon.client(events + ["--format", "{{.Actor.Attributes.oomOwner}}"]).finish()
                #expect(told.lines.last == above.group, "\(told)")
                // It is written down: another life of the manager knows it, too.
                try daemon.crash()
                try start(daemon, maker)
                #expect(try daemon.field(".State.Berth.OOMOwner", "above") == above.group)
                // Who was killed by somebody else has no such owner.
                try daemon.ok("run", "-d", "--name", "other", "berth/default", "sleep", "1000")
                try daemon.ok("kill", "other")
                #expect(try daemon.ok("wait", "other") == "137")
                #expect(try daemon.field(".State.OOMKilled", "other") == "false")
                #expect(!(try daemon.ok("inspect", "other").contains("OOMOwner")))
            }
        }

        /// One container through all of it: its own ids, further processes, its output, and two lives of the manager.
        @Test(arguments: Maker.all) func theWholeLife(_ maker: Maker) throws {
            try with(maker) { daemon in
                let script = "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.1; done"
                try daemon.ok("run", "-d", "--name", "one", "--memory", "64m", "berth/default", "sh", "-c", script)
                let pid = try daemon.field(".State.Pid", "one")
                let owner = try FileManager.default.attributesOfItem(atPath: "/proc/\(pid)")[.ownerAccountID]
                #expect((owner as? NSNumber)?.intValue ?? 0 >= 65_536)
                #expect(try daemon.ok("exec", "one", "id", "-u") == "0")
                #expect(try daemon.berth("exec", "one", "sh", "-c", "exit 7").status == 7)
                try daemon.crash()
                try start(daemon, maker)
                #expect(try daemon.field(".State.Pid", "one") == pid)
                #expect(try daemon.ok("exec", "one", "cat", "/proc/self/cgroup").contains(":/"))
                try daemon.ok("pause", "one")
                #expect(try daemon.field(".State.Status", "one") == "paused")
                try daemon.ok("unpause", "one")
                try daemon.ok("stop", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "4")
                #expect(try daemon.ok("logs", "one") == "up\nbye")
                try daemon.ok("rm", "one")
            }
        }

        /// A group above containers with a limit of its own.
        private struct Above {
            /// What `--cgroup-parent` takes.
            let parent: String
            /// Its path below the hierarchy.
            let group: String
            private let maker: Maker
            private var place: String { "/sys/fs/cgroup\(Maker.isUnified ? "" : "/memory")\(group)" }

            init(_ name: String, _ maker: Maker) throws {
                self.maker = maker
                if maker == .systemd {
                    (parent, group) = ("\(name).slice", "/\(name).slice")
                    try systemctl("start", parent)
                    try systemctl("set-property", "--runtime", parent, "MemoryMax=24M", "MemorySwapMax=0")
                } else {
                    (parent, group) = ("/\(name)", "/\(name)")
                    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
                    let limits =
                        Maker.isUnified
                        ? [("memory.max", "24M"), ("memory.swap.max", "0")] : [("memory.limit_in_bytes", "24M")]
                    for (file, value) in limits {
                        try value.write(toFile: "\(place)/\(file)", atomically: false, encoding: .utf8)
                    }
                }
            }

            private func systemctl(_ words: String...) throws {
                let outcome = try Command("systemctl", words, in: SuiteFolder.url).finish()
                try #require(outcome.status == 0, "\(outcome)")
            }

            func remove() {
                if maker == .systemd {
                    _ = try? systemctl("stop", parent)
                    _ = try? systemctl("revert", parent)
                    return
                }
                let hierarchies = (try? FileManager.default.contentsOfDirectory(atPath: "/sys/fs/cgroup")) ?? []
                for hierarchy in [""] + hierarchies { rmdir("/sys/fs/cgroup/\(hierarchy)\(group)") }
            }
        }
    }
}
