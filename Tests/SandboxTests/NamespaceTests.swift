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
