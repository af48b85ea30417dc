import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Images and documents that want more than a container.
@Suite struct HostileImageTests {
    /// Asserts that the directory standing for the host is as it was.
    func expectUntouched(_ box: ContainerFixture, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let entries = try File.open(box.canary, .directory).readDirectory().map(\.name)
        #expect(entries == ["secret"], sourceLocation: sourceLocation)
        #expect(try File.readText(box.canary + "/secret") == "host", sourceLocation: sourceLocation)
    }

    @Test(arguments: ["../../canary", "../../../../../../../../tmp", "/proc", "absent"])
    func aLinkInPlaceOfTheDeviceDirectoryIsRefused(_ target: String) throws {
        let box = try ContainerFixture()
        try box.link("/dev", to: target)
        #expect(try box.run("true").failure?.stage == "mounts")
        try expectUntouched(box)
    }

    @Test(arguments: ["/proc", "/sys"])
    func aLinkInPlaceOfAKernelFilesystemIsRefused(_ place: String) throws {
        let box = try ContainerFixture()
        try RootedDir(box.root).mkdirAll("/elsewhere")
        try box.link(place, to: "/elsewhere")
        #expect(try box.run("true").failure?.stage == "mounts")
    }

    @Test func aNullDeviceThatIsALinkIsNotUsedAsAMask() throws {
        let box = try ContainerFixture()
        box.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
        try RootedDir(box.root).mkdirAll("/dev")
        try box.link("/dev/null", to: "/proc/sys/kernel/core_pattern")
        let before = try File.readText("/proc/sys/kernel/core_pattern")
        #expect(try box.run("echo evil > /proc/keys").failure != nil)
        #expect(try File.readText("/proc/sys/kernel/core_pattern") == before)
    }

    @Test func linksOnTheWayToAMountStayInside() throws {
        let box = try ContainerFixture()
        try box.link("/volume", to: "../../../../../../../.." + box.canary)
        try box.link("/absolute", to: box.canary)
        box.spec.mounts? += [
            .init(destination: "/volume/sub/dir", type: "tmpfs", source: "tmpfs"),
            .init(destination: "/absolute/../absolute/other", type: "tmpfs", source: "tmpfs"),
            .init(destination: "/../../../../../../up", type: "tmpfs", source: "tmpfs"),
        ]
        let outcome = try box.run("grep -c tmpfs.*canary /proc/mounts; ls -d /up")
        #expect(outcome.lines == ["2", "/up"], "\(outcome.errors)")
        try expectUntouched(box)
    }

    @Test func noWorkingDirectoryIsAnOpenDescriptor() throws {
        for number in 3..<16 {
            let box = try ContainerFixture()
            box.spec.process?.cwd = "/proc/self/fd/\(number)"
            let failure = try box.run("readlink /proc/self/cwd; cat ../../../../canary/secret").failure
            #expect(failure?.stage == "working directory", "descriptor \(number)")
        }
        let box = try ContainerFixture()
        try box.link("/door", to: "/proc/self/fd/4")
        box.spec.process?.cwd = "/door/.."
        #expect(try box.run("true").failure?.stage == "working directory")
    }

    @Test func noDescriptorOfTheMakerGetsInside() throws {
        let box = try ContainerFixture()
        let secret = try File.open(box.canary + "/secret", .read)
        let directory = try File.open("/", [.directory])
        box.spec.process?.args = ["/bin/ls", "/proc/self/fd"]
        let outcome = try box.run(inherited: [5: secret.raw, 9: directory.raw, 40: secret.raw])
        #expect(outcome.lines == ["0", "1", "2", "3"])
    }

    @Test(arguments: ["0:0", "1000:1000", "web"])
    func capabilitySetsAreExact(_ user: String) throws {
        let box = try ContainerFixture()
        box.spec.process?.user = .init(username: user)
        let outcome = try box.run("grep Cap /proc/self/status")
        #expect(outcome["CapInh"] == "0000000000000000", "\(outcome.errors)")
        #expect(outcome["CapAmb"] == "0000000000000000")
        #expect(outcome["CapBnd"] == "00000000000004e1")
        let wanted = user == "0:0" ? "00000000000004e1" : "0000000000000000"
        #expect(outcome["CapPrm"] == wanted)
        #expect(outcome["CapEff"] == wanted)
    }

