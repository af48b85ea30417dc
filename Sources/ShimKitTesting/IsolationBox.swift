internal import Kernel
internal import ShimProtocol

/// A container whose program is `isolation-probe`, with a document that a check changes at will.
final class IsolationBox {
    let program: ShimProgram
    /// Scratch directory, bundle and root on disk.
    let bundle: ConformanceBundle
    /// `config.json`.
    var config: Document
    /// Shell commands that run in a mount namespace of the shim's own before it starts.
    var hostScript = ""
    /// Whether the shim has a network namespace of its own too.
    var hasOwnNetwork = false

    init(_ program: ShimProgram) throws {
        self.program = program
        bundle = try ConformanceBundle(root: .inPlace)
        // Root of a user namespace is nobody here: it must be able to look.
        for path in ["", "/rootfs"] { try RootedDir(bundle.path + path).chmod(".", permissions: 0o755) }
        config = Self.baseConfig
        config["linux"]["cgroupsPath"] = .text(bundle.cgroupPath)
        if let guarding = ConformanceBundle.guarding {
            config["linux"]["seccomp"] = guarding.filter
            config["annotations"] = guarding.annotationMembers
        }
        try install(IsolationProbe.path(), at: "/probe")
    }

    deinit {
        bundle.remove()
    }

    // MARK: - The root file system

    /// The path on the host of a place in the root.
    func host(_ path: String) -> String { bundle.path + "/rootfs" + path }

    /// A directory beside the bundle, made on the spot.
    func outside(_ name: String) throws -> String {
        let path = "\(bundle.directory)/\(name)"
        try File.makeDirectories(path, mode: 0o755)
        return path
    }

    func makeDirectory(_ path: String) throws { try File.makeDirectories(host(path), mode: 0o755) }

    func write(_ path: String, _ text: String) throws {
        try File.writeAtomically(host(path), Array(text.utf8), mode: 0o644, durable: false)
    }

    func install(_ source: String, at path: String) throws {
        let bytes = try File.read(source, limit: 16 << 20)
        try File.writeAtomically(host(path), bytes, mode: 0o755, durable: false)
    }

    // MARK: - The document

    var process: Document {
        get { config["process"] }
        set { config["process"] = newValue }
    }

    var linux: Document {
        get { config["linux"] }
        set { config["linux"] = newValue }
    }

    func mount(_ destination: String, _ type: String, _ source: String, _ options: [String] = []) {
        config["mounts"].elements.append(Self.mount(destination, type, source, options))
    }

    /// Binds a path of the host.
    func bind(_ source: String, _ destination: String, _ options: [String] = ["rbind"]) {
        mount(destination, "bind", source, options)
    }

    /// Makes or joins a namespace; `nil` shares the runtime's.
    func namespace(_ type: String, _ path: String? = "") {
        linux["namespaces"].elements.removeAll { $0["type"].string == type }
        guard let path else { return }
        linux["namespaces"].elements.append(
            path.isEmpty ? ["type": .text(type)] : ["type": .text(type), "path": .text(path)]
        )
    }

    func capabilities(_ names: [String], ambient: [String] = [], inheritable: [String] = []) {
        process["capabilities"] = [
            "bounding": .texts(names), "permitted": .texts(names), "effective": .texts(names),
            "ambient": .texts(ambient), "inheritable": .texts(inheritable),
        ]
    }

    /// A user namespace whose root is `host`.
    func userNamespace(from host: Int128 = 100_000, size: Int128 = 65_536) {
        namespace("user")
        let mapping: Document = [["containerID": 0, "hostID": .number(host), "size": .number(size)]]
        linux["uidMappings"] = mapping
        linux["gidMappings"] = mapping
    }

    private static func mount(_ destination: String, _ type: String, _ source: String, _ options: [String]) -> Document
    {
        ["destination": .text(destination), "type": .text(type), "source": .text(source), "options": .texts(options)]
    }

