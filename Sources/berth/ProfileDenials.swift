import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth profile denials`.
struct ProfileDenials: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "denials",
        abstract: "Print which calls were not simply allowed, and whose."
    )

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Go on as they come.")
    var follow = false

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    @Argument(help: "The profile; without it all of them.")
    var name: String?

    private static let columns = [
        ("Last", "LAST"), ("Profile", "PROFILE"), ("Container", "CONTAINER"), ("Exec", "EXEC"), ("Pid", "PID"),
        ("Command", "COMMAND"), ("Syscall", "SYSCALL"), ("Argument", "CLASS"), ("Count", "COUNT"), ("Answer", "ANSWER"),
        ("Mode", "MODE"),
    ]

    private var path: String { name.map { ProfileCommand.path($0, "denials") } ?? "/berth/v1/denials" }

    func run() throws {
        let client = try berth.client()
        if follow { return try followThem(client) }
        let denials = try client.get([BerthDenial].self, path)
        if format == "json" {
            for denial in denials { Output.line(String(decoding: try DockerJSON.encode(denial), as: UTF8.self)) }
            return
        }
        try Listing(columns: Self.columns, rows: denials.map(row)).print(format: format)
    }

    private func row(_ denial: BerthDenial) -> Listing.Row {
        Listing.Row(fields: [
            ("Answer", denial.answer + (denial.known ? " (known)" : "")), ("Argument", denial.argument),
            ("Command", denial.command), ("Container", denial.container), ("ContainerID", denial.containerID),
            ("Count", String(denial.count)), ("Exec", Human.short(denial.exec)), ("First", denial.first),
            ("Known", String(denial.known)), ("Last", denial.last), ("Mode", denial.mode), ("Pid", String(denial.pid)),
            ("Profile", denial.profile), ("Syscall", denial.syscall),
        ])
    }

    /// What there is, then what comes; also over a restart of the manager.
    private func followThem(_ client: APIClient) throws {
        let template = try format.flatMap { ["json", "table"].contains($0) ? nil : try Template(parsing: $0) }
        var cursor: Int?
        try Resumption(client).run { () throws in
            try client.begin("GET", path, [("follow", "1"), ("after", cursor.map { String($0) })])
        } read: { connection, alive in
            var lines = LineSplitter()
            while let bytes = try connection.chunk() {
                alive()
                for line in lines.split(bytes) where !line.isEmpty {
                    let denial = try DockerJSON.decode(BerthDenial.self, from: line)
                    if let template {
                        Output.line(try template.text(for: row(denial).json))
                    } else if format == "json" {
                        Output.line(String(decoding: line, as: UTF8.self))
                    } else {
                        Output.line(text(denial))
                    }
                    cursor = denial.cursor ?? cursor
                }
            }
        }
    }

    private func text(_ denial: BerthDenial) -> String {
        let call = denial.argument.isEmpty ? denial.syscall : "\(denial.syscall):\(denial.argument)"
        let session = denial.exec.isEmpty ? "" : " exec \(Human.short(denial.exec))"
        return "\(denial.last) \(denial.container)\(session) \(denial.command)[\(denial.pid)] \(call) \(denial.answer) "
            + "x\(denial.count) (\(denial.profile.isEmpty ? "no profile" : denial.profile), \(denial.mode))"
    }
}
