import ArgumentParser
import Client

/// `berth inspect`.
struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show everything about containers and images.")

    @ParentCommand var berth: Berth
    @OptionGroup var options: InspectOptions

    @Option(help: ArgumentHelp("container or image; without it the first that has the name.", valueName: "type"))
    var type: String?

    @Flag(name: .shortAndLong, help: "Sizes of a container, too.")
    var size = false

    func run() throws {
        let client = try berth.client()
        let kinds: [String: String] = ["container": "containers", "image": "images"]
        if let type, kinds[type] == nil { throw Failure("--type: '\(type)' is neither container nor image") }
        try options.run { name in
            for kind in ["container", "image"] where type == nil || type == kind {
                do {
                    let path = "/\(kinds[kind] ?? kind)/\(APIClient.escape(name))/json"
                    return try client.raw("GET", path, [("size", size && kind == "container" ? "1" : nil)])
                } catch let error as ClientError where error.status == 404 {
                    continue
                }
            }
            throw Failure("no such \(type ?? "object"): \(name)")
        }
    }
}

/// `berth container inspect`.
struct InspectContainer: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show everything about containers."
    )

    @ParentCommand var berth: Berth
    @OptionGroup var options: InspectOptions

    func run() throws {
        let client = try berth.client()
        try options.run { try client.raw("GET", "/containers/\(APIClient.escape($0))/json") }
    }
}

/// `berth image inspect`.
struct InspectImage: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "inspect", abstract: "Show everything about images.")

    @ParentCommand var berth: Berth
    @OptionGroup var options: InspectOptions

    func run() throws {
        let client = try berth.client()
        try options.run { try client.raw("GET", "/images/\(APIClient.escape($0))/json") }
    }
}

/// What the inspecting verbs share.
struct InspectOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("json, or a template such as {{.State.Pid}}.", valueName: "format"))
    var format: String?

    @Argument(help: "Names or ids.")
    var name: [String]

    /// Prints the documents that `fetch` finds: a list, or one line each where there is a format.
    func run(_ fetch: (String) throws -> [UInt8]) throws {
        var found: [[UInt8]] = []
        var failures: [String] = []
        for name in name {
            do {
                found.append(try fetch(name))
            } catch let error as ClientError where !error.isUnreachable {
                failures.append(error.description)
            } catch let error as Failure {
                failures.append(error.message)
            }
        }
        switch format {
        case nil, "json"?:
            let list = [UInt8](ascii: "[") + Array(found.joined(separator: [UInt8](ascii: ","))) + [UInt8](ascii: "]")
            try Document.print(list, format: format)
        case let text?:
            let template = try Template(parsing: text)
            for document in found { Output.line(try template.text(for: try JSONValue(parsing: document))) }
        }
        guard failures.isEmpty else {
            for failure in failures { Output.note("error: \(failure)") }
            throw ExitCode(1)
        }
    }
}

extension [UInt8] {
    fileprivate init(ascii text: String) {
        self.init(text.utf8)
    }
}
