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
        let query: APIClient.Query = [
            ("stdout", "1"), ("stderr", "1"), ("follow", follow ? "1" : nil), ("tail", tail),
            ("timestamps", timestamps ? "1" : nil), ("details", details ? "1" : nil),
            ("since", try since.map { try Value.moment($0, "since") }),
            ("until", try until.map { try Value.moment($0, "until") }),
        ]
        var reader = LogStream(name: container)
        try Resumption(client).run { () throws in
            try client.begin("GET", "/berth/v1/containers/\(found.id)/logs", query + [("cursor", reader.cursor)])
        } read: { connection, alive in
            reader.begin()
            while let bytes = try connection.chunk() {
                alive()
                try reader.take(bytes)
            }
        }
    }
}

/// A container's log as it comes: what is shown is what a cursor has confirmed, so that another manager can go on behind it.
private struct LogStream {
    let name: String
    /// Where to go on; nil before anything came.
    private(set) var cursor: String?
    private var splitter = StdcopySplitter()
    private var pending: [(stream: BorrowedDescriptor, bytes: [UInt8])] = []
    private var word: [UInt8] = []

    init(name: String) {
        self.name = name
    }

    /// A new connection: what no cursor has confirmed comes again.
    mutating func begin() {
        splitter = StdcopySplitter()
        pending = []
        word = []
    }

    mutating func take(_ bytes: [UInt8]) throws {
        for piece in try splitter.split(bytes[...]) {
            switch piece.stream {
            case .system: throw Failure("logs of \(name): \(String(decoding: piece.bytes, as: UTF8.self))")
            case .cursor:
                word += piece.bytes
                if word.last == UInt8(ascii: "\n") { confirm() }
            case .error: pending.append((.standardError, Array(piece.bytes)))
            // Of a session only.
            case .mark: break
            case .input, .output: pending.append((.standardOutput, Array(piece.bytes)))
            }
        }
    }

    private mutating func confirm() {
        for piece in pending { Output.write(piece.bytes, to: piece.stream) }
        pending = []
        cursor = String(decoding: word.dropLast(), as: UTF8.self)
        word = []
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
        let client = try berth.client()
        let asked: APIClient.Query = [
            ("until", try until.map { try Value.moment($0, "until") }), ("filters", try Value.filters(filter)),
        ]
        let since: APIClient.Query = [("since", try since.map { try Value.moment($0, "since") })]
        var cursor: Int?
        try Resumption(client).run { () throws in
            let from = cursor.map { [("after", String($0))] } ?? since
            return try client.begin("GET", "/berth/v1/events", asked + from)
        } read: { connection, alive in
            var lines = LineSplitter()
            while let bytes = try connection.chunk() {
                alive()
                for line in lines.split(bytes) where !line.isEmpty {
                    let event = try DockerJSON.decode(EventMessage.self, from: line)
                    if let found = event.cursor {
                        try show(line, event, template)
                        cursor = found
                    } else {
                        let start = try DockerJSON.decode(BerthEventStart.self, from: line)
                        if start.missed { Output.note("berth: events are missing here: they are not kept any more") }
                        cursor = start.start
                    }
                }
            }
        }
    }

    private func show(_ line: [UInt8], _ event: EventMessage, _ template: Template?) throws {
        if let template {
            Output.line(try template.text(for: try JSONValue(parsing: line)))
        } else if format == "json" {
            Output.line(String(decoding: line, as: UTF8.self))
        } else {
            Output.line(text(event))
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
