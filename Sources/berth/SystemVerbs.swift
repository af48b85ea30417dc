import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Show the versions of both sides."
    )

    @ParentCommand var berth: Berth

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("json, or a template such as {{.Server.Version}}.", valueName: "format")
    )
    var format: String?

    func run() throws {
        let client = try berth.client()
        var mine = [("Version", BuildInfo.version), ("ApiVersion", APIClient.version)]
        let answer: Result<[UInt8], ClientError> = Result { () throws(ClientError) in try client.raw("GET", "/version")
        }
        if let format {
            let server = try JSONValue(parsing: try answer.get())
            let own = JSONValue.object(Dictionary(mine.map { ($0.0, .string($0.1)) }) { first, _ in first })
            let document = JSONValue.object(["Client": own, "Server": server])
            Output.line(format == "json" ? document.text : try Template(parsing: format).text(for: document))
            return
        }
        Output.line("Client:")
        mine.append(("Host", client.host.description))
        for (name, value) in mine { Output.line(" \(padded(name)) \(value)") }
        let server = try DockerJSON.decode(VersionResponse.self, from: try answer.get())
        Output.line("\nServer: \(server.platform?.name ?? "")")
        let facts = [
            ("Version", server.version), ("ApiVersion", "\(server.apiVersion) (minimum \(server.minAPIVersion))"),
            ("Commit", server.gitCommit), ("Built", server.buildTime), ("Os/Arch", "\(server.os)/\(server.arch)"),
            ("Kernel", server.kernelVersion),
        ]
        for (name, value) in facts where !value.isEmpty { Output.line(" \(padded(name)) \(value)") }
        for component in server.components ?? [] { Output.line(" \(padded(component.name)) \(component.version)") }
    }

    private func padded(_ name: String) -> String {
        name + ":" + String(repeating: " ", count: max(0, 16 - name.count))
    }
}

/// `berth info`.
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show the state of the manager and its machine.")

    @ParentCommand var berth: Berth

    @Option(name: .shortAndLong, help: ArgumentHelp("json, or a template such as {{.NCPU}}.", valueName: "format"))
    var format: String?

    func run() throws {
        let bytes = try berth.client().raw("GET", "/info")
        if let format { return try Document.print(bytes, format: format) }
        let info = try DockerJSON.decode(SystemInfo.self, from: bytes)
        Output.line("Containers: \(info.containers)")
        Output.line(" Running: \(info.containersRunning)")
        Output.line(" Paused: \(info.containersPaused)")
        Output.line(" Stopped: \(info.containersStopped)")
        let facts = [
            ("Images", String(info.images)), ("Server Version", info.serverVersion), ("Storage Driver", info.driver),
            ("Logging Driver", info.loggingDriver), ("Cgroup Driver", info.cgroupDriver),
            ("Cgroup Version", info.cgroupVersion ?? ""),
            ("Runtimes", (info.runtimes ?? [:]).keys.sorted().joined(separator: " ")),
            ("Default Runtime", info.defaultRuntime),
            ("Security Options", info.securityOptions.joined(separator: " ")),
            ("User Namespaces", info.berth.map { Self.text($0.userNamespaces) } ?? ""),
            ("Kernel Version", info.kernelVersion),
            ("Operating System", info.operatingSystem), ("OSType", info.osType), ("Architecture", info.architecture),
            ("CPUs", String(info.ncpu)), ("Total Memory", Human.memory(UInt64(max(0, info.memTotal)))),
            ("Name", info.name),
            ("ID", info.id), ("Root Dir", info.dockerRootDir),
            ("Containers outlive the manager", info.liveRestoreEnabled ? "yes" : "no"),
        ]
        for (name, value) in facts where !value.isEmpty { Output.line("\(name): \(value)") }
        for warning in info.warnings ?? [] { Output.note("warning: \(warning)") }
    }

    /// What containers get, or what keeps them from it; then whose ids.
    private static func text(_ state: BerthUserNamespaces) -> String {
        let use = state.missing.isEmpty ? state.configured : "host (missing: \(state.missing.joined(separator: "; ")))"
        return
            "\(use), \(state.held) of \(state.ids) ids held (\(state.pool.joined(separator: ", ")); \(state.poolSource))"
    }
}