    static let usualCapabilities = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD", "CAP_NET_BIND_SERVICE", "CAP_SETGID",
        "CAP_SETUID", "CAP_SYS_CHROOT",
    ]

    static let baseConfig: Document = {
        let sets = Document.texts(usualCapabilities)
        let process: Document = [
            "terminal": false, "user": ["uid": 0, "gid": 0], "args": ["/probe"], "cwd": "/",
            "env": ["PATH=/bin", "HOME=/"],
            "capabilities": ["bounding": sets, "permitted": sets, "effective": sets],
        ]
        let mounts: [Document] = [
            mount("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"]),
            mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        ]
        let kinds = ["pid", "ipc", "uts", "mount", "network"]
        return [
            "ociVersion": "1.0.2", "process": process, "root": ["path": "rootfs"], "hostname": "isolation",
            "mounts": .list(mounts), "linux": ["namespaces": .list(kinds.map { ["type": .text($0)] })],
        ]
    }()

    // MARK: - The container

    /// Writes the document and starts the shim.
    func open(_ commands: [String] = ["report"]) throws -> ConformanceContainer {
        if process != .null {
            let first = process["args"].elements.first ?? "/probe"
            process["args"] = .list([first] + commands.map { .text($0) })
        }
        try bundle.write(config.json)
        var shim = program
        shim.prefix = program.prefix + prefix
        return try ConformanceContainer(
            shim,
            bundle,
            terminal: process["terminal"] == true,
            isKept: true
        )
    }

    private var prefix: [String] {
        guard !hostScript.isEmpty || hasOwnNetwork else { return [] }
        let flags = ["-m", "--propagation", "private"] + (hasOwnNetwork ? ["-n"] : [])
        return ["/usr/bin/unshare"] + flags + ["/bin/sh", "-ec", hostScript + "\nexec \"$0\" \"$@\""]
    }

    /// Lets the container live and takes what the probe said.
    @discardableResult
    func run(_ commands: String...) throws -> IsolationReport {
        let container = try open(commands.isEmpty ? ["report"] : commands)
        try container.run()
        return try finish(container)
    }

    /// Waits for the end of a container and takes what it said.
    func finish(_ container: ConformanceContainer) throws -> IsolationReport {
        let status = try container.waitForExit()
        try container.delete()
        try container.endOfOutput()
        let text = container.streams.text
        let errors = container.streams.errorText
        return IsolationReport(errors.isEmpty ? text : text + "\nstderr\t" + errors, status: status)
    }

    /// Expects that there never is a running container, and that nothing of it stays.
    func expectRefusal(_ what: String) throws {
        let container = try open()
        let status: StatusCode
        do {
            try container.run()
            throw ConformanceFailure("\(what) was not refused")
        } catch let error as RPCError { status = error.status }
        try require(status != .unavailable, "\(what): the shim went away")
        try end(container)
    }

    /// Ends a container that could not be made or started, and whose process is ending or was never there.
    func end(_ container: ConformanceContainer) throws {
        do {
            _ = try container.waitForExit()
            try container.delete()
        } catch is RPCError {}
        try container.shutdown()
        try container.waitForShimToEnd()
        _ = try container.runDelete()
        try Conformance.requireNoCgroup(container)
    }

    /// Runs the probe in a running container.
    func exec(
        _ container: ConformanceContainer,
        _ commands: [String] = ["report"],
        id: String = "exec",
        terminal: Bool = false,
        change: (inout Document) -> Void = { _ in }
    ) throws -> IsolationReport {
        var document: Document = [
            "terminal": .flag(terminal), "cwd": "/", "env": ["PATH=/bin", "HOME=/"],
            "args": .list(["/probe"] + commands.map { .text($0) }), "user": ["uid": 0, "gid": 0],
            "capabilities": process["capabilities"],
        ]
        change(&document)
        let streams = try container.makeStreams(id, terminal: terminal)
        try container.addExec(id, .init(document: document), streams)
        try container.start(id)
        let status = try container.waitForExit(id, also: [streams])
        try container.delete(id)
        try container.endOfOutput(streams)
        return IsolationReport(streams.text, status: status)
    }

    /// A container whose probe has said what there was to say and waits for SIGTERM.
    func hold(_ commands: String...) throws -> (container: ConformanceContainer, report: IsolationReport) {
        let container = try open(commands + ["hold="])
        try container.run()
        try container.wait("the probe") { container.streams.text.contains("ready\t") }
        return (container, IsolationReport(container.streams.text, status: 0))
    }
}
