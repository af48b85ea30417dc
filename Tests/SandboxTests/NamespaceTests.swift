import FoundationEssentials
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Namespaces beside the usual ones, and those that exist already.
@Suite struct NamespaceTests {
    @Test(arguments: [false, true])
    func clocksHaveTheirOffsets(_ isMapped: Bool) throws {
        let box = try ContainerFixture()
        if isMapped {
            box.addUserNamespace()
            box.options = ["--bind", box.root, "--root-option", "idmap"]
        }
        box.spec.linux?.namespaces?.append(.init(type: .time))
        box.spec.linux?.timeOffsets = [
            "monotonic": .init(secs: 1000, nanosecs: 5), "boottime": .init(secs: 1_000_000_000),
        ]
        let outcome = try box.run("cat /proc/uptime; cat /proc/self/timens_offsets; echo $$")
        #expect(outcome.output.hasPrefix("10000"), "\(outcome.errors)")
        let offsets = outcome.lines.dropFirst().prefix(2).map { $0.split(separator: " ").joined(separator: " ") }
        #expect(offsets == ["monotonic 1000 5", "boottime 1000000000 0"])
        #expect(outcome.lines.last == "1")
    }

    @Test func offsetsThatCannotBeAreNamed() throws {
        let bad: [[String: RuntimeSpec.TimeOffset]] = [
            ["realtime": .init(secs: 1)], ["monotonic": .init(nanosecs: 1_000_000_000)],
            ["boottime": .init(secs: .min)],
        ]
        for offsets in bad {
            let box = try ContainerFixture()
            box.spec.linux?.namespaces?.append(.init(type: .time))
            box.spec.linux?.timeOffsets = offsets
            let outcome = try box.run("true")
            #expect(outcome.failure != nil)
            #expect(outcome.errors.contains("linux.timeOffsets"), "\(outcome.errors)")
        }
        let box = try ContainerFixture()
        box.spec.linux?.timeOffsets = ["monotonic": .init(secs: 1)]
        #expect(try box.run("true").failure?.code == "invalidArgument")
    }

    @Test func aPathOfAnotherTypeIsAnError() throws {
        for type in RuntimeSpec.NamespaceType.allCases where type != .mount && type != .network {
            let box = try ContainerFixture()
            box.spec.linux?.namespaces?.removeAll { $0.type == type }
            box.spec.linux?.namespaces?.append(.init(type: type, path: "/proc/self/ns/net"))
            let failure = try box.run("true").failure
            #expect(failure?.code == "invalidArgument", "\(type)")
        }
    }

    /// A mount namespace of somebody else's, with a file system of its own at the box's `/tmp`.
    private func withMountNamespace(_ box: ContainerFixture, _ body: (String) throws -> Void) throws {
        let (output, writer) = try Pipe().ends()
        let (input, hold) = try Pipe().ends()
        let script = "mount -t tmpfs none \(box.root)/tmp; echo theirs > \(box.root)/tmp/mark; echo ready; read x"
        var spawn = Spawn(
            arguments: ["unshare", "-m", "--propagation", "private", "sh", "-c", script],
            environment: ["PATH=/usr/bin:/bin"]
        )
        spawn.descriptors = [0: input.raw, 1: writer.raw, 2: 2]
        let child = try withExtendedLifetime((input, writer)) { try spawn.start("/usr/bin/unshare") }
        let (pid, pidfd) = (child.pid, child.sharedPidfd())
        defer {
            _ = try? Pidfd.send(.kill, to: pidfd.raw)
            _ = try? Pidfd.waitForEnd(pidfd.raw)
        }
        #expect(try !output.poll(for: .readable, timeout: .seconds(20)).isEmpty)
        try withExtendedLifetime(hold) { try body("/proc/\(pid)/ns/mnt") }
    }

    private func joining(_ box: ContainerFixture, _ path: String) {
        box.spec.linux?.namespaces?.removeAll { $0.type == .mount }
        box.spec.linux?.namespaces?.append(.init(type: .mount, path: path))
        box.spec.mounts = nil
        box.spec.root?.readonly = nil
        box.spec.linux?.maskedPaths = nil
        box.spec.linux?.readonlyPaths = nil
        box.spec.linux?.devices = nil
        box.spec.linux?.rootfsPropagation = nil
    }

    @Test(arguments: [false, true]) func aTreeOfOthersIsTakenAsItIs(_ isMapped: Bool) throws {
        let box = try ContainerFixture()
        if isMapped { box.addUserNamespace() }
        try withMountNamespace(box) { path in
            joining(box, path)
            let outcome = try box.run("cat /tmp/mark; echo $$; ls -d /data 2>/dev/null; echo end")
            #expect(outcome.lines == ["theirs", "1", "end"], "\(outcome.errors)")
        }
    }

