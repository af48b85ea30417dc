import Kernel
import OCISpec
import ProbeSupport
import Seccomp
import Testing

/// Containers whose ids are not the host's.
@Suite struct UserNamespaceTests {
    static let base: UInt32 = 300_000

    /// A container whose ids start at `base`, on an overlay whose layers are mapped.
    func mapped() throws -> ContainerFixture {
        let box = try ContainerFixture()
        for name in ["upper", "work"] { try File.makeDirectories(box.scratch.path + "/" + name, mode: 0o755) }
        box.options = [
            "--overlay", "\(box.root):\(box.scratch.path)/upper:\(box.scratch.path)/work", "--root-option", "idmap",
        ]
        box.addUserNamespace()
        return box
    }

    @Test func rootInsideIsNobodyOutside() throws {
        let outcome = try mapped().run(
            """
            cat /proc/self/uid_map /proc/self/gid_map; id -u; id -g; cat /proc/self/setgroups; stat -c '%n %u:%g' / /etc/passwd /dev
            """
        )
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
        let map = outcome.lines.prefix(2).map { $0.split(separator: " ").joined(separator: " ") }
        #expect(map == ["0 300000 65536", "0 300000 65536"])
        #expect(outcome.lines.dropFirst(2) == ["0", "0", "allow", "/ 0:0", "/etc/passwd 0:0", "/dev 0:0"])
    }

    @Test func filesKeepTheirOwnersOnDisk() throws {
        let box = try mapped()
        try RootedDir(box.root).chmod("/tmp", permissions: 0o1777)
        box.spec.process?.user = .init(username: "web")
        let outcome = try box.run("echo x > /tmp/mine; stat -c %u:%g /tmp/mine; id -u")
        #expect(outcome.lines == ["33:44", "33"], "\(outcome.errors)")
        let status = try File.status(box.scratch.path + "/upper/tmp/mine")
        #expect(status.uid == 33)
        #expect(status.gid == 44)
        // The layer below is untouched.
        #expect(!File.exists(box.root + "/tmp/mine"))
    }

    @Test func theHostSeesTheMappedIDs() throws {
        let box = try mapped()
        let waiting = try Pipe().ends()
        let told = try Pipe().ends()
        box.spec.process?.args = ["/bin/sh", "-c", "echo $$; read answer"]
        try box.writeConfiguration()
        var spawn = Spawn(arguments: ["sandbox-run", box.bundle] + box.options, environment: [])
        spawn.descriptors = [0: waiting.reader.raw, 1: told.writer.raw]
        let child = try spawn.start(try ContainerFixture.helper())
        #expect(try told.reader.read(upTo: 16) == Array("1\n".utf8))
        let inner = try #require(try ProcessFacts.children(of: child.pid).first)
        let status = try File.readText("/proc/\(inner)/status")
        #expect(status.contains("Uid:\t300000\t300000\t300000\t300000"))
        #expect(status.contains("Gid:\t300000\t300000\t300000\t300000"))
        try waiting.writer.writeAll("\n")
        #expect(try child.pidfd.wait() == .exited(0))
    }

