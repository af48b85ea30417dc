internal import Kernel

/// A bundle on disk with a small root file system.
struct ConformanceBundle {
    /// How the root file system gets into the bundle.
    enum Root {
        /// It is in `rootfs` already.
        case inPlace
        /// The shim binds it there.
        case bind
        /// The shim mounts an overlay there.
        case overlay
    }

    /// What the container's first process is.
    struct Process {
        var arguments: [String]
        var terminal = false
        var noNewPrivileges = false
        /// The whole object; nil for the usual one with `arguments` and `terminal`.
        var document: Document?

        /// A shell script.
        init(_ script: String, terminal: Bool = false) {
            self.init(arguments: ["/bin/sh", "-c", script], terminal: terminal)
        }

        init(arguments: [String], terminal: Bool = false, noNewPrivileges: Bool = false) {
            self.arguments = arguments
            self.terminal = terminal
            self.noNewPrivileges = noNewPrivileges
        }

        /// A process of any kind.
        init(document: Document) {
            self.init(arguments: [], terminal: document["terminal"] == true)
            self.document = document
        }

        var json: String {
            if let document { return document.json }
            let list = arguments.map(Self.quote).joined(separator: ",")
            let capabilities = Self.capabilities.map { "\"CAP_\($0)\"" }.joined(separator: ",")
            let sets = ["bounding", "effective", "permitted"].map { "\"\($0)\":[\(capabilities)]" }.joined(
                separator: ","
            )
            return """
                {"terminal":\(terminal),"user":{"uid":0,"gid":0},"args":[\(list)],"cwd":"/",\
                "env":["PATH=/bin","TERM=xterm"],"capabilities":{\(sets)},\
                "noNewPrivileges":\(noNewPrivileges)}
                """
        }

        private static let capabilities = ["CHOWN", "KILL", "SETUID", "SETGID", "NET_BIND_SERVICE", "SYS_CHROOT"]

        private static func quote(_ text: String) -> String {
            let escaped = text.unicodeScalars.map { scalar -> String in
                switch scalar {
                case "\"", "\\": return "\\\(scalar)"
                case "\n": return "\\n"
                default: return String(scalar)
                }
            }
            return "\"\(escaped.joined())\""
        }
    }

    static let programs = [
        "sh", "sleep", "cat", "echo", "stty", "head", "yes", "true", "kill", "seq", "touch", "ls", "test", "mkdir",
    ]

    /// What the documents ask of a guard while a check runs.
    @TaskLocal static var guarding: GuardDocument?

    /// Scratch directory that holds everything.
    let directory: String
    /// The bundle.
    let path: String
    let id: String
    private let root: Root

    init(_ process: Process, root: Root) throws {
        try self.init(root: root)
        try write(config(process))
    }

    /// A bundle that has no `config.json` yet.
    init(root: Root) throws {
        id = Conformance.place.makeID()
        directory = Conformance.place.scratch("berth-\(id)")
        // containerd's own shim takes the last component for the id.
        path = "\(directory)/\(id)"
        self.root = root
        try File.makeDirectories(path + "/rootfs", mode: 0o711)
        let source = rootSource
        try Self.makeRoot(source)
        for name in ["upper", "work"] { try File.makeDirectories("\(directory)/\(name)", mode: 0o755) }
    }

    /// A small root file system.
    static func makeRoot(_ path: String) throws {
        for name in ["bin", "proc", "dev", "sys", "tmp"] { try File.makeDirectories("\(path)/\(name)", mode: 0o755) }
        // For a backend that mounts no /dev: a shell takes it for the input of what runs in the background.
        let null = DeviceNumber(major: 1, minor: 3)
        try RootedDir(path).mknod("dev/null", .characterDevice, permissions: 0o666, device: null)
        try install(into: path)
    }

    /// Writes `config.json`.
    func write(_ config: String) throws {
        try File.writeAtomically(path + "/config.json", Array(config.utf8), mode: 0o644, durable: false)
    }

    private var rootSource: String { root == .inPlace ? path + "/rootfs" : directory + "/image" }

    /// What Create hands over: type, source, options.
    var mount: (type: String, source: String, options: [String])? {
        switch root {
        case .inPlace: nil
        case .bind: ("bind", rootSource, ["rbind", "rw"])
        case .overlay:
            (
                "overlay", "overlay",
                ["lowerdir=\(rootSource)", "upperdir=\(directory)/upper", "workdir=\(directory)/work"]
            )
        }
    }

    /// At the top: of a parent nobody could say when it may go.
    var cgroupPath: String { "/berth-\(id)" }

    func remove() {
        // Nothing can be done about it at the end of a check; a mount left in it would be kept by removeTree's bounds.
        _ = try? File.removeTree(directory)
        // A runtime may leave the group of what it has refused.
        let root = "/sys/fs/cgroup"
        let entries = (try? File.open(root, .directory).readDirectory()) ?? []
        for hierarchy in [root] + entries.filter({ $0.kind == .directory }).map({ "\(root)/\($0.name)" }) {
            // What still has a process is not ours to end here, and stays to be seen.
            _ = try? File.removeDirectory(hierarchy + cgroupPath)
        }
    }

    private static func install(into root: String) throws {
        let program = try File.read("/usr/bin/busybox", limit: 16 << 20)
        try File.writeAtomically(root + "/bin/busybox", program, mode: 0o755, durable: false)
        let directory = try RootedDir(root)
        for name in programs { try directory.symlink("bin/\(name)", to: "busybox") }
    }

    private func config(_ process: Process) -> String { Self.config(process, cgroupPath: cgroupPath) }

    /// The document of a container with namespaces and a cgroup of its own.
    static func config(_ process: Process, cgroupPath: String) -> String {
        let namespaces = ["pid", "ipc", "uts", "mount", "network"].map { "{\"type\":\"\($0)\"}" }.joined(separator: ",")
        return """
            {"ociVersion":"1.0.2",\(guarding?.annotations ?? "")"process":\(process.json),"root":{"path":"rootfs"},"hostname":"conformance",\
            "mounts":[\
            {"destination":"/proc","type":"proc","source":"proc","options":["nosuid","noexec","nodev"]},\
            {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","strictatime","mode=755","size=65536k"]},\
            {"destination":"/dev/pts","type":"devpts","source":"devpts",\
            "options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620"]},\
            {"destination":"/dev/shm","type":"tmpfs","source":"shm","options":["nosuid","noexec","nodev","mode=1777"]}],\
            "linux":{\(guarding?.seccomp ?? "")"cgroupsPath":"\(cgroupPath)","namespaces":[\(namespaces)],\
            "resources":{"devices":[{"allow":false,"access":"rwm"}],"memory":{"limit":536870912}},\
            "maskedPaths":["/proc/kcore"],"readonlyPaths":["/proc/sys"]}}
            """
    }
}
