import FoundationEssentials
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Documents with one thing wrong: each is refused with that thing's name, or taken where the specification says so.
@Suite struct BadDocumentTests {
    /// What must come of a document.
    enum Outcome: Equatable {
        /// Refused, naming exactly this place.
        case refused(String)
        case runs
    }

    /// The JSON type that a field has.
    enum Kind {
        case text, flag, list, object
        case number(ClosedRange<Int128>)

        static let unsigned32 = Kind.number(0...Int128(UInt32.max))
        static let signed32 = Kind.number(Int128(Int32.min)...Int128(Int32.max))
        static let signed64 = Kind.number(Int128(Int64.min)...Int128(Int64.max))
        static let unsigned64 = Kind.number(0...Int128(UInt64.max))

        /// Values of no such type, and numbers beyond its ends.
        var wrong: [String] {
            switch self {
            case .text: ["7", "true", "[]", "{}", "1.5"]
            case .flag: ["0", "\"true\"", "[]", "{}"]
            case .list: ["7", "\"x\"", "{\"0\":1}", "false"]
            case .object: ["7", "\"x\"", "[]", "true"]
            case .number(let range):
                ["\"7\"", "true", "[]", "{}", "1.5", "1e3", "\(range.lowerBound - 1)", "\(range.upperBound + 1)"]
            }
        }
    }

    static let fields: [(String, Kind)] = [
        ("ociVersion", .text), ("hostname", .text), ("domainname", .text), ("annotations", .object),
        ("annotations.k", .text), ("root", .object), ("root.path", .text), ("root.readonly", .flag),
        ("process", .object),
        ("process.terminal", .flag), ("process.consoleSize", .object), ("process.user", .object),
        ("process.user.uid", .unsigned32), ("process.user.gid", .unsigned32), ("process.user.umask", .unsigned32),
        ("process.user.additionalGids", .list), ("process.user.additionalGids.[0]", .unsigned32),
        ("process.user.username", .text), ("process.args", .list), ("process.args.[0]", .text), ("process.env", .list),
        ("process.env.[0]", .text), ("process.cwd", .text), ("process.capabilities", .object),
        ("process.capabilities.bounding", .list), ("process.capabilities.ambient.[0]", .text),
        ("process.rlimits", .list),
        ("process.rlimits.[0]", .object), ("process.rlimits.[0].type", .text),
        ("process.noNewPrivileges", .flag), ("process.apparmorProfile", .text), ("process.selinuxLabel", .text),
        ("process.oomScoreAdj", .signed64), ("process.scheduler", .object), ("process.scheduler.policy", .text),
        ("process.ioPriority", .object), ("process.ioPriority.class", .text), ("process.execCPUAffinity", .object),
        ("process.execCPUAffinity.initial", .text), ("mounts", .list), ("mounts.[0]", .object),
        ("mounts.[0].destination", .text), ("mounts.[0].type", .text), ("mounts.[0].source", .text),
        ("mounts.[0].options", .list), ("mounts.[0].options.[0]", .text), ("hooks", .object), ("hooks.prestart", .list),
        ("hooks.prestart.[0]", .object), ("hooks.poststop.[0].path", .text), ("linux", .object),
        ("linux.namespaces", .list), ("linux.namespaces.[0]", .object), ("linux.namespaces.[0].type", .text),
        ("linux.namespaces.[0].path", .text), ("linux.uidMappings", .list), ("linux.timeOffsets", .object),
        ("linux.timeOffsets.monotonic.secs", .signed64), ("linux.timeOffsets.monotonic.nanosecs", .unsigned32),
        ("linux.devices", .list), ("linux.netDevices", .object), ("linux.cgroupsPath", .text),
        ("linux.rootfsPropagation", .text), ("linux.sysctl", .object), ("linux.sysctl.k", .text),
        ("linux.maskedPaths", .list), ("linux.readonlyPaths.[0]", .text), ("linux.mountLabel", .text),
        ("linux.intelRdt", .object), ("linux.personality.domain", .text), ("linux.memoryPolicy.mode", .text),
        ("linux.resources", .object), ("linux.resources.memory.limit", .signed64), ("linux.resources.devices", .list),
        ("linux.resources.devices.[0].allow", .flag), ("linux.resources.cpu.shares", .unsigned64),
        ("linux.resources.cpu.cpus", .text), ("linux.resources.pids.limit", .signed64),
        ("linux.resources.unified", .object), ("linux.resources.unified.x", .text), ("linux.seccomp", .object),
        ("linux.seccomp.defaultAction", .text),
    ]

