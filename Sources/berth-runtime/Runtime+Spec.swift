import Kernel
import OCISpec

extension Runtime {
    /// Writes a document to start from.
    func spec(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        guard arguments.operands.isEmpty else { throw .usage("spec takes no operands") }
        if arguments.has("rootless") { throw .unsupported("spec --rootless: this runtime needs root, and it") }
        let path = "\(try Self.absolute(arguments.last("bundle") ?? "."))/config.json"
        do throws(KernelError) {
            try File.open(path, [.write, .create, .exclusive], mode: 0o644)
                .writeAll(SampleDocument.value.text(indented: true) + "\n")
        } catch  where error.errno == .exists {
            throw .forbidden("'\(path)' exists: move it away first")
        } catch {
            throw RuntimeError(error)
        }
        return 0
    }
}

/// A shell in namespaces of its own, with few capabilities.
enum SampleDocument {
    static var value: JSONValue {
        .object([
            ("ociVersion", .string("1.2.0")), ("process", process),
            ("root", .object([("path", .string("rootfs")), ("readonly", .bool(true))])),
            ("hostname", .string("berth")), ("mounts", .array(mounts)), ("linux", linux),
        ])
    }

    private static var process: JSONValue {
        let capabilities = JSONValue.strings(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"])
        return .object([
            ("terminal", .bool(true)), ("user", .object([("uid", .number(0)), ("gid", .number(0))])),
            ("args", .strings(["sh"])),
            ("env", .strings(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"])),
            ("cwd", .string("/")),
            (
                "capabilities",
                .object(["bounding", "effective", "permitted"].map { ($0, capabilities) })
            ),
            (
                "rlimits",
                .array([
                    .object([
                        ("type", .string("RLIMIT_NOFILE")), ("hard", .number(1024)), ("soft", .number(1024)),
                    ])
                ])
            ),
            ("noNewPrivileges", .bool(true)),
        ])
    }

    private static var mounts: [JSONValue] {
        let lines: [(destination: String, type: String, options: [String])] = [
            ("/proc", "proc", []),
            ("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            ("/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            ("/dev/shm", "tmpfs", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            ("/dev/mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
            ("/sys", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
            ("/sys/fs/cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ]
        return lines.map { line in
            var members: [(key: String, value: JSONValue)] = [
                ("destination", .string(line.destination)), ("type", .string(line.type)),
                ("source", .string(line.type)),
            ]
            if !line.options.isEmpty { members.append(("options", .strings(line.options))) }
            return .object(members)
        }
    }

    private static var linux: JSONValue {
        let masked = [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
            "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
        ]
        let readOnly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        let denied = JSONValue.object([("allow", .bool(false)), ("access", .string("rwm"))])
        return .object([
            ("resources", .object([("devices", .array([denied]))])),
            (
                "namespaces",
                .array(["pid", "network", "ipc", "uts", "mount", "cgroup"].map { .object([("type", .string($0))]) })
            ),
            ("maskedPaths", .strings(masked)), ("readonlyPaths", .strings(readOnly)),
        ])
    }
}
