import FoundationEssentials
import Foundation
import Kernel
import OCISpec
import SystemFixture
import Testing

/// A container made by `sandbox-run` from an image that a test has prepared, on a host of its own.
///
/// The host's mount table is that of a mount namespace made for the case, with everything shared as systemd leaves it. Beside
/// the image lies the canary. Every run compares canary, parameters and mounts before and after it.
final class Box {
    /// What root in the container is outside.
    enum Mode: String, CaseIterable, CustomTestStringConvertible {
        case host, user
        var testDescription: String { "\(rawValue) ids" }
    }

    let folder: URL
    let mode: Mode
    var spec: RuntimeSpec
    /// Further arguments of `sandbox-run`.
    var options: [String] = []
    /// What the shell does before it becomes `sandbox-run`.
    var preamble = ""
    /// Lines of shell behind it, before the look at the mounts.
    var postamble = ""

    var path: String { folder.path }
    var bundle: String { path + "/bundle" }
    /// The image: the only layer of the container's root.
    var image: String { path + "/image" }
    var canary: String { path + "/canary" }
    /// A directory that containers share.
    var volume: String { path + "/volume" }

    init(_ mode: Mode = .host) throws {
        self.mode = mode
        folder = URL(fileURLWithPath: "/tmp/berth-test-\(Random.hex(8))")
        spec = Self.plainSpec
        if mode == .user {
            let ids = [RuntimeSpec.IDMapping(containerID: 0, hostID: 300_000, size: 65536)]
            spec.linux?.namespaces?.append(.init(type: .user))
            spec.linux?.uidMappings = ids
            spec.linux?.gidMappings = ids
        }
        for name in ["bundle/rootfs", "image/bin", "image/etc", "image/tmp", "image/root", "volume", "upper", "work"] {
            try File.makeDirectories("\(path)/\(name)", mode: 0o755)
        }
        try RootedDir(image).chmod("tmp", permissions: 0o1777)
        try Host.makeCanary(canary)
        try copy("/bin/busybox", to: "/bin/busybox")
        try copy(try Hostile.program(), to: "/bin/hostile")
        let names =
            "sh cat ls id stat readlink sleep true unshare tty stty mount umount grep head wc rm touch env find dd mkdir cp test"
        for name in names.split(separator: " ") { try link("/bin/\(name)", to: "busybox") }
        try write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:w:/srv/web:/bin/sh\n")
        try write("/etc/group", "root:x:0:\nweb:x:44:\ntape:x:26:daemon,web\nstaff:x:50:\n")
    }

    deinit {
        // What is left is visible by its name.
        _ = try? File.removeTree(path)
    }

    // The image -------------------------------------------------------------------------------------------------------

    func copy(_ file: String, to place: String) throws {
        let target = try RootedDir(image).create(place, mode: 0o755)
        try target.writeAll(try File.read(file, limit: 1 << 26))
    }

    func write(_ place: String, _ text: String) throws {
        try remove(place)
        try RootedDir(image).create(place, mode: 0o644).writeAll(text)
    }

    /// Makes a link; what is there already goes.
    func link(_ place: String, to target: String) throws {
        let root = try RootedDir(image)
        _ = try root.removeTree(place)
        try root.symlink(place, to: target)
    }

    func remove(_ place: String) throws { _ = try RootedDir(image).removeTree(place) }

    func directory(_ place: String) throws { _ = try RootedDir(image).mkdirAll(place) }

    /// A link that leads to the canary from anywhere on the host, and nowhere from inside.
    var wayOut: String { "../../../../../../../../../.." + canary }

    /// Options of a bind whose files belong to the container's root.
    var shared: [String] { ["rbind", "rw"] + (mode == .user ? ["idmap"] : []) }

    // Running ---------------------------------------------------------------------------------------------------------

    /// What a run left.
    struct Result: CustomStringConvertible {
        let outcome: Outcome
        var status: Int32 { outcome.status }
        var lines: [String] { outcome.lines }
        var text: String { outcome.text }
        var output: String { outcome.output }
        var errors: String { outcome.errors }
        var description: String { outcome.description }

        /// The value after `name:` or `name=`.
        subscript(name: String) -> String? {
            lines.first { $0.hasPrefix(name + ":") || $0.hasPrefix(name + "=") }?
                .dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
        }

        /// What kept the container from running.
        var failure: (stage: String, errno: Int32, code: String)? {
            struct Report: Decodable {
                var stage: String
                var errno: Int32
                var code: String
            }
            let line = errors.split(separator: "\n").last { $0.contains("{\"stage") }
            guard let line, let start = line.firstIndex(of: "{"),
                let report = try? JSONDecoder().decode(Report.self, from: Data(line[start...].utf8))
            else { return nil }
            return (report.stage, report.errno, report.code)
        }

        /// How many containers of a tally came to what: `created`, or the stage of the failure.
        func tally(_ what: String) -> Int {
            let line = errors.split(separator: "\n").last { $0.hasPrefix("tally ") } ?? ""
            let word = line.split(separator: " ").first { $0.hasPrefix(what + "=") } ?? ""
            return Int(word.dropFirst(what.count + 1)) ?? 0
        }
    }

