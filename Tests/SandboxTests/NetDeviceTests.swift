import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Interfaces that move into a container, from a host that is a network namespace of the test's own.
@Suite struct NetDeviceTests {
    /// Runs the container in a host of its own with some interfaces; prints what the host has afterwards.
    func run(
        _ box: ContainerFixture,
        script: String,
        after: String = "ip -o addr show"
    ) throws -> (inside: ContainerFixture.Outcome, after: String) {
        box.spec.process?.args = ["/bin/sh", "-c", script]
        try box.writeConfiguration()
        let output = try Pipe()
        let errors = try Pipe()
        let setUp = """
            ip link add d0 type veth peer name p0; ip addr add 10.9.8.7/24 brd + dev d0; ip addr add 10.9.9.1/32 dev d0
            ip -6 addr add fd00:9::5/64 dev d0; ip link set d0 up; ip link add d1 type veth peer name p1
            \(try ContainerFixture.helper()) \(box.bundle); s=$?; echo "AFTER"; \(after); exit $s
            """
        var spawn = Spawn(arguments: ["sh", "-c", setUp], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
        spawn.namespaces = .network
        spawn.descriptors = [1: output.writer.raw, 2: errors.writer.raw]
        let child = try spawn.start("/bin/sh")
        let (outputReader, _) = output.ends()
        let (errorReader, _) = errors.ends()
        let text = String(decoding: try outputReader.readToEnd(limit: 1 << 20), as: UTF8.self)
        let errorText = String(decoding: try errorReader.readToEnd(limit: 1 << 20), as: UTF8.self)
        let parts = text.split(separator: "AFTER\n", maxSplits: 1, omittingEmptySubsequences: false)
        let outcome = ContainerFixture.Outcome(
            status: try child.pidfd.wait(),
            output: String(parts.first ?? ""),
            errors: errorText
        )
        return (outcome, parts.count > 1 ? String(parts[1]) : "")
    }

    @Test func anInterfaceMovesWithItsAddresses() throws {
        let box = try ContainerFixture()
        box.spec.linux?.netDevices = ["d0": .init(name: "eth7"), "d1": .init(name: "many%d")]
        let (inside, after) = try run(box, script: "ip addr show eth7; ip addr show many0")
        #expect(inside.status == .exited(0), "\(inside.errors)")
        for text in ["inet 10.9.8.7/24 brd 10.9.8.255", "inet 10.9.9.1/32", "inet6 fd00:9::5/64", "many0", ",UP"] {
            #expect(inside.output.contains(text), "\(text): \(inside.output) \(inside.errors)")
        }
        #expect(!after.contains("d0") && !after.contains("10.9.8.7"), "\(after)")
    }

    @Test func hooksOfTheRuntimeFindItInside() throws {
        let box = try ContainerFixture()
        let record = box.scratch.path + "/record"
        let script = "p=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); grep -o 'eth7' /proc/$p/net/dev > \(record)"
        box.spec.hooks = .init(
            createRuntime: [.init(path: "/bin/sh", args: ["sh", "-c", script], env: ["PATH=/usr/bin:/bin"])]
        )
        box.spec.linux?.netDevices = ["d0": .init(name: "eth7")]
        let (inside, _) = try run(box, script: "true")
        #expect(inside.status == .exited(0), "\(inside.errors)")
        #expect(try File.readText(record) == "eth7\n")
    }

    @Test func aFailedCreationGivesItBack() throws {
        let box = try ContainerFixture()
        box.spec.linux?.netDevices = ["d0": .init(name: "eth7")]
        box.spec.hooks = .init(createRuntime: [.init(path: "/bin/false")])
        let (inside, after) = try run(box, script: "true")
        #expect(inside.failure?.object == "hooks.createRuntime[0]", "\(inside.errors)")
        for text in ["10.9.8.7/24", "10.9.9.1/32", "fd00:9::5/64"] { #expect(after.contains(text), "\(after)") }
        #expect(after.contains("d0") && !after.contains("eth7"))
    }

    @Test func whatCannotMoveIsNamed() throws {
        let variants: [([String: RuntimeSpec.NetDevice], String, String)] = [
            (["absent": .init()], "linux.netDevices.absent", "notFound"),
            (["d0": .init(name: "lo")], "linux.netDevices.d0", "alreadyExists"),
            (["d0": .init(name: "x"), "d1": .init(name: "x")], "linux.netDevices.d1.name", "invalidArgument"),
            (["d0": .init(name: "a/b")], "linux.netDevices.d0.name", "invalidArgument"),
            (["d0": .init(name: "longer-than-fifteen")], "linux.netDevices.d0.name", "invalidArgument"),
            (["d/0": .init()], "linux.netDevices.d/0", "invalidArgument"),
            (["d0": .init(name: "e%s")], "linux.netDevices.d0.name", "invalidArgument"),
        ]
        for (devices, field, code) in variants {
            let box = try ContainerFixture()
            box.spec.linux?.netDevices = devices
            let (inside, after) = try run(box, script: "true")
            #expect(inside.failure?.object == field, "\(inside.errors)")
            #expect(inside.failure?.code == code, "\(inside.errors)")
            #expect(after.contains("10.9.8.7/24") && after.contains("fd00:9::5/64"), "\(field): \(after)")
        }
        let box = try ContainerFixture()
        box.spec.linux?.netDevices = ["d0": .init()]
        box.spec.linux?.namespaces?.removeAll { $0.type == .network }
        #expect(try run(box, script: "true").inside.failure?.object == "linux.netDevices")
    }
}
