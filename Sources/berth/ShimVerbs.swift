import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth shim …`.
struct ShimCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shim",
        abstract: "The processes that hold containers.",
        subcommands: [ShimList.self, ShimUpgrades.self]
    )
}

/// `berth shim ls`.
struct ShimList: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List shims.")

    @ParentCommand var berth: Berth

    @Flag(help: "Nothing cut.")
    var noTrunc = false

    @Flag(name: .shortAndLong, help: "Ids only.")
    var quiet = false

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    private static let columns = [
        ("ID", "CONTAINER ID"), ("Name", "NAME"), ("Backend", "BACKEND"), ("Version", "VERSION"),
        ("Protocol", "PROTOCOL"), ("Pid", "PID"), ("Memory", "MEMORY"), ("Age", "AGE"), ("State", "STATE"),
        ("Silent", "SILENT"), ("Reason", "REASON"),
    ]

    func run() throws {
        let shims = try berth.client().get([BerthShim].self, "/berth/v1/shims")
        if quiet { return shims.forEach { Output.line($0.id) } }
        let rows = shims.map { shim in
            Listing.Row(fields: [
                ("Age", age(shim.startedAt) ?? "-"),
                ("Backend", shim.backend), ("ID", noTrunc ? shim.id : Human.short(shim.id)),
                ("Memory", shim.privateMemory > 0 ? "\(shim.privateMemory / 1024) kB" : "-"), ("Name", shim.name),
                ("Pid", shim.pid > 0 ? String(shim.pid) : "-"),
                ("Protocol", shim.protocol > 0 ? String(shim.protocol) : "-"), ("Silent", silence(shim)),
                ("Reason", shim.reason.isEmpty ? "-" : shim.reason), ("State", shim.state),
                ("Version", shim.version.isEmpty ? "-" : shim.version),
            ])
        }
        try Listing(columns: Self.columns, rows: rows).print(format: format)
    }

    private func age(_ time: String) -> String? {
        Timestamp(time).map { Human.duration(seconds: Int((Timestamp.now - $0).components.seconds)) }
    }

    /// Since when one does not answer, and what its process does.
    private func silence(_ shim: BerthShim) -> String {
        guard let time = age(shim.silentSince) else { return "-" }
        return ([time, shim.processState, shim.waitChannel].filter { !$0.isEmpty }).joined(separator: ", ")
    }
}

/// `berth shim upgrade`.
struct ShimUpgrades: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Replace the programs of shims in place; containers and sessions go on."
    )

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "All shims.")
    var all = false

    @Option(
        help: ArgumentHelp(
            "The new program; without it the one that the backend is configured with.",
            valueName: "path"
        )
    )
    var binary: String?

    @Argument(help: "Names or ids of containers.")
    var container: [String] = []

    func validate() throws {
        guard all != !container.isEmpty else { throw ValidationError("name containers, or give --all; not both") }
    }

    func run() throws {
        var request = BerthShimUpgradeRequest()
        request.ids = all ? nil : container
        request.all = all
        request.binary = try binary.map { path in
            path.hasPrefix("/") ? path : "\(try CurrentProcess.workingDirectory())/\(path)"
        }
        let outcomes = try berth.client().post([BerthShimUpgrade].self, "/berth/v1/shims/upgrade", body: request)
        for outcome in outcomes {
            if let error = outcome.error {
                Output.note("error: \(outcome.name): \(error)")
            } else {
                Output.line("\(outcome.name): \(outcome.from) -> \(outcome.to)")
            }
        }
        guard outcomes.allSatisfy({ $0.error == nil }) else { throw ExitCode(1) }
    }
}
