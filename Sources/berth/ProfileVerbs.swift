import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth profile …`.
struct ProfileCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "profile",
        abstract: "What workloads may ask of the kernel: learn it, look at it, enforce it.",
        subcommands: [
            ProfileLearn.self, ProfileList.self, ProfileShow.self, ProfileDiff.self, ProfileAllow.self,
            ProfilePromote.self, ProfileExport.self, ProfileImport.self, ProfileRemove.self, ProfileDenials.self,
            ProfilePropose.self,
        ]
    )

    static let path = "/berth/v1/profiles"

    static func path(_ name: String, _ verb: String = "") -> String {
        "\(path)/\(APIClient.escape(name))" + (verb.isEmpty ? "" : "/\(verb)")
    }
}

/// `berth profile ls`.
struct ProfileList: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List profiles.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Names only.")
    var quiet = false

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    private static let columns = [
        ("Name", "NAME"), ("State", "STATE"), ("Calls", "CALLS"), ("PromotedCalls", "PROMOTED"),
        ("Dangerous", "DANGEROUS"), ("Runs", "RUNS"), ("IncompleteRuns", "INCOMPLETE"), ("Denials", "DENIALS"),
        ("Promoted", "IN FORCE SINCE"), ("UsedBy", "USED BY"),
    ]

    func run() throws {
        let profiles = try berth.client().get([BerthProfileSummary].self, ProfileCommand.path)
        if quiet { return profiles.forEach { Output.line($0.name) } }
        let rows = profiles.map { profile in
            Listing.Row(fields: [
                ("Calls", String(profile.calls)), ("Dangerous", String(profile.dangerous)),
                ("Denials", String(profile.denials)), ("IncompleteRuns", String(profile.incompleteRuns)),
                ("Name", profile.name), ("Promoted", profile.promoted),
                ("PromotedCalls", String(profile.promotedCalls)),
                ("Runs", String(profile.runs)),
                ("State", profile.state), ("UsedBy", profile.usedBy.joined(separator: ",")),
            ])
        }
        try Listing(columns: Self.columns, rows: rows).print(format: format)
    }
}

/// `berth profile show`.
struct ProfileShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show what a profile allows, and why."
    )

    @ParentCommand var berth: Berth

    @Flag(help: "The one in force instead of the one that learns.")
    var promoted = false

    @Option(help: ArgumentHelp("table, json (the whole document), or a template over the calls.", valueName: "format"))
    var format: String?

    @Argument(help: "The profile.")
    var name: String

    private static let columns = [
        ("Call", "CALL"), ("Argument", "CLASS"), ("Count", "COUNT"), ("Runs", "RUNS"), ("Verdict", "VERDICT"),
    ]

    func run() throws {
        let query: APIClient.Query = [("promoted", promoted ? "1" : nil)]
        if format == "json" {
            return Output.write(try berth.client().raw("GET", ProfileCommand.path(name), query), to: .standardOutput)
        }
        let profile = try berth.client().get(BerthProfile.self, ProfileCommand.path(name), query)
        if format == nil { head(profile) }
        let allowed = profile.calls.map { row($0, "allowed") }
        let refused = profile.refused.map { call in
            row(call, "refused (\(call.answer ?? ""))" + (call.danger.map { ", dangerous: \($0)" } ?? ""))
        }
        let dangerous = profile.dangerous.map { row($0, "dangerous: \($0.danger ?? "")") }
        try Listing(columns: Self.columns, rows: allowed + refused + dangerous).print(format: format)
    }

    private func head(_ profile: BerthProfile) {
        let summary = profile.summary
        Output.line("profile \(summary.name), \(summary.state)")
        if !summary.promoted.isEmpty { Output.line("in force since \(summary.promoted)") }
        for run in profile.runs {
            let state = run.failed.isEmpty ? run.complete ? "complete" : "incomplete" : "never began (\(run.failed))"
            Output.line(
                "run \(run.number): \(run.name) (\(run.image)), \(run.started), \(state): \(run.command.joined(separator: " "))"
            )
        }
        if !profile.capabilities.isEmpty {
            Output.line("capabilities: \(profile.capabilities.joined(separator: ", "))")
        }
        if !profile.allowed.isEmpty { Output.line("named: \(profile.allowed.joined(separator: ", "))") }
        if !profile.unseen.isEmpty {
            Output.line("also allowed, for nothing ends without them: \(profile.unseen.joined(separator: ", "))")
        }
        Output.line("")
    }

    private func row(_ call: BerthProfileCall, _ verdict: String) -> Listing.Row {
        Listing.Row(fields: [
            ("Argument", call.argument ?? ""), ("Call", call.call), ("Count", String(call.count)),
            ("Runs", call.runs.map(String.init).joined(separator: ",")), ("Verdict", verdict),
        ])
    }
}

/// `berth profile diff`.
struct ProfileDiff: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Compare a profile with another one, or with what every container gets."
    )

    @ParentCommand var berth: Berth

    @Flag(help: "The one that learns instead of the one in force.")
    var learned = false

    @Option(help: ArgumentHelp("Another profile; without it the default one.", valueName: "name"))
    var other: String?

    @Option(help: ArgumentHelp("json, or a template.", valueName: "format"))
    var format: String?

    @Argument(help: "The profile.")
    var name: String

    func run() throws {
        let bytes = try berth.client().raw(
            "GET",
            ProfileCommand.path(name, "diff"),
            [("other", other), ("learned", learned ? "1" : nil)]
        )
        switch format {
        case nil: break
        case "json"?: return Output.line(String(decoding: bytes, as: UTF8.self))
        case let text?: return Output.line(try Template(parsing: text).text(for: try JSONValue(parsing: bytes)))
        }
        let difference = try DockerJSON.decode(BerthProfileDifference.self, from: bytes)
        Output.line(
            "\(difference.name) allows \(difference.allowed) calls, \(difference.other) \(difference.otherAllowed)"
        )
        for (sign, words) in [
            ("+", difference.added), ("-", difference.removed), ("wider", difference.widened),
            ("narrower", difference.narrowed),
        ] {
            for word in words { Output.line("\(sign) \(word)") }
        }
    }
}

/// `berth profile allow`.
struct ProfileAllow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "allow",
        abstract: "Take calls up by name; what is enforced changes when the profile is promoted."
    )

    @ParentCommand var berth: Berth

    @Argument(help: "The profile.")
    var name: String

    @Argument(help: "Calls: NAME, or NAME:CLASS such as socket:AF_NETLINK/NETLINK_ROUTE.")
    var call: [String]

    func run() throws {
        var request = BerthProfileAllow()
        request.calls = call
        let profile = try berth.client().post(
            BerthProfileSummary.self,
            ProfileCommand.path(name, "allow"),
            body: request
        )
        Output.line("\(profile.name): \(profile.calls) calls; not in force until it is promoted")
    }
}

/// `berth profile promote`.
struct ProfilePromote: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote",
        abstract: "Put what was learned in force, for containers that start from now on."
    )

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Also one that is empty, or of which a run is incomplete.")
    var force = false

    @Argument(help: "The profile.")
    var name: String

    func run() throws {
        let profile = try berth.client().post(
            BerthProfileSummary.self,
            ProfileCommand.path(name, "promote"),
            [("force", force ? "1" : nil)]
        )
        Output.line("\(profile.name): \(profile.promotedCalls) calls in force")
    }
}

/// `berth profile export`.
struct ProfileExport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a profile in the form that docker and podman read."
    )

    @ParentCommand var berth: Berth

    @Flag(help: "The one that learns instead of the one in force.")
    var learned = false

    @Flag(help: "Without what runc and crun call themselves: what Berth enforces, but docker cannot start with it.")
    var exact = false

    @Option(name: .shortAndLong, help: ArgumentHelp("A file instead of standard output.", valueName: "file"))
    var output: String?

    @Argument(help: "The profile.")
    var name: String

    func run() throws {
        let bytes = try berth.client().raw(
            "GET",
            ProfileCommand.path(name, "export"),
            [("learned", learned ? "1" : nil), ("exact", exact ? "1" : nil)]
        )
        guard let output else { return Output.write(bytes, to: .standardOutput) }
        try File.writeAtomically(output, bytes, mode: 0o644, durable: false)
    }
}

/// `berth profile import`.
struct ProfileImport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Make a profile of docker's form; it is not in force until it is promoted."
    )

    @ParentCommand var berth: Berth

    @Flag(help: "Replace what was learned.")
    var replace = false

    @Option(help: ArgumentHelp("Take a dangerous call over, if the document allows it.", valueName: "call[:class]"))
    var allow: [String] = []

    @Argument(help: "The profile.")
    var name: String

    @Argument(help: "The file; - is standard input.")
    var file: String

    func run() throws {
        var request = BerthProfileImport()
        request.document = String(
            decoding: try readFile(file == "-" ? "/dev/stdin" : file),
            as: UTF8.self
        )
        (request.allow, request.replace) = (allow, replace)
        let result = try berth.client().post(
            BerthProfileImported.self,
            ProfileCommand.path(name, "import"),
            body: request
        )
        Output.line("\(name): \(result.calls) calls")
        for call in result.leftOut { Output.note("left out, because it is dangerous: \(call) (--allow \(call))") }
        for call in result.inexpressible {
            Output.note("left out, because its conditions are no classes of a profile: \(call)")
        }
        if !result.unknown.isEmpty {
            Output.note("no calls of this machine, and without effect: \(result.unknown.joined(separator: ", "))")
        }
    }
}

/// `berth profile rm`.
struct ProfileRemove: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "rm", abstract: "Remove profiles.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Also those that containers use.")
    var force = false

    @Argument(help: "Profiles.")
    var name: [String]

    func run() throws {
        let client = try berth.client()
        var failed = false
        for name in name {
            do throws(ClientError) {
                try client.call("DELETE", ProfileCommand.path(name), [("force", force ? "1" : nil)])
                Output.line(name)
            } catch {
                Output.note("error: \(error)")
                failed = true
            }
        }
        if failed { throw ExitCode(1) }
    }
}

/// `berth profile propose`.
struct ProfilePropose: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "propose",
        abstract: "Show the change that would allow what a profile has refused; nothing changes."
    )

    @ParentCommand var berth: Berth

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    @Argument(help: "The profile.")
    var name: String

    private static let columns = [
        ("Call", "CALL"), ("Count", "COUNT"), ("Containers", "CONTAINERS"), ("Commands", "COMMANDS"),
        ("Danger", "DANGER"),
    ]

    func run() throws {
        let proposals = try berth.client().get([BerthProposal].self, ProfileCommand.path(name, "propose"))
        let rows = proposals.map { proposal in
            Listing.Row(fields: [
                ("Call", proposal.call), ("Commands", proposal.commands.joined(separator: ",")),
                ("Containers", proposal.containers.joined(separator: ",")), ("Count", String(proposal.count)),
                ("Danger", proposal.possible ? proposal.danger ?? "" : "no profile can allow it"),
                ("Possible", String(proposal.possible)),
            ])
        }
        try Listing(columns: Self.columns, rows: rows).print(format: format)
        let harmless = proposals.filter { $0.possible && $0.danger == nil }.map(\.call)
        guard format == nil, !harmless.isEmpty else { return }
        Output.line("")
        Output.line(
            "berth profile allow \(name) '\(harmless.joined(separator: "' '"))' && berth profile promote \(name)"
        )
    }
}