    @Test(arguments: [false, true]) func anExecHasTheSameDirectoryOfATreeOfOthers(_ isMapped: Bool) throws {
        let box = try ContainerFixture()
        if isMapped { box.addUserNamespace() }
        try withMountNamespace(box) { path in
            joining(box, path)
            var process = box.spec.process ?? .init()
            process.args = ["/bin/sh", "-c", "cat /tmp/mark; ls -d /bundle; stat -c %i /"]
            let file = box.scratch.path + "/exec.json"
            try File.writeAtomically(file, Array(JSONEncoder().encode(process)), durable: false)
            box.options = ["--exec", file]
            box.spec.process?.args = ["/bin/sleep", "1000"]
            let outcome = try box.run()
            #expect(outcome.lines == ["theirs", "\(try File.status(box.root).inode)"], "\(outcome.errors)")
        }
    }

    /// What a container of its own may name, change or see is not the host's because a path says so.
    @Test func aNamespaceOfTheHostsByItsPathIsNotTheContainersOwn() throws {
        for (type, file) in [(RuntimeSpec.NamespaceType.cgroup, "cgroup"), (.mount, "mnt")] {
            let box = try ContainerFixture()
            if type == .mount { joining(box, "/proc/self/ns/mnt") }
            box.spec.linux?.namespaces?.removeAll { $0.type == type }
            box.spec.linux?.namespaces?.append(.init(type: type, path: "/proc/self/ns/\(file)"))
            let failure = try box.run("true").failure
            #expect(failure?.object == "linux.namespaces: \(type.rawValue)" && failure?.code == "unsupported")
        }
        // What is there already: a rule that does not hold must not rename the machine.
        let own = try File.readText("/proc/sys/kernel/hostname").filter { $0 != "\n" }
        for field in ["hostname", "domainname"] {
            let box = try ContainerFixture()
            box.spec.linux?.namespaces?.removeAll { $0.type == .uts }
            box.spec.linux?.namespaces?.append(.init(type: .uts, path: "/proc/self/ns/uts"))
            box.spec.hostname = nil
            #expect(try box.run("uname -n").lines == [own])
            if field == "hostname" { box.spec.hostname = own } else { box.spec.domainname = "(none)" }
            let failure = try box.run("true").failure
            #expect(failure?.object == field && failure?.code == "invalidArgument")
        }
    }

    @Test func whatWouldChangeATreeOfOthersIsNamed() throws {
        let changes: [(String, (inout RuntimeSpec) -> Void)] = [
            ("mounts", { $0.mounts = [.init(destination: "/tmp", type: "tmpfs", source: "tmpfs")] }),
            ("root.readonly", { $0.root?.readonly = true }),
            ("linux.maskedPaths", { $0.linux?.maskedPaths = ["/etc"] }),
            ("linux.readonlyPaths", { $0.linux?.readonlyPaths = ["/etc"] }),
            ("linux.rootfsPropagation", { $0.linux?.rootfsPropagation = "shared" }),
            ("linux.devices", { $0.linux?.devices = [.init(type: "c", path: "/dev/x", major: 1, minor: 3)] }),
            ("hooks.createContainer", { $0.hooks = .init(createContainer: [.init(path: "/bin/true")]) }),
        ]
        let box = try ContainerFixture()
        try withMountNamespace(box) { path in
            joining(box, path)
            let plain = box.spec
            for (field, change) in changes {
                box.spec = plain
                change(&box.spec)
                let failure = try box.run("true").failure
                #expect(failure?.object == field && failure?.code == "unsupported", "\(field)")
            }
        }
    }

    @Test func aFilesystemOfAForeignNamespaceIsRefusedByName() throws {
        let box = try ContainerFixture()
        box.addUserNamespace()
        box.options = ["--bind", box.root, "--root-option", "idmap"]
        box.spec.linux?.namespaces?.removeAll { $0.type == .network }
        let outcome = try box.run("true")
        #expect(outcome.failure?.code == "permissionDenied")
        #expect(outcome.errors.contains("/sys"), "\(outcome.errors)")
    }

    @Test func aMountHasAMappingOfItsOwn() throws {
        let box = try ContainerFixture()
        let range = [RuntimeSpec.IDMapping(containerID: 0, hostID: 7777, size: 10)]
        var mount = RuntimeSpec.Mount(destination: "/data", type: "bind", source: box.canary)
        (mount.options, mount.uidMappings, mount.gidMappings) = (["bind", "idmap"], range, range)
        let others = box.spec.mounts ?? []
        box.spec.mounts = others + [mount]
        #expect(try box.run("stat -c %u:%g /data/secret").lines == ["7777:7777"])
        mount.source = "/proc"
        box.spec.mounts = others + [mount]
        #expect(try box.run("true").failure?.code == "unsupported")
        mount.options = ["bind"]
        box.spec.mounts = others + [mount]
        #expect(try box.run("true").failure?.code == "invalidArgument")
    }
}