    /// Runs a shell script as the container's program.
    func run(
        _ script: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> Result {
        spec.process?.args = ["/bin/sh", "-c", script]
        return try run(sourceLocation: sourceLocation)
    }

    /// Runs the document.
    func run(within seconds: Double = 120, sourceLocation: SourceLocation = #_sourceLocation) throws -> Result {
        let command = try start
        return try guarded(sourceLocation) { Result(outcome: try command().finish(within: seconds)) }
    }

    /// Runs a container a number of times; failures are counted, see ``Result/tally(_:)``.
    func race(_ count: Int, _ script: String, sourceLocation: SourceLocation = #_sourceLocation) throws -> Result {
        options += ["--tally", String(count)]
        return try run(script, sourceLocation: sourceLocation)
    }

    /// Additional processes in a container that sleeps; the errors have a line for each.
    func exec(_ processes: [RuntimeSpec.Process], sourceLocation: SourceLocation = #_sourceLocation) throws -> Result {
        spec.process?.args = ["/bin/sleep", "1000"]
        try addExecs(processes)
        return try run(sourceLocation: sourceLocation)
    }

    /// Runs a script as the container's first process and then, in the same container, as an exec, which `change` makes
    /// different.
    func both(
        _ text: String,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ change: (inout RuntimeSpec.Process) -> Void = { _ in }
    ) throws -> (first: Result, exec: Result) {
        func wait(_ file: String) -> String { "until [ -e /tmp/\(file) ]; do sleep 0.01; done" }
        var second = script("\(wait("first")); echo second; \(text); touch /tmp/second")
        change(&second)
        try addExecs([second])
        options.append("--wait")
        let outcome = try run("\(text); touch /tmp/first; \(wait("second"))", sourceLocation: sourceLocation)
        let parts = outcome.output.components(separatedBy: "second\n")
        try #require(parts.count == 2, "\(outcome)", sourceLocation: sourceLocation)
        func result(_ part: String) -> Result {
            Result(outcome: Outcome(status: outcome.status, output: part, errors: outcome.errors))
        }
        return (result(parts[0]), result(parts[1]))
    }

    func addExecs(_ processes: [RuntimeSpec.Process]) throws {
        for (number, process) in processes.enumerated() {
            let file = "\(path)/exec\(number).json"
            try File.writeAtomically(file, Array(JSONEncoder().encode(process)), durable: false)
            options += ["--exec", file]
        }
    }

    /// A process like the container's first, with a script of its own.
    func script(_ text: String) -> RuntimeSpec.Process {
        var process = spec.process ?? .init()
        process.args = ["/bin/sh", "-c", text]
        return process
    }

    /// Looks at the host before and after.
    func guarded<T>(_ sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> T) throws -> T {
        let before = try Host(canary: canary)
        let result = try body()
        for difference in try Host(canary: canary).differences(from: before) {
            Issue.record("the host has changed: \(difference)", sourceLocation: sourceLocation)
        }
        let mounts = try ["before", "after"].map { try String(contentsOfFile: "\(path)/mounts-\($0)", encoding: .utf8) }
        if mounts[0] != mounts[1] {
            Issue.record("the host's mounts have changed: \(mounts[1])", sourceLocation: sourceLocation)
        }
        return result
    }

    /// Starts `sandbox-run` in a mount namespace that stands for the host's.
    var start: () throws -> Command {
        get throws {
            try File.writeAtomically(bundle + "/config.json", Array(JSONEncoder().encode(spec)), durable: false)
            let host = """
                mount --make-rshared / && cat /proc/self/mountinfo > \(path)/mounts-before || exit 99
                \(preamble)
                "$@"
                code=$?
                \(postamble)
                cat /proc/self/mountinfo > \(path)/mounts-after
                exit $code
                """
            let overlay =
                ["--overlay", "\(image):\(path)/upper:\(path)/work"]
                + (mode == .user ? ["--root-option", "idmap"] : [])
            let words = [Binaries.path("sandbox-run"), bundle] + overlay + options
            let arguments = ["--mount", "--propagation", "private", "bash", "-c", host, "host"] + words
            return { [folder] in try Command("unshare", arguments, in: folder) }
        }
    }

    /// The document of an ordinary container.
    static var plainSpec: RuntimeSpec {
        let capabilities = [
            "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_SETGID", "CAP_SETUID",
            "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
        ]
        let closed = ["nosuid", "noexec", "nodev"]
        return RuntimeSpec(
            ociVersion: "1.2.0",
            process: .init(
                args: ["/bin/true"],
                env: ["PATH=/usr/bin:/bin"],
                cwd: "/",
                capabilities: .init(bounding: capabilities, effective: capabilities, permitted: capabilities),
                noNewPrivileges: true
            ),
            root: .init(path: "rootfs"),
            hostname: "box",
            mounts: [
                .init(destination: "/proc", type: "proc", source: "proc", options: closed),
                .init(
                    destination: "/dev",
                    type: "tmpfs",
                    source: "tmpfs",
                    options: ["nosuid", "strictatime", "mode=755", "size=64k"]
                ),
                .init(
                    destination: "/dev/pts",
                    type: "devpts",
                    source: "devpts",
                    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
                ),
                .init(destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: closed),
                .init(destination: "/dev/shm", type: "tmpfs", source: "shm", options: closed + ["mode=1777"]),
                .init(destination: "/sys", type: "sysfs", source: "sysfs", options: closed + ["ro"]),
                .init(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: closed + ["ro"]),
            ],
            linux: .init(
                namespaces: [.mount, .pid, .network, .ipc, .uts, .cgroup].map { .init(type: $0) },
                maskedPaths: [
                    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
                    "/proc/latency_stats",
                    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
                    "/sys/devices/virtual/powercap",
                ],
                readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
            )
        )
    }
}