    /// Wrong types and numbers, each with the place that the reader must name.
    static var types: [(document: JSONText, outcome: Outcome, what: String)] {
        get throws {
            let base = try JSONText(ContainerFixture.plainSpec)
            return fields.flatMap { path, kind in
                kind.wrong.map { value in
                    (base.setting(path, to: .raw(value)), .refused(path), "\(path) = \(value)")
                }
            }
        }
    }

    /// Longer than any path, name, argument or variable that the kernel takes.
    static let long = JSONText.string(String(repeating: "x", count: 256 << 10))
    /// As long as a document may be; once, for a debug build reads it in seconds.
    static let longest = JSONText.string(String(repeating: "x", count: 10 << 20))

    /// What has the right type and is wrong, or looks wrong and is not.
    static let values: [(path: String, value: JSONText?, outcome: Outcome)] = [
        // Missing.
        ("ociVersion", nil, .refused("ociVersion")), ("root", nil, .refused("root")),
        ("root.path", nil, .refused("root.path")),
        ("process", nil, .refused("process")), ("process.args", nil, .refused("process.args")),
        ("mounts.[0].destination", nil, .refused("mounts.[0].destination")),
        ("linux.namespaces.[0].type", nil, .refused("linux.namespaces.[0].type")), ("hostname", nil, .runs),
        ("process.env", nil, .runs), ("process.cwd", nil, .runs), ("process.capabilities", nil, .runs),
        // Null is absent.
        ("hostname", .null, .runs), ("hooks", .null, .runs), ("process.rlimits", .null, .runs),
        ("root", .null, .refused("root")),
        // Empty.
        ("ociVersion", .string(""), .refused("ociVersion")), ("process.args", .array([]), .refused("process.args")),
        ("process.args", .array([.string("")]), .refused("process.args")),
        ("process.cwd", .string(""), .refused("process.cwd")),
        ("annotations", .object([]), .runs), ("linux.devices", .array([]), .runs), ("process.user", .object([]), .runs),
        // Versions.
        ("ociVersion", .string("2.0.0"), .refused("ociVersion")),
        ("ociVersion", .string("1.2"), .refused("ociVersion")),
        ("ociVersion", .string("one"), .refused("ociVersion")), ("ociVersion", .string("1.0.2-dev"), .runs),
        // Unknown is ignored.
        ("novelty", .object([]), .runs), ("process.novelty", .raw("[1.5,-1e9,null]"), .runs),
        ("linux.novelty", .bool(true), .runs),
        ("linux.resources.novelty", .string("x"), .runs), ("mounts.[0].novelty", .integer(1), .runs),
        ("vm", .object([]), .runs), ("windows", .object([]), .runs),
        // Paths and texts.
        ("process.cwd", .string("relative"), .refused("process.cwd")),
        ("process.cwd", .string("/a\0b"), .refused("process.cwd")),
        ("process.args", .array([.string("/bin/true"), .string("a\0b")]), .refused("process.args")),
        ("process.args", .array([.string("/bin/tr\0ue")]), .refused("process.args")),
        ("process.env", .array([.string("A=\0")]), .refused("process.env")),
        ("root.path", .string("roo\0tfs"), .refused("root.path")), ("root.path", .string(""), .refused("root.path")),
        ("hostname", .string(String(repeating: "h", count: 65)), .refused("hostname")),
        ("domainname", .string(String(repeating: "d", count: 65)), .refused("domainname")),
        ("hostname", .string("a\0b"), .refused("hostname")),
        // Numbers.
        ("process.oomScoreAdj", .integer(1001), .refused("process.oomScoreAdj")),
        ("process.oomScoreAdj", .integer(-1001), .refused("process.oomScoreAdj")),
        ("process.user.uid", .integer(4_294_967_295), .refused("process.user")),
        ("process.user.gid", .integer(4_294_967_295), .refused("process.user")),
        // Lists.
        ("process.rlimits", .raw(#"[{"type":"RLIMIT_X","soft":1,"hard":1}]"#), .refused("process.rlimits")),
        (
            "process.rlimits",
            .raw(#"[{"type":"RLIMIT_CPU","soft":9,"hard":9},{"type":"RLIMIT_CPU","soft":9,"hard":9}]"#),
            .refused("process.rlimits")
        ),
        ("process.rlimits", .raw(#"[{"type":"RLIMIT_CPU","soft":1}]"#), .refused("process.rlimits.[0].hard")),
        ("process.rlimits", .raw(#"[{"type":"RLIMIT_CPU","soft":-1,"hard":1}]"#), .refused("process.rlimits.[0].soft")),
        ("linux.namespaces", .raw(#"[{"type":"mount"},{"type":"pid"},{"type":"pid"}]"#), .refused("linux.namespaces")),
        ("linux.namespaces.[0].type", .string("planet"), .refused("linux.namespaces.[0].type")),
        ("linux.rootfsPropagation", .string("sideways"), .refused("linux.rootfsPropagation")),
        ("linux.sysctl", .raw(#"{"kernel.core_pattern":"x"}"#), .refused("linux.sysctl.kernel.core_pattern")),
        ("linux.sysctl", .raw(#"{"net.ipv4.ip_forward":"1\u0000"}"#), .refused("linux.sysctl.net.ipv4.ip_forward")),
        // Attributes of the process.
        ("process.scheduler", .raw(#"{"policy":"SCHED_X"}"#), .refused("process.scheduler.policy")),
        ("process.scheduler", .raw(#"{"policy":"SCHED_OTHER","nice":99}"#), .refused("process.scheduler.nice")),
        ("process.scheduler", .raw("{}"), .refused("process.scheduler.policy")),
        ("process.ioPriority", .raw(#"{"class":"X","priority":1}"#), .refused("process.ioPriority.class")),
        ("process.ioPriority", .raw(#"{"class":"IOPRIO_CLASS_BE"}"#), .refused("process.ioPriority.priority")),
        ("process.execCPUAffinity", .raw(#"{"initial":"z"}"#), .refused("process.execCPUAffinity.initial")),
        ("process.capabilities", .raw(#"{"bounding":["CAP_X"]}"#), .runs),
        ("linux.personality", .raw(#"{"domain":"X"}"#), .refused("linux.personality.domain")),
        ("linux.memoryPolicy", .raw(#"{"mode":"X"}"#), .refused("linux.memoryPolicy.mode")),
        ("linux.memoryPolicy", .raw(#"{"mode":"MPOL_BIND","nodes":"0-"}"#), .refused("linux.memoryPolicy.nodes")),
        ("linux.netDevices", .raw(#"{"a/b":{}}"#), .refused("linux.netDevices.a/b")),
        ("hooks", .raw(#"{"prestart":[{"path":"x"}]}"#), .refused("hooks.prestart[0].path")),
        ("hooks", .raw(#"{"poststop":[{"path":"/x","timeout":0}]}"#), .refused("hooks.poststop[0].timeout")),
        ("hooks", .raw(#"{"poststop":[{"args":[]}]}"#), .refused("hooks.poststop.[0].path")),
        // The filter.
        ("linux.seccomp", .raw("{}"), .refused("linux.seccomp.defaultAction")),
        ("linux.seccomp", .raw(#"{"defaultAction":"X"}"#), .refused("linux.seccomp.defaultAction")),
        (
            "linux.seccomp", .raw(#"{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1}"#),
            .refused("linux.seccomp.defaultErrnoRet")
        ),
        (
            "linux.seccomp", .raw(#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["X"]}"#),
            .refused("linux.seccomp.architectures")
        ),
        (
            "linux.seccomp", .raw(#"{"defaultAction":"SCMP_ACT_ALLOW","flags":["X"]}"#),
            .refused("linux.seccomp.flags")
        ),
        (
            "linux.seccomp",
            .raw(#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[],"action":"SCMP_ACT_LOG"}]}"#),
            .refused("linux.seccomp.syscalls[0].names")
        ),
        (
            "linux.seccomp",
            .raw(
                #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG","errnoRet":1}]}"#
            ),
            .refused("linux.seccomp.syscalls[0].errnoRet")
        ),
        (
            "linux.seccomp",
            .raw(
                #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}]}"#
            ),
            .refused("linux.seccomp.syscalls[0].args")
        ),
        ("linux.seccomp", .raw(#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#), .refused("linux.seccomp.listenerPath")),
        // Very long.
        ("novelty", long, .runs), ("process.cwd", long, .refused("process.cwd")),
        ("process.env", .array([long]), .refused("process.env")),
        ("process.args", .array([.string("/bin/true"), long]), .refused("process.args")),
        ("hostname", long, .refused("hostname")),
        ("linux.rootfsPropagation", long, .refused("linux.rootfsPropagation")),
        ("annotations", .object([("k", longest)]), .runs),
        // Deep.
        ("novelty", .raw(String(repeating: "[", count: 40) + String(repeating: "]", count: 40)), .runs),
        ("novelty", .raw(String(repeating: "[", count: 1000) + String(repeating: "]", count: 1000)), .refused("")),
        ("novelty", .raw(String(repeating: "{\"a\":", count: 100_000)), .refused("")),
        // Not JSON.
        ("hostname", .raw("box"), .refused("")), ("hostname", .raw("\"\\u12\""), .refused("")),
        ("hostname", .raw("\"\u{1}\""), .refused("")), ("process.oomScoreAdj", .raw("01"), .refused("")),
        ("process.args", .raw("[\"/bin/true\",]"), .refused("")),
        // Twice: readers differ in which one they take.
        ("zzz", .raw(#"1,"hostname":"box""#), .refused("hostname")),
        ("annotations", .raw(#"{"k":"1","k":"1"}"#), .refused("annotations.k")),
        ("novelty", .raw(#"[1,{"a":{"b":1,"c":2,"b":1}}]"#), .refused("novelty.[1].a.b")),
        // Numbers that no device has, and those that are missing.
        ("linux.devices", .raw(#"[{"type":"c","path":"/dev/x","major":1}]"#), .refused("linux.devices: /dev/x")),
        ("linux.devices", .raw(#"[{"type":"b","path":"/dev/x","minor":1}]"#), .refused("linux.devices: /dev/x")),
        (
            "linux.devices", .raw(#"[{"type":"c","path":"/dev/x","major":4096,"minor":1}]"#),
            .refused("linux.devices: /dev/x")
        ),
        (
            "linux.devices", .raw(#"[{"type":"c","path":"/dev/x","major":1,"minor":1048576}]"#),
            .refused("linux.devices: /dev/x")
        ),
        ("linux.devices", .raw(#"[{"type":"p","path":"/dev/x"}]"#), .runs),
        // Groups that no process can have.
        ("process.user.additionalGids", .raw("[1,4294967295]"), .refused("process.user.additionalGids")),
        (
            "process.user.additionalGids", .array((0..<65_536).map { .integer($0) }),
            .refused("process.user.additionalGids")
        ),
        // What only the kernel knows to be wrong.
        ("linux.sysctl", .raw(#"{"net.ipv4.ip_forward":"many"}"#), .refused("linux.sysctl.net.ipv4.ip_forward")),
        ("linux.sysctl", .raw(#"{"net.ipv4.nothing":"1"}"#), .refused("linux.sysctl.net.ipv4.nothing")),
    ]

    @Test func everyMistakeIsNamed() throws {
        let box = try ContainerFixture()
        let base = try JSONText(ContainerFixture.plainSpec)
        var documents = try Self.types
        documents += Self.values.map { value in
            (
                base.setting(value.path, to: value.value), value.outcome,
                "\(value.path) \(value.value?.text.prefix(60) ?? "absent")"
            )
        }
        #expect(documents.count > 400)
        let before = try entries(box)
        for (document, wanted, what) in documents {
            let outcome = try run(document.text, box)
            switch wanted {
            case .runs:
                #expect(outcome.status == .exited(0), "\(what): \(outcome.errors.prefix(300))")
            case .refused(let place):
                #expect(outcome.status == .exited(125), "\(what): \(outcome.errors.prefix(300))")
                #expect(outcome.failure?.object == place, "\(what): \(outcome.errors.prefix(300))")
                #expect(["invalidArgument", "unsupported"].contains(outcome.failure?.code), "\(what)")
            }
        }
        // Nothing is left: no file, no mount, no process, no group.
        #expect(try entries(box) == before)
        #expect(!(try File.readText("/proc/self/mountinfo", limit: 16 << 20)).contains(box.scratch.path))
        for entry in try File.open("/proc", .directory).readDirectory() where Int32(entry.name) != nil {
            let line = (try? File.read("/proc/\(entry.name)/cmdline", limit: 1 << 16)) ?? []
            #expect(!String(decoding: line, as: UTF8.self).contains(box.bundle), "process \(entry.name)")
        }
    }

    private func entries(_ box: ContainerFixture) throws -> [String] {
        try ["", "/bundle", "/bundle/rootfs", "/canary"].flatMap { directory in
            try File.open(box.scratch.path + directory, .directory).readDirectory().map { "\(directory)/\($0.name)" }
        }.filter {
            !["/bundle/config.json", "/bundle/rootfs/dev", "/bundle/rootfs/proc", "/bundle/rootfs/sys"].contains($0)
        }
        .sorted()
    }

    private func run(_ json: String, _ box: ContainerFixture) throws -> ContainerFixture.Outcome {
        try File.writeAtomically(box.bundle + "/config.json", Array(json.utf8), durable: false)
        let errors = try Pipe()
        var spawn = Spawn(arguments: ["sandbox-run", box.bundle], environment: ["PATH=/usr/bin:/bin"])
        spawn.descriptors = [2: errors.writer.raw]
        let child = try spawn.start(try ContainerFixture.helper())
        let (reader, _) = errors.ends()
        let text = String(decoding: try reader.readToEnd(limit: 1 << 24), as: UTF8.self)
        return ContainerFixture.Outcome(status: try child.pidfd.wait(), output: "", errors: text)
    }

    /// A group that the run itself has made goes with a container that is not made.
    @Test func aRefusedDocumentLeavesNoGroup() throws {
        let box = try ContainerFixture()
        let name = "berth-test-\(Random.hex(6))"
        box.options = ["--cgroup", "/" + name]
        box.spec.linux?.rootfsPropagation = "sideways"
        #expect(try box.run("true").failure?.object == "linux.rootfsPropagation")
        let hierarchies = try File.open("/sys/fs/cgroup", .directory).readDirectory().map(\.name)
        for hierarchy in hierarchies { #expect(!File.exists("/sys/fs/cgroup/\(hierarchy)/\(name)")) }
    }
}
