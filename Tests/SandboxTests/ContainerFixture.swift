import FoundationEssentials
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// A bundle with a busybox root of its own, run by `sandbox-run` in a process of its own.
///
/// Beside the root lies a canary directory that stands for the host: no test may change what is in it.
final class ContainerFixture {
    let scratch: Scratch
    var spec: RuntimeSpec
    /// Further arguments of `sandbox-run`.
    var options: [String] = []

    var bundle: String { scratch.path + "/bundle" }
    var root: String { bundle + "/rootfs" }
    var canary: String { scratch.path + "/canary" }

    /// What a run left.
    struct Outcome {
        let status: Kernel.ExitStatus
        let output: String
        let errors: String

        var lines: [String] { output.split(separator: "\n").map(String.init) }

        /// The value after `name:` or `name` and blanks.
        subscript(name: String) -> String? {
            lines.first { $0.hasPrefix(name) }?.dropFirst(name.count).drop { " :\t".contains($0) }.description
        }

        /// Stage, object and errno of the error that kept the container from running.
        var failure: (stage: String, object: String, errno: Int32, code: String)? {
            struct Report: Decodable {
                var stage: String
                var object: String
                var errno: Int32
                var code: String
            }
            let line = errors.split(separator: "\n").last { $0.contains("{") }
            guard let line, let start = line.firstIndex(of: "{") else { return nil }
            guard let report = try? JSONDecoder().decode(Report.self, from: Data(line[start...].utf8)) else {
                return nil
            }
            return (report.stage, report.object, report.errno, report.code)
        }
    }

    init() throws {
        scratch = try Scratch()
        spec = Self.plainSpec
        for directory in ["bundle/rootfs/bin", "bundle/rootfs/etc", "bundle/rootfs/tmp", "canary"] {
            try File.makeDirectories("\(scratch.path)/\(directory)", mode: 0o755)
        }
        try ProgramCopy.make(of: "/bin/busybox", at: root + "/bin/busybox")
        for name in [
            "sh", "cat", "ls", "id", "stat", "readlink", "sleep", "true", "unshare", "tty", "stty", "mount", "grep",
            "head", "wc", "ionice", "uname", "mkdir", "rmdir", "kill", "ip", "echo", "taskset", "chroot",
        ] {
            try link("/bin/" + name, to: "busybox")
        }
        try write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:w:/srv/web:/bin/sh\n")
        try write("/etc/group", "root:x:0:\nweb:x:44:\ntape:x:26:daemon,web\nstaff:x:50:\n")
        try File.writeAtomically(canary + "/secret", Array("host".utf8), durable: false)
    }

    func write(_ path: String, _ text: String) throws {
        try File.writeAtomically(root + path, Array(text.utf8), mode: 0o644, durable: false)
    }

    func link(_ path: String, to target: String) throws {
        try RootedDir(root).symlink(path, to: target)
    }

    /// Runs a shell script as the container's program.
    func run(_ script: String) throws -> Outcome {
        spec.process?.args = ["/bin/sh", "-c", script]
        return try run()
    }

    /// Runs the specification.
    func run(inherited: [Int32: RawDescriptor] = [:]) throws -> Outcome {
        try writeConfiguration()
        let output = try Pipe().ends()
        let errors = try Pipe().ends()
        var spawn = Spawn(arguments: ["sandbox-run", bundle] + options, environment: ["PATH=/usr/bin:/bin"])
        spawn.descriptors = inherited.merging([1: output.writer.raw, 2: errors.writer.raw]) { $1 }
        let child = try spawn.start(try Self.helper())
        let text = try Self.readAndClose(output)
        let errorText = try Self.readAndClose(errors)
        return Outcome(status: try child.pidfd.wait(), output: text, errors: errorText)
    }

    /// Makes the bundle ready without running it.
    func writeConfiguration() throws {
        try File.writeAtomically(bundle + "/config.json", Array(JSONEncoder().encode(spec)), durable: false)
    }

    private static func readAndClose(
        _ pipe: consuming (reader: SharedDescriptor, writer: SharedDescriptor)
    ) throws -> String {
        let reader = pipe.reader
        // The test's own copy of the writing end must go, or the end never comes.
        try BorrowedDescriptor(pipe.writer.raw).replaceByNull()
        return String(decoding: try reader.readToEnd(limit: 1 << 20), as: UTF8.self)
    }

    static func helper() throws -> String {
        try Probe.path().split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            + "/sandbox-run"
    }

    /// The document that the engine would write for a plain container.
    static var plainSpec: RuntimeSpec {
        let capabilities = ["CAP_CHOWN", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE", "CAP_KILL"]
        return RuntimeSpec(
            ociVersion: "1.2.0",
            process: .init(
                args: ["/bin/true"],
                env: ["PATH=/usr/bin:/bin"],
                cwd: "/",
                capabilities: .init(bounding: capabilities, effective: capabilities, permitted: capabilities)
            ),
            root: .init(path: "rootfs"),
            hostname: "box",
            mounts: [
                .init(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
                .init(
                    destination: "/dev",
                    type: "tmpfs",
                    source: "tmpfs",
                    options: ["nosuid", "mode=755", "size=64k"]
                ),
                .init(
                    destination: "/dev/pts",
                    type: "devpts",
                    source: "devpts",
                    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
                ),
                .init(
                    destination: "/dev/mqueue",
                    type: "mqueue",
                    source: "mqueue",
                    options: ["nosuid", "noexec", "nodev"]
                ),
                .init(
                    destination: "/sys",
                    type: "sysfs",
                    source: "sysfs",
                    options: ["nosuid", "noexec", "nodev", "ro"]
                ),
                .init(destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro", "nosuid"]),
            ],
            linux: .init(
                namespaces: [.mount, .pid, .network, .ipc, .uts, .cgroup].map { .init(type: $0) },
                maskedPaths: [
                    "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware", "/proc/absent",
                ],
                readonlyPaths: ["/proc/bus", "/proc/sys", "/proc/sysrq-trigger", "/proc/absent"]
            )
        )
    }
}

extension BorrowedDescriptor {
    /// Lets go of what a number stands for without giving the number free.
    func replaceByNull() throws {
        let null = try File.open("/dev/null", .readWrite)
        try DescriptorTable.place(null.raw, at: raw)
        try setCloseOnExec(true)
    }
}
