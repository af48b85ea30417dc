import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth logs`.
struct Logs: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print what a container has written.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Go on as it writes.")
    var follow = false

    @Option(help: ArgumentHelp("Only from this time, or this long ago, on.", valueName: "time"))
    var since: String?

    @Option(help: ArgumentHelp("Only until this time, or this long ago.", valueName: "time"))
    var until: String?

    @Option(
        name: [.customShort("n"), .long],
        parsing: .unconditional,
        help: ArgumentHelp("Only the last lines, or all.", valueName: "number")
    )
    var tail = "all"

    @Flag(name: .shortAndLong, help: "With the time of each line.")
    var timestamps = false

    @Flag(help: "With the labels and variables that its log options name.")
    var details = false

    @Argument(help: "Name or id.")
    var container: String

    func run() throws {
        let client = try berth.client()
        let found = try client.get(ContainerInspect.self, "/containers/\(APIClient.escape(container))/json")
        let connection = try client.open(
            "GET",
            "/containers/\(found.id)/logs",
            [
                ("stdout", "1"), ("stderr", "1"), ("follow", follow ? "1" : nil), ("tail", tail),
                ("timestamps", timestamps ? "1" : nil), ("details", details ? "1" : nil),
                ("since", try since.map { try Value.moment($0, "since") }),
                ("until", try until.map { try Value.moment($0, "until") }),
            ]
        )
        _ = try connection.head()
        var splitter = StdcopySplitter()
        while let bytes = try connection.chunk() {
            guard !found.config.tty else {
                Output.write(bytes, to: .standardOutput)
                continue
            }
            for piece in try splitter.split(bytes[...]) {
                if piece.stream == .system {
                    throw Failure("logs of \(container): \(String(decoding: piece.bytes, as: UTF8.self))")
                }
                Output.write(Array(piece.bytes), to: piece.stream == .error ? .standardError : .standardOutput)
            }
        }
    }
}

/// `berth events`.
struct Events: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print what happens, as it happens.")

    @ParentCommand var berth: Berth

    @Option(help: ArgumentHelp("What has happened since this time, or this long ago, first.", valueName: "time"))
    var since: String?

    @Option(help: ArgumentHelp("End at this time.", valueName: "time"))
    var until: String?

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Only those: container=…, event=…, type=…, image=…, label=…", valueName: "filter")
    )
    var filter: [String] = []

    @Option(help: ArgumentHelp("json, or a template.", valueName: "format"))
    var format: String?

    func run() throws {
        let template = try format.flatMap { $0 == "json" ? nil : try Template(parsing: $0) }
        let connection = try berth.client().open(
            "GET",
            "/events",
            [
                ("since", try since.map { try Value.moment($0, "since") }),
                ("until", try until.map { try Value.moment($0, "until") }), ("filters", try Value.filters(filter)),
            ]
        )
        _ = try connection.head()
        var lines = LineSplitter()
        while let bytes = try connection.chunk() {
            for line in lines.split(bytes) where !line.isEmpty {
                if let template {
                    Output.line(try template.text(for: try JSONValue(parsing: line)))
                } else if format == "json" {
                    Output.line(String(decoding: line, as: UTF8.self))
                } else {
                    Output.line(text(try DockerJSON.decode(EventMessage.self, from: line)))
                }
            }
        }
    }

    private func text(_ event: EventMessage) -> String {
        let time = Timestamp(seconds: Int64(event.time), nanoseconds: UInt32(event.timeNano % 1_000_000_000))
        let attributes = event.actor.attributes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return "\(time) \(event.type) \(event.action) \(event.actor.id)"
            + (attributes.isEmpty ? "" : " (\(attributes.joined(separator: ", ")))")
    }
}

/// Cuts a stream into lines.
struct LineSplitter {
    private var rest: [UInt8] = []

    /// The lines that end in `bytes`, without their ends.
    mutating func split(_ bytes: [UInt8]) -> [[UInt8]] {
        var parts = (rest + bytes).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(
            Array.init
        )
        rest = parts.popLast() ?? []
        return parts.map { $0.last == UInt8(ascii: "\r") ? Array($0.dropLast()) : $0 }
    }
}