    @Test func everyNamespaceIsOwnedByIt() throws {
        let box = try mapped()
        box.spec.linux?.sysctl = ["net.ipv4.ip_default_ttl": "77", "kernel.shm_rmid_forced": "1"]
        let outcome = try box.run(
            """
            for k in mnt pid net ipc uts cgroup user; do echo $k $(readlink /proc/self/ns/$k); done
            cat /proc/sys/kernel/hostname /proc/sys/net/ipv4/ip_default_ttl /sys/class/net/lo/flags
            ls /sys/fs/cgroup | head -1; stat -c %u /dev/shm /dev/pts /proc/1
            """
        )
        for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"] {
            let ours = String(decoding: try RootedDir("/proc/self/ns").readlink(kind), as: UTF8.self)
            #expect(outcome[kind]?.hasPrefix(kind) == true, "\(outcome.errors)")
            #expect(outcome[kind] != ours)
        }
        #expect(outcome.lines.dropFirst(7).prefix(3) == ["box", "77", "0x9"], "\(outcome.output)")
    }

    @Test func devicesWorkAndBelongToItsIDs() throws {
        let box = try mapped()
        box.spec.linux?.devices = [
            .init(type: "c", path: "/dev/sub/zero", major: 1, minor: 5, fileMode: 0o640, uid: 7, gid: 8),
            .init(type: "c", path: "/opt/full", major: 1, minor: 7), .init(type: "p", path: "/run/pipe"),
        ]
        let outcome = try box.run(
            """
            for d in null zero full random urandom tty sub/zero; do stat -c '%n %F %t:%T %a %u:%g' /dev/$d; done
            stat -c '%n %F %t:%T %a %u:%g' /opt/full /run/pipe /dev/sub; echo x > /dev/null; head -c 2 /dev/zero | wc -c
            echo x > /opt/full || echo full; stat -c %u /dev/fd
            """
        )
        #expect(outcome["/dev/null "] == "character special file 1:3 666 0:0", "\(outcome.errors)")
        #expect(outcome["/dev/sub/zero "] == "character special file 1:5 640 7:8")
        #expect(outcome["/opt/full "] == "character special file 1:7 666 0:0")
        #expect(outcome["/run/pipe "] == "fifo 0:0 666 0:0")
        #expect(outcome.lines.suffix(3) == ["2", "full", "0"])
    }

    @Test func idsWithoutAMeaningAreNamed() throws {
        for (user, field) in [
            (RuntimeSpec.User(additionalGids: [70_000]), "process.user.additionalGids"),
            (RuntimeSpec.User(gid: 70_000), "process.user.gid"),
            (RuntimeSpec.User(uid: 70_000), "process.user.uid"),
        ] {
            let box = try mapped()
            box.spec.process?.user = user
            #expect(try box.run("").failure?.object == field)
        }
    }

    @Test func anImageWithoutDeviceMountGetsTheDefaultDevices() throws {
        let box = try mapped()
        box.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
        let outcome = try box.run(
            "stat -c '%n %F %t:%T' /dev/null; readlink /dev/stdin; cat /proc/keys; echo x > /dev/null; echo ok"
        )
        #expect(
            outcome.lines == ["/dev/null character special file 1:3", "/proc/self/fd/0", "ok"],
            "\(outcome.errors)"
        )
    }

    @Test func masksAndReadOnlyPathsHold() throws {
        let outcome = try mapped().run(
            """
            cat /proc/keys /proc/timer_list; ls -A /proc/acpi /sys/firmware | grep -v : ; echo start
            echo 1 > /proc/sys/kernel/hostname || echo refused; mount -t tmpfs x /tmp || echo refused
            """
        )
        #expect(outcome.lines.filter { !$0.isEmpty } == ["start", "refused", "refused"], "\(outcome.errors)")
    }

    @Test func allCapabilitiesCanBeGranted() throws {
        let box = try mapped()
        let names = CapabilitySet.allKnown.names
        box.spec.process?.capabilities = .init(bounding: names, effective: names, permitted: names)
        let outcome = try box.run("grep Cap /proc/self/status; mount -t tmpfs x /tmp && echo mounted")
        #expect(outcome["CapEff"] == "000001ffffffffff", "\(outcome.errors)")
        #expect(outcome.lines.last == "mounted")
    }

    @Test(arguments: ["0", "web"])
    func streamsCanBeOpenedAgain(_ user: String) throws {
        let box = try mapped()
        box.spec.process?.user = .init(username: user)
        let outcome = try box.run("echo one > /dev/stdout; echo two > /proc/self/fd/2; stat -L -c %u /dev/stdout")
        #expect(outcome.lines == ["one", user == "0" ? "0" : "33"], "\(outcome.errors)")
        #expect(outcome.errors.contains("two"))
    }

    @Test func aTerminalIsItsUsers() throws {
        let box = try mapped()
        box.options.append("--terminal")
        box.spec.process?.terminal = true
        box.spec.process?.user = .init(username: "web")
        let outcome = try box.run("tty; stat -c %u:%g /dev/pts/0; echo hello > /dev/console")
        let lines = outcome.output.split(whereSeparator: { $0 == "\r\n" || $0 == "\n" }).map(String.init)
        #expect(lines.prefix(2) == ["/dev/pts/0", "33:5"], "\(outcome.errors) \(outcome.output)")
        #expect(lines.contains("hello"))
    }

    @Test(arguments: [false, true])
    func aFilterNeedsNoRightsOfTheHost(_ noNewPrivileges: Bool) throws {
        let box = try mapped()
        box.spec.process?.noNewPrivileges = noNewPrivileges
        box.spec.process?.user = .init(username: "1000:1000")
        box.spec.linux?.seccomp = DefaultProfile.profile(capabilities: [])
        let outcome = try box.run("grep -E '^(Seccomp|NoNewPrivs|CapPrm):' /proc/self/status")
        #expect(outcome["Seccomp"] == "2", "\(outcome.errors)")
        #expect(outcome["NoNewPrivs"] == (noNewPrivileges ? "1" : "0"))
        #expect(outcome["CapPrm"] == "0000000000000000")
    }

    @Test func itsCgroupIsItsOwn() throws {
        let box = try mapped()
        box.options += ["--cgroup", "/berth-test-\(Random.hex(6))"]
        box.spec.process?.oomScoreAdj = 5
        box.spec.linux?.resources = .init(pids: .init(limit: 50))
        let outcome = try box.run("cat /proc/self/cgroup /proc/self/oom_score_adj")
        // One line for each hierarchy, then the score.
        #expect(outcome.lines.count > 1, "\(outcome.errors)")
        #expect(outcome.lines.dropLast().allSatisfy { $0.hasSuffix(":/") }, "\(outcome.output)")
        #expect(outcome.lines.last == "5")
    }

    @Test func severalRangesMapEachTheirs() throws {
        let box = try mapped()
        box.spec.linux?.uidMappings = [
            .init(containerID: 0, hostID: 300_000, size: 10), .init(containerID: 1000, hostID: 500_000, size: 1),
        ]
        let outcome = try box.run("cat /proc/self/uid_map")
        let map = outcome.lines.map { $0.split(separator: " ").joined(separator: " ") }
        #expect(map == ["0 300000 10", "1000 500000 1"], "\(outcome.errors)")
    }

    @Test func mappingsThatCannotBeAreNamed() throws {
        typealias Range = RuntimeSpec.IDMapping
        let whole = [Range(containerID: 0, hostID: 300_000, size: 65536)]
        let bad: [(users: [Range], groups: [Range], field: String)] = [
            ([], [], "linux.uidMappings"), (whole, [], "linux.gidMappings"), ([], whole, "linux.uidMappings"),
            ([.init(containerID: 0, hostID: 1, size: 0)], whole, "linux.uidMappings"),
            ([.init(containerID: 1, hostID: 1, size: 5)], whole, "linux.uidMappings"),
            (whole + [.init(containerID: 65535, hostID: 1, size: 5)], whole, "linux.uidMappings"),
            (whole, whole + [.init(containerID: 70000, hostID: 365_535, size: 5)], "linux.gidMappings"),
            ([.init(containerID: 0, hostID: .max, size: 2)], whole, "linux.uidMappings"),
            ((0...340).map { .init(containerID: $0, hostID: $0, size: 1) }, whole, "linux.uidMappings"),
            ((0...339).map { .init(containerID: $0, hostID: 1_000_000 + $0, size: 1) }, whole, "linux.uidMappings"),
        ]
        for (users, groups, field) in bad {
            let box = try mapped()
            box.spec.linux?.uidMappings = users
            box.spec.linux?.gidMappings = groups
            let outcome = try box.run("true")
            #expect(outcome.failure?.code == "invalidArgument", "\(users.count) \(outcome.errors)")
            #expect(outcome.errors.contains(field), "\(outcome.errors)")
        }
        let box = try ContainerFixture()
        box.spec.linux?.uidMappings = whole
        #expect(try box.run("true").failure?.code == "invalidArgument")
    }

    @Test func aMountThatCannotBeMappedIsNamed() throws {
        let box = try mapped()
        // Processes have no owners on a disk.
        box.spec.mounts?.append(
            .init(destination: "/processes", type: "bind", source: "/proc/sys", options: ["bind", "idmap"])
        )
        let outcome = try box.run("true")
        #expect(outcome.failure?.stage == "mounts", "\(outcome.errors)")
        #expect(outcome.errors.contains("/processes"), "\(outcome.errors)")
    }

    @Test func anExecHasItsIDsAndItsConfinement() throws {
        let box = try mapped()
        box.spec.linux?.seccomp = DefaultProfile.profile(capabilities: [])
        var process = ContainerFixture.plainSpec.process ?? .init()
        process.args = [
            "/bin/sh", "-c",
            """
            id -u; for k in mnt pid net ipc uts cgroup user; do readlink /proc/1/ns/$k; readlink /proc/self/ns/$k; done
            grep -E '^(Seccomp|CapEff|NoNewPrivs):' /proc/self/status; ls /proc/self/fd; echo done > /dev/stdout
            """,
        ]
        process.noNewPrivileges = true
        let outcome = try ExecTests().exec([process], in: box)
        #expect(outcome.lines.first == "0", "\(outcome.errors)")
        try #require(outcome.lines.count > 15)
        for pair in stride(from: 1, to: 15, by: 2) { #expect(outcome.lines[pair] == outcome.lines[pair + 1]) }
        #expect(outcome["Seccomp"] == "2")
        #expect(outcome["CapEff"] == "00000000000004e1")
        #expect(outcome["NoNewPrivs"] == "1")
        #expect(outcome.lines.suffix(5) == ["0", "1", "2", "3", "done"])
    }

    @Test func aMappedBindRootIsItsRootsToo() throws {
        let box = try ContainerFixture()
        box.addUserNamespace()
        box.options = ["--bind", box.root, "--root-option", "idmap"]
        let outcome = try box.run("stat -c %u:%g /etc/passwd; echo x > /made; stat -c %u /made")
        #expect(outcome.lines == ["0:0", "0"], "\(outcome.errors)")
        #expect(try File.status(box.root + "/made").uid == 0)
    }

    @Test func withoutTheWordNothingIsMapped() throws {
        let box = try ContainerFixture()
        box.addUserNamespace()
        // Nobody's, as an image that was not shifted is; without rights over it nothing can be made in it.
        try RootedDir(box.root).mkdirAll("/dev")
        box.spec.mounts = [
            .init(destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"]),
            .init(destination: "/tmp", type: "bind", source: box.canary, options: ["bind"]),
        ]
        box.spec.linux?.maskedPaths = []
        box.spec.linux?.readonlyPaths = []
        let outcome = try box.run("stat -c %u:%g /etc/passwd /tmp/secret; echo x > /tmp/x || echo refused")
        #expect(outcome.failure == nil)
        #expect(outcome.lines == ["65534:65534", "65534:65534", "refused"], "\(outcome.errors)")
    }
}

extension ContainerFixture {
    /// Ids from `UserNamespaceTests.base` on.
    func addUserNamespace() {
        let range = RuntimeSpec.IDMapping(containerID: 0, hostID: UserNamespaceTests.base, size: 65536)
        spec.linux?.namespaces?.append(.init(type: .user))
        spec.linux?.uidMappings = [range]
        spec.linux?.gidMappings = [range]
    }
}
