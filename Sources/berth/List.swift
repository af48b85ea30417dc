import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth ps`.
struct List: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ps", abstract: "List containers.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Those that do not run, too.")
    var all = false

    @Flag(name: .shortAndLong, help: "Ids only.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "The newest one, in any state.")
    var latest = false

    @Option(
        name: [.customShort("n"), .long],
        parsing: .unconditional,
        help: ArgumentHelp("The newest ones, in any state.", valueName: "number")
    )
    var last: Int?

    @Flag(name: .shortAndLong, help: "Sizes, too.")
    var size = false

    @Flag(help: "Nothing cut.")
    var noTrunc = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Only those: name=…, status=…, label=…, ancestor=…, exited=…", valueName: "filter")
    )
    var filter: [String] = []

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    func run() throws {
        let limit = latest ? 1 : last
        let found = try berth.client().get(
            [ContainerSummary].self,
            "/containers/json",
            [
                ("all", all || limit != nil ? "1" : nil), ("limit", limit.map(String.init)), ("size", size ? "1" : nil),
                ("filters", try Value.filters(filter)),
            ]
        )
        if quiet, format == nil {
            return found.forEach { Output.line(noTrunc ? $0.id : Human.short($0.id)) }
        }
        var columns = [
            ("ID", "CONTAINER ID"), ("Image", "IMAGE"), ("Command", "COMMAND"), ("RunningFor", "CREATED"),
            ("Status", "STATUS"),
            ("Ports", "PORTS"), ("Names", "NAMES"),
        ]
        if size { columns.append(("Size", "SIZE")) }
        try Listing(columns: columns, rows: found.map(row)).print(format: format)
    }

    private func row(_ container: ContainerSummary) -> Listing.Row {
        let names = container.names.map { $0.hasPrefix("/") ? String($0.dropFirst()) : $0 }
        let command = "\"\(noTrunc ? container.command : Human.cut(container.command, to: 20))\""
        var row = Listing.Row(fields: [
            ("Command", command),
            ("CreatedAt", Timestamp(seconds: Int64(container.created)).description),
            ("ID", noTrunc ? container.id : Human.short(container.id)),
            ("Image", container.image.hasPrefix("sha256:") ? Human.short(container.image) : container.image),
            (
                "Labels",
                container.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
            ),
            ("LocalVolumes", String(container.mounts.count { $0.type == "volume" })),
            ("Mounts", container.mounts.map { $0.name ?? $0.source }.joined(separator: ",")),
            ("Names", names.joined(separator: ",")),
            ("Networks", container.networkSettings.networks.keys.sorted().joined(separator: ",")),
            ("Ports", container.ports.map(text).joined(separator: ", ")),
            ("RunningFor", Human.ago(container.created)),
            ("Size", Human.size(container.sizeRw ?? 0) + " (virtual \(Human.size(container.sizeRootFs ?? 0)))"),
            ("State", container.state),
            ("Status", container.status),
        ])
        let colour: Listing.Colour? =
            switch container.state {
            case "running": .good
            case "paused", "restarting", "removing": .odd
            case "dead": .bad
            case "exited": container.status.hasPrefix("Exited (0)") ? .faint : .bad
            default: nil
            }
        row.colours["Status"] = colour
        return row
    }

    private func text(_ port: Port) -> String {
        let inside = "\(port.privatePort)/\(port.type)"
        guard let outside = port.publicPort else { return inside }
        return "\(port.ip ?? "0.0.0.0"):\(outside)->\(inside)"
    }
}

/// `berth top`.
struct Top: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the processes of a container.",
        usage: "berth top container [ps option ...]"
    )

    @ParentCommand var berth: Berth

    @Option(help: ArgumentHelp("table or json.", valueName: "format"))
    var format: String?

    @Argument(parsing: .captureForPassthrough, help: "The container, and options for ps.")
    var container: [String]

    func validate() throws {
        try container.checkPassthrough(Self.self)
    }

    func run() throws {
        let arguments = container.dropFirst().joined(separator: " ")
        let found = try berth.client().get(
            TopResponse.self,
            "/containers/\(APIClient.escape(container[0]))/top",
            [("ps_args", arguments.isEmpty ? nil : arguments)]
        )
        let listing = Listing(
            columns: found.titles.map { ($0, $0) },
            rows: found.processes.map { process in
                Listing.Row(fields: zip(found.titles, process).map { (name: $0, value: $1) })
            }
        )
        try listing.print(format: format)
    }
}

/// `berth container …`: the spellings with a noun in front.
struct ContainerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "container",
        abstract: "The verbs for containers, with the noun in front.",
        subcommands: [
            Run.self, Create.self, Start.self, Stop.self, Kill.self, Restart.self, Remove.self, List.self, Logs.self,
            Exec.self,
            Attach.self, Wait.self, InspectContainer.self, Top.self, Stats.self, Pause.self, Unpause.self, Rename.self,
            Update.self,
            PruneContainers.self,
        ]
    )
}

/// `berth container prune`.
struct PruneContainers: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Remove all containers that do not run."
    )

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var force = false

    @Option(help: ArgumentHelp("Only those: until=…, label=…", valueName: "filter"))
    var filter: [String] = []

    func run() throws {
        guard force || Question.ask("Remove all containers that do not run?") else { return }
        let query: APIClient.Query = [("filters", try Value.filters(filter))]
        let done = try berth.client().post(ContainerPruneResponse.self, "/containers/prune", query)
        done.containersDeleted.forEach(Output.line)
        Output.line("Space reclaimed: \(Human.size(Int(clamping: done.spaceReclaimed)))")
    }
}

/// A question to the user.
enum Question {
    /// Whether the user says yes; without a terminal nobody does.
    static func ask(_ text: String) -> Bool {
        guard BorrowedDescriptor.standardInput.isTerminal else {
            Output.note("\(text) Nobody is there to say yes: use --force")
            return false
        }
        Output.write("\(text) [y/N] ")
        let answer = (try? BorrowedDescriptor.standardInput.read(upTo: 256)) ?? []
        // A terminal that gives nothing has said no.
        return answer.first == UInt8(ascii: "y") || answer.first == UInt8(ascii: "Y")
    }
}