/// `berth system …`.
struct SystemCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "system",
        abstract: "Disk space, events and the manager's state.",
        subcommands: [DiskFree.self, PruneSystem.self, Events.self, Info.self, UpgradeManager.self]
    )
}

/// `berth system df`.
struct DiskFree: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "df", abstract: "Show what takes disk space.")

    @ParentCommand var berth: Berth

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    func run() throws {
        let usage = try berth.client().get(DiskUsage.self, "/system/df")
        let running = usage.containers.filter { $0.state == "running" || $0.state == "paused" }
        let written = usage.containers.reduce(0) { $0 + ($1.sizeRw ?? 0) }
        let idle = written - running.reduce(0) { $0 + ($1.sizeRw ?? 0) }
        let used = usage.images.filter { $0.containers > 0 }
        let unused = usage.images.filter { $0.containers == 0 }.reduce(0) { $0 + $1.size }
        let columns = [
            ("Type", "TYPE"), ("TotalCount", "TOTAL"), ("Active", "ACTIVE"), ("Size", "SIZE"),
            ("Reclaimable", "RECLAIMABLE"),
        ]
        func row(_ type: String, _ total: Int, _ active: Int, _ size: Int, _ reclaimable: Int) -> Listing.Row {
            Listing.Row(fields: [
                ("Active", String(active)), ("Reclaimable", Human.size(reclaimable)), ("Size", Human.size(size)),
                ("TotalCount", String(total)), ("Type", type),
            ])
        }
        let rows = [
            row("Images", usage.images.count, used.count, usage.layersSize, min(unused, usage.layersSize)),
            row("Containers", usage.containers.count, running.count, written, idle),
        ]
        try Listing(columns: columns, rows: rows).print(format: format)
    }
}

/// `berth system upgrade`.
struct UpgradeManager: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Replace the manager by a new version of it; containers, sessions and clients go on."
    )

    @ParentCommand var berth: Berth

    @Option(
        help: ArgumentHelp("The new berthd; without it the one that the manager was started from.", valueName: "path")
    )
    var binary: String?

    @Flag(help: "Only look whether it could take over.")
    var check = false

    func run() throws {
        var request = BerthUpgradeRequest()
        request.binary = try binary.map { path in
            path.hasPrefix("/") ? path : "\(try CurrentProcess.workingDirectory())/\(path)"
        }
        request.check = check
        let answer = try berth.client().post(BerthUpgrade.self, "/berth/v1/upgrade", body: request)
        for problem in answer.problems { Output.note("error: \(problem)") }
        guard answer.ready else { throw ExitCode(1) }
        let verb = check ? "can take over" : "has taken over"
        Output.line("berthd \(answer.to) \(verb) from \(answer.from) (process \(answer.pid), \(answer.binary))")
    }
}

/// `berth system prune`.
struct PruneSystem: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Remove containers that do not run, and images without a name."
    )

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "All images that no container uses.")
    var all = false

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var force = false

    func run() throws {
        guard force || Question.ask("Remove all containers that do not run, and images that are not used?") else {
            return
        }
        let client = try berth.client()
        let containers = try client.post(ContainerPruneResponse.self, "/containers/prune")
        let filters = try Value.filters(["dangling=\(!all)"])
        let images = try client.post(ImagePruneResponse.self, "/images/prune", [("filters", filters)])
        for id in containers.containersDeleted { Output.line("Deleted container: \(id)") }
        for item in images.imagesDeleted { Output.line("Deleted image: \(item.deleted ?? item.untagged ?? "")") }
        Output.line("Space reclaimed: \(Human.size(Int(clamping: containers.spaceReclaimed &+ images.spaceReclaimed)))")
    }
}

/// `berth completion`.
struct Completion: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a completion script.",
        discussion: "For example: berth completion bash > /etc/bash_completion.d/berth"
    )

    /// The shells that there are scripts for.
    enum Shell: String, ExpressibleByArgument, CaseIterable {
        case bash, zsh, fish
    }

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell

    func run() throws {
        let kind: CompletionShell =
            switch shell {
            case .bash: .bash
            case .zsh: .zsh
            case .fish: .fish
            }
        Output.line(Berth.completionScript(for: kind))
    }
}
