import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth backend …`.
struct BackendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backend",
        abstract: "How containers can be isolated.",
        subcommands: [BackendList.self, BackendInfo.self, BackendTest.self]
    )
}

/// `berth backend ls`.
struct BackendList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List the backends that --runtime takes: those of the configuration, and those found beside berthd.",
        discussion: """
            A backend whose program is not there, or does not say what it is, is in the list with the reason. Exit code 0 also then; 125 when \
            the manager does not answer.
            """
    )

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Names only.")
    var quiet = false

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    private static let columns = [
        ("Name", "NAME"), ("Default", "DEFAULT"), ("Source", "SOURCE"), ("Version", "VERSION"), ("Program", "PROGRAM"),
        ("Capabilities", "CAPABILITIES"),
    ]

    func run() throws {
        let backends = try berth.client().get([BerthBackend].self, "/berth/v1/backends")
        if quiet { return backends.forEach { Output.line($0.name) } }
        let rows = backends.map { backend in
            var row = Listing.Row(fields: [
                ("Capabilities", backend.error ?? backend.capabilities.joined(separator: ",")),
                ("Default", backend.isDefault ? "*" : ""), ("Name", backend.name), ("Program", backend.program),
                ("Source", backend.source), ("Version", backend.version.isEmpty ? "-" : backend.version),
            ])
            if backend.error != nil { row.colours["Capabilities"] = .bad }
            return row
        }
        try Listing(columns: Self.columns, rows: rows).print(format: format)
    }
}

/// `berth backend info`.
struct BackendInfo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Show everything about a backend.",
        discussion: """
            Exit code 0 for a backend that says what it is; 1 for a name that the manager does not know, and, below the facts, for a program that \
            is not there, is not executable, is no shim of Berth, or does not answer; 125 when the manager does not answer.
            """
    )

    @ParentCommand var berth: Berth

    @Option(name: .shortAndLong, help: ArgumentHelp("json, or a template such as {{.Program}}.", valueName: "format"))
    var format: String?

    @Argument(help: "The backend's name.")
    var name: String

    func validate() throws {
        guard !name.isEmpty else {
            throw ValidationError("the name of the backend is empty: 'berth backend ls' shows the names")
        }
        guard !name.contains("/") else {
            throw ValidationError(
                "'\(name)' is a path, and backends have names: 'berth backend ls' shows them with their programs. What a program can and "
                    + "cannot do is tried by 'berth backend test \(name)'"
            )
        }
    }

    func run() throws {
        let path = "/berth/v1/backends/\(APIClient.escape(name))"
        let answer = try berth.client().raw("GET", path)
        if let format { return try Document.print(answer, format: format) }
        let backend = try DockerJSON.decode(BerthBackend.self, from: answer)
        var facts = [
            ("Name", backend.name + (backend.isDefault ? " (default)" : "")), ("Program", backend.program),
            ("Source", backend.source), ("Version", backend.version),
            ("Capabilities", backend.capabilities.joined(separator: ", ")),
        ]
        facts += backend.options.sorted { $0.key < $1.key }.map { ("Option \($0.key)", $0.value) }
        if let error = backend.error { facts.append(("Error", error)) }
        for (title, value) in facts {
            Output.line(
                "\(title):" + String(repeating: " ", count: max(1, 16 - title.count)) + (value.isEmpty ? "-" : value)
            )
        }
        if backend.error != nil { throw ExitCode(1) }
    }
}
