import FoundationEssentials
import Kernel
import OCISpec
import ProbeSupport
import Testing

@testable import Sandbox

/// Containers without any namespace of their own: what holds them is the root, rules for files, and having no rights.
@Suite(.enabled(if: Landlock.version >= SandboxRules.oldestVersion, "the kernel has no Landlock, or an older one"))
struct SharedNamespacesTests {
    static func box(_ words: [String], _ options: [String] = ["--no-namespaces"]) throws -> ContainerFixture {
        let box = try ContainerFixture()
        try ProgramCopy.make(of: try RulesTests.probe(), at: box.root + "/bin/rules-probe")
        box.spec.hostname = nil
        box.spec.mounts = nil
        box.spec.linux = .init()
        box.spec.process?.capabilities = nil
        box.spec.process?.noNewPrivileges = true
        box.spec.process?.args = words
        box.options = options
        return box
    }

    static func overlay(_ box: ContainerFixture) throws -> [String] {
        let (upper, work) = ("\(box.scratch.path)/upper", "\(box.scratch.path)/work")
        for folder in [upper, work] { try File.makeDirectories(folder, mode: 0o755) }
        return ["--overlay", "\(box.root):\(upper):\(work)"]
    }

    /// Neither a namespace nor a mount: the filter that refuses both is in force for the runtime too.
    @Test func itRunsWhereNamespacesAreForbidden() throws {
        let script = "uname -n; rules-probe create=/tmp/new write=/dev/null control=/dev/null root=3; id -u; exit 7"
        let box = try Self.box(["/bin/sh", "-c", script], ["--no-namespaces", "--forbid-namespaces"])
        let outcome = try box.run()
        let host = try File.readText("/proc/sys/kernel/hostname").split(separator: "\n").first.map(String.init)
        #expect(
            outcome.lines == [
                host ?? "", "create=/tmp/new: ok", "write=/dev/null: ok", "control=/dev/null: ENOTTY", "root=3: ok",
                "0",
            ],
            "\(outcome.errors)"
        )
        #expect(outcome.status == .exited(7))
        // With namespaces nothing runs there.
        let other = try ContainerFixture()
        other.options = ["--forbid-namespaces"]
        #expect(try other.run("true").status == .exited(125))
    }

    /// The root is a mount that is nowhere, which goes with the last process.
    @Test func anOverlayIsItsRootWithoutBeingMounted() throws {
        let box = try Self.box(["/bin/sh", "-c", "echo changed >/etc/passwd; cat /etc/passwd; ls / | head -1"])
        box.options += try Self.overlay(box)
        let before = try File.readText("/proc/self/mountinfo")
        let outcome = try box.run()
        #expect(outcome.lines == ["changed", "bin"], "\(outcome.errors)")
        #expect(try File.readText("/proc/self/mountinfo") == before)
        #expect(try File.readText(box.root + "/etc/passwd").hasPrefix("root:"))
        #expect(try File.readText("\(box.scratch.path)/upper/etc/passwd") == "changed\n")
    }

    @Test func aReadOnlyRootIsSo() throws {
        let words = ["/bin/rules-probe", "create=/etc/new", "read=/etc/passwd", "write=/dev/null"]
        let plain = try Self.box(words)
        plain.spec.root?.readonly = true
        #expect(try plain.run().lines == ["create=/etc/new: EACCES", "read=/etc/passwd: ok", "write=/dev/null: ok"])
        let mounted = try Self.box(words)
        mounted.spec.root?.readonly = true
        mounted.options += try Self.overlay(mounted)
        #expect(try mounted.run().lines.first == "create=/etc/new: EROFS")
    }

    @Test(.enabled(if: Landlock.version >= SandboxRules.scopesVersion, "this kernel's Landlock knows no scopes"))
    func theHostIsOutOfReach() throws {
        let sleeper = try Spawn(arguments: ["sleep", "1000"]).start("/bin/sleep")
        defer { Pidfd.end(sleeper.pidfd.raw, within: .seconds(10)) }
        let name = "berth-test-\(Credentials.processID)"
        let (input, output) = (try Pipe().ends(), try Pipe().ends())
        var spawn = Spawn(arguments: ["rules-probe", "serve=\(name)"])
        spawn.descriptors = [0: input.reader.raw, 1: output.writer.raw]
        let server = try spawn.start(try RulesTests.probe())
        defer { Pidfd.end(server.pidfd.raw, within: .seconds(10)) }
        #expect(try output.reader.read(upTo: 8) == Array("serving\n".utf8))
        let words = ["signal=\(sleeper.pid)", "connect=\(name)", "at=secret", "root=9"]
        let box = try Self.box(["/bin/rules-probe"] + words)
        let canary = try File.open(box.canary, [.read, .directory])
        let held = try box.run(inherited: [0: canary.raw])
        #expect(
            held.lines == [
                "signal=\(sleeper.pid): EPERM", "connect=\(name): EPERM", "at=secret: EACCES", "root=9: ok",
            ],
            "\(held.errors)"
        )
        // Its own it may signal.
        let own = try Self.box(["/bin/sh", "-c", "sleep 1000 & rules-probe signal=$!; kill $!"])
        #expect(try own.run().output.hasSuffix(": ok\n"))
    }

    @Test func furtherProcessesAreInTheSameRoot() throws {
        let box = try Self.box(["/bin/sleep", "1000"], ["--no-namespaces", "--forbid-namespaces"])
        var process = box.spec.process ?? .init()
        process.args = ["/bin/rules-probe", "read=/etc/passwd", "create=/tmp/new", "at=secret", "root=9"]
        var privileged = process
        privileged.capabilities = .init(bounding: ["CAP_SYS_CHROOT"])
        var gaining = process
        gaining.noNewPrivileges = false
        for (number, document) in [process, privileged, gaining].enumerated() {
            let path = "\(box.scratch.path)/exec\(number).json"
            try File.writeAtomically(path, Array(JSONEncoder().encode(document)), durable: false)
            box.options += ["--exec", path]
        }
        let canary = try File.open(box.canary, [.read, .directory])
        let outcome = try box.run(inherited: [0: canary.raw])
        #expect(
            outcome.lines == ["read=/etc/passwd: ok", "create=/tmp/new: ok", "at=secret: EACCES", "root=9: ok"],
            "\(outcome.errors)"
        )
        let lines = outcome.errors.split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("exec 1") && $0.contains("process.capabilities") })
        #expect(lines.contains { $0.hasPrefix("exec 2") && $0.contains("process.noNewPrivileges") })
    }

    @Test func aTerminalIsTheHosts() throws {
        let box = try Self.box(["/bin/sh", "-c", "test -t 0 && test -t 1 && echo both"])
        box.spec.process?.terminal = true
        box.options.append("--terminal")
        #expect(try box.run().output.contains("both"))
    }

    @Test func itsUserIsWhoTheDocumentSays() throws {
        let box = try Self.box(["/bin/sh", "-c", "id -u; id -g; touch /etc/x 2>/dev/null || echo no"])
        try box.link("/bin/touch", to: "busybox")
        box.spec.process?.user = .init(uid: 33, gid: 44)
        #expect(try box.run().lines == ["33", "44", "no"])
    }

    @Test func whatTakesANamespaceIsRefusedByName() throws {
        let changes: [(String, (inout RuntimeSpec) -> Void)] = [
            ("mounts", { $0.mounts = [.init(destination: "/tmp", type: "tmpfs", source: "tmpfs")] }),
            ("hostname", { $0.hostname = "box" }), ("domainname", { $0.domainname = "box" }),
            ("linux.sysctl", { $0.linux?.sysctl = ["net.ipv4.ip_forward": "1"] }),
            ("linux.maskedPaths", { $0.linux?.maskedPaths = ["/etc"] }),
            ("linux.readonlyPaths", { $0.linux?.readonlyPaths = ["/etc"] }),
            ("linux.rootfsPropagation", { $0.linux?.rootfsPropagation = "slave" }),
            ("linux.uidMappings", { $0.linux?.uidMappings = [.init(containerID: 0, hostID: 1, size: 1)] }),
            ("linux.timeOffsets", { $0.linux?.timeOffsets = ["boottime": .init(secs: 1)] }),
            ("linux.devices", { $0.linux?.devices = [.init(type: "c", path: "/dev/x", major: 1, minor: 3)] }),
            ("hooks.startContainer", { $0.hooks = .init(startContainer: [.init(path: "/bin/true")]) }),
            ("process.capabilities", { $0.process?.capabilities = .init(bounding: ["CAP_CHOWN"]) }),
            ("process.noNewPrivileges", { $0.process?.noNewPrivileges = false }),
        ]
        for (object, change) in changes {
            let box = try Self.box(["/bin/true"])
            change(&box.spec)
            let failure = try #require(try box.run().failure, "\(object)")
            #expect((failure.object, failure.code) == (object, "unsupported"))
        }
        // Without being allowed it is refused as it always was.
        let plain = try Self.box(["/bin/true"], [])
        #expect(try plain.run().failure?.object == "linux.namespaces")
    }
}