    @Test func ambientCapabilitiesComeWhenAskedFor() throws {
        let box = try ContainerFixture()
        let sets = ["CAP_NET_BIND_SERVICE"]
        box.spec.process?.user = .init(uid: 1000, gid: 1000)
        box.spec.process?.capabilities = .init(
            bounding: sets,
            effective: sets,
            inheritable: sets,
            permitted: sets,
            ambient: sets
        )
        let outcome = try box.run("grep Cap /proc/self/status")
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            #expect(outcome[set] == "0000000000000400", "\(outcome.errors)")
        }
    }

    @Test func aGroupsDenialBindsItsMembers() throws {
        let box = try ContainerFixture()
        try box.write("/tmp/denied", "secret")
        try RootedDir(box.root).chown("/tmp/denied", uid: 77, gid: 44)
        try RootedDir(box.root).chmod("/tmp/denied", permissions: 0o604)
        box.spec.process?.user = .init(uid: 1000, gid: 44)
        let outcome = try box.run("id -G; cat /tmp/denied || echo refused")
        #expect(outcome.lines == ["44", "refused"], "\(outcome.errors)")
    }

    @Test func aHostileUserDatabaseIsNoHostFileAndNoHang() throws {
        let variants: [(String, (ContainerFixture) throws -> Void)] = [
            ("link to the host", { try $0.link("/etc/passwd", to: $0.canary + "/secret") }),
            ("pipe", { try RootedDir($0.root).mknod("/etc/passwd", .fifo, permissions: 0o644) }),
            (
                "endless device",
                {
                    let zero = DeviceNumber(major: 1, minor: 5)
                    try RootedDir($0.root).mknod("/etc/passwd", .characterDevice, permissions: 0o644, device: zero)
                }
            ),
            ("sparse giant", { try RootedDir($0.root).create("/etc/passwd").truncate(to: 10 << 30) }),
            ("magic link", { try $0.link("/etc/passwd", to: "/proc/self/fd/3") }),
        ]
        for (name, make) in variants {
            let box = try ContainerFixture()
            try File.remove(box.root + "/etc/passwd")
            try make(box)
            box.spec.process?.user = .init(username: "web")
            #expect(try box.run("true").failure?.stage == "user", "\(name)")
            // Without a name to look up it only costs the home directory.
            box.spec.process?.user = .init(uid: 33, gid: 33)
            #expect(try box.run("true").status == .exited(0), "\(name)")
        }
    }

    @Test func theHostNeverSeesAMount() throws {
        let box = try ContainerFixture()
        let waiting = try Pipe().ends()
        let told = try Pipe().ends()
        box.spec.process?.args = ["/bin/sh", "-c", "echo ready; read answer; exit 3"]
        try box.writeConfiguration()
        var spawn = Spawn(arguments: ["sandbox-run", box.bundle], environment: [])
        spawn.descriptors = [0: waiting.reader.raw, 1: told.writer.raw]
        let child = try spawn.start(try ContainerFixture.helper())
        #expect(try told.reader.read(upTo: 16) == Array("ready\n".utf8))
        // Other programs mount too; what would be ours has the bundle's path in it.
        #expect(!(try File.readText("/proc/self/mountinfo", limit: 16 << 20)).contains(box.scratch.path))
        try waiting.writer.writeAll("\n")
        #expect(try child.pidfd.wait() == .exited(3))
        #expect(!(try File.readText("/proc/self/mountinfo", limit: 16 << 20)).contains(box.scratch.path))
    }

    @Test(arguments: [
        ("kernel.core_pattern", "x"), ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=x"),
        ("net.ipv4.ip_forward", "1\0"),
        ("net..ipv4", "1"), ("net.../sys/kernel/core_pattern", "x"), ("net/../kernel/core_pattern", "x"),
        ("vm.swappiness", "1"),
        ("kernel.shm_rmid_forced=1+kernel.core_pattern", "x"), ("fs.file-max", "1"),
    ])
    func parametersOfTheMachineAreRefused(_ name: String, _ value: String) throws {
        let box = try ContainerFixture()
        let before = try File.readText("/proc/sys/kernel/core_pattern")
        box.spec.linux?.sysctl = [name: value]
        #expect(try box.run("true").failure?.code == "invalidArgument")
        #expect(try File.readText("/proc/sys/kernel/core_pattern") == before)
    }

    @Test func parametersOfASharedNamespaceAreRefused() throws {
        let box = try ContainerFixture()
        box.spec.linux?.namespaces?.removeAll { $0.type == .network }
        box.spec.linux?.sysctl = ["net.ipv4.ip_default_ttl": "77"]
        #expect(try box.run("true").failure?.code == "invalidArgument")
    }
}
