import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth images`.
struct Images: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List images.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Those without a name, too.")
    var all = false

    @Flag(name: .shortAndLong, help: "Ids only.")
    var quiet = false

    @Flag(help: "Digests, too.")
    var digests = false

    @Flag(help: "Nothing cut.")
    var noTrunc = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Only those: reference=…, dangling=…, label=…, before=…, since=…", valueName: "filter")
    )
    var filter: [String] = []

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    @Argument(help: "Only images with this name.")
    var name: String?

    func run() throws {
        let filters = filter + (name.map { ["reference=\($0)"] } ?? [])
        let found = try berth.client().get(
            [ImageSummary].self,
            "/images/json",
            [("all", all ? "1" : nil), ("filters", try Value.filters(filters))]
        )
        if quiet, format == nil {
            return found.forEach { Output.line(noTrunc ? $0.id : Human.short($0.id)) }
        }
        var columns = [
            ("Repository", "REPOSITORY"), ("Tag", "TAG"), ("ID", "IMAGE ID"), ("CreatedSince", "CREATED"),
            ("Size", "SIZE"),
        ]
        if digests { columns.insert(("Digest", "DIGEST"), at: 2) }
        try Listing(columns: columns, rows: found.flatMap(rows)).print(format: format)
    }

    private func rows(_ image: ImageSummary) -> [Listing.Row] {
        let tags = image.repoTags.isEmpty ? ["<none>:<none>"] : image.repoTags
        return tags.map { reference in
            // A port of a registry has a colon too, but a slash comes after it.
            let colon = reference.lastIndex(of: ":").flatMap { reference[$0...].contains("/") ? nil : $0 }
            let repository = colon.map { String(reference[..<$0]) } ?? reference
            let tag = colon.map { String(reference[reference.index(after: $0)...]) } ?? "<none>"
            let digest = image.repoDigests.first { $0.hasPrefix(repository + "@") }?.split(separator: "@").last.map(
                String.init
            )
            return Listing.Row(fields: [
                ("Containers", image.containers < 0 ? "N/A" : String(image.containers)),
                ("CreatedAt", Timestamp(seconds: Int64(image.created)).description),
                ("CreatedSince", image.created > 0 ? Human.ago(image.created) : "N/A"),
                ("Digest", digest ?? "<none>"),
                ("ID", noTrunc ? image.id : Human.short(image.id)),
                ("Repository", repository),
                ("SharedSize", image.sharedSize < 0 ? "N/A" : Human.size(image.sharedSize)),
                ("Size", Human.size(image.size)),
                ("Tag", tag),
            ])
        }
    }
}

/// `berth image …`.
struct ImageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image",
        abstract: "The verbs for images, with the noun in front.",
        subcommands: [
            Images.self, InspectImage.self, Load.self, Save.self, Tag.self, RemoveImage.self, History.self,
            PruneImages.self,
        ]
    )
}

/// `berth load`.
struct Load: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Load images from an OCI layout (archive or directory), or from what `docker save` writes."
    )

    @ParentCommand var berth: Berth

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The archive or directory; standard input without it.", valueName: "path")
    )
    var input: String?

    @Flag(name: .shortAndLong, help: "No progress.")
    var quiet = false

    func run() throws {
        guard input != nil || !BorrowedDescriptor.standardInput.isTerminal else {
            throw Failure("standard input is a terminal: name an archive with --input, or redirect one")
        }
        let (archive, packer) = try source()
        let connection = try berth.client().upload("/images/load", [("quiet", quiet ? "1" : nil)]) {
            try archive.read(upTo: 1 << 20)[...]
        }
        _ = try connection.head()
        var lines = LineSplitter()
        var failure: String?
        while let bytes = try connection.chunk() {
            for line in lines.split(bytes) where !line.isEmpty { failure = try show(line) ?? failure }
        }
        for line in lines.split([UInt8(ascii: "\n")]) where !line.isEmpty { failure = try show(line) ?? failure }
        if let failure { throw Failure(failure) }
        if let packer, try Pidfd.waitForEnd(packer.raw) != .exited(0) {
            throw Failure("tar could not read all of \(input ?? "")")
        }
    }

    /// What to send, and who writes it where that is another process.
    private func source() throws -> (archive: SharedDescriptor, packer: SharedDescriptor?) {
        guard let input else { return (SharedDescriptor(try BorrowedDescriptor.standardInput.duplicate()), nil) }
        let file = SharedDescriptor(try File.open(input, .read))
        guard try file.status().kind == .directory else { return (file, nil) }
        let (reader, writer) = try Pipe().ends()
        var tar = Spawn(arguments: ["tar", "--create", "."], environment: ["PATH=/usr/bin:/bin"])
        tar.directory = file.raw
        tar.descriptors = [1: writer.raw, 2: 2]
        let child = try withExtendedLifetime((file, writer)) { try tar.start("/bin/tar") }
        return (reader, child.sharedPidfd())
    }

    /// Prints one message of the daemon.
    ///
    /// - Returns: the error that it reports.
    private func show(_ line: [UInt8]) throws -> String? {
        let message = try DockerJSON.decode(ProgressMessage.self, from: line)
        if let error = message.errorDetail?.message ?? message.error { return error }
        if let text = message.stream { Output.write(text) }
        if let status = message.status, Output.isTerminal, !quiet { Output.line(status) }
        return nil
    }
}

/// `berth save`.
struct Save: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Write images to an archive.")

    @ParentCommand var berth: Berth

    @Option(name: .shortAndLong, help: ArgumentHelp("The archive; standard output without it.", valueName: "file"))
    var output: String?

    @Argument(help: "Names or ids.")
    var image: [String]

    func run() throws {
        guard output != nil || !Output.isTerminal else {
            throw Failure("standard output is a terminal: name a file with --output, or redirect it")
        }
        let query: APIClient.Query = image.map { ("names", $0) }
        let connection = try berth.client().open("GET", "/images/get", query)
        _ = try connection.head()
        guard let output else {
            while let bytes = try connection.chunk() { Output.write(bytes, to: .standardOutput) }
            return
        }
        // Under another name until it is whole: half an archive must not look like one.
        let file = try File.open(output + ".part", [.write, .create, .truncate], mode: 0o644)
        do {
            while let bytes = try connection.chunk() { try file.writeAll(bytes) }
            try File.rename(output + ".part", to: output)
        } catch {
            // The first error is what matters.
            _ = try? File.remove(output + ".part")
            throw error
        }
    }
}

/// `berth tag`.
struct Tag: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give an image one more name.")

    @ParentCommand var berth: Berth

    @Argument(help: "Name or id.")
    var image: String

    @Argument(help: "The new name.")
    var name: String

    func run() throws {
        let colon = name.lastIndex(of: ":").flatMap { name[$0...].contains("/") ? nil : $0 }
        let query: APIClient.Query = [
            ("repo", colon.map { String(name[..<$0]) } ?? name),
            ("tag", colon.map { String(name[name.index(after: $0)...]) }),
        ]
        try berth.client().call("POST", "/images/\(APIClient.escape(image))/tag", query)
    }
}

/// `berth rmi`.
struct RemoveImage: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "rmi", abstract: "Remove images.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Also when a stopped container uses it.")
    var force = false

    @Flag(help: "Keep parents without a name.")
    var noPrune = false

    @Argument(help: "Names or ids.")
    var image: [String]

    func run() throws {
        let client = try berth.client()
        try forEach(image) { name in
            let query: APIClient.Query = [("force", force ? "1" : nil), ("noprune", noPrune ? "1" : nil)]
            let bytes = try client.raw("DELETE", "/images/\(APIClient.escape(name))", query)
            for item in try DockerJSON.decode([ImageDeleteItem].self, from: bytes) {
                if let name = item.untagged { Output.line("Untagged: \(name)") }
                if let id = item.deleted { Output.line("Deleted: \(id)") }
            }
        }
    }
}

/// `berth history`.
struct History: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show how an image was made.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Ids only.")
    var quiet = false

    @Flag(help: "Nothing cut.")
    var noTrunc = false

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    @Argument(help: "Name or id.")
    var image: String

    func run() throws {
        let found = try berth.client().get([ImageHistoryItem].self, "/images/\(APIClient.escape(image))/history")
        if quiet { return found.forEach { Output.line(noTrunc ? $0.id : Human.short($0.id)) } }
        let columns = [
            ("ID", "IMAGE"), ("CreatedSince", "CREATED"), ("CreatedBy", "CREATED BY"), ("Size", "SIZE"),
            ("Comment", "COMMENT"),
        ]
        let rows = found.map { item in
            Listing.Row(fields: [
                ("Comment", item.comment),
                ("CreatedAt", Timestamp(seconds: Int64(item.created)).description),
                ("CreatedBy", noTrunc ? item.createdBy : Human.cut(item.createdBy, to: 45)),
                ("CreatedSince", item.created > 0 ? Human.ago(item.created) : "N/A"),
                ("ID", noTrunc || item.id == "<missing>" ? item.id : Human.short(item.id)),
                ("Size", Human.size(item.size)),
            ])
        }
        try Listing(columns: columns, rows: rows).print(format: format)
    }
}

/// `berth image prune`.
struct PruneImages: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "prune", abstract: "Remove images without a name.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "All that no container uses.")
    var all = false

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var force = false

    func run() throws {
        guard force || Question.ask("Remove images that are not used?") else { return }
        let filters = try Value.filters(["dangling=\(!all)"])
        let done = try berth.client().post(ImagePruneResponse.self, "/images/prune", [("filters", filters)])
        for item in done.imagesDeleted { Output.line(item.deleted ?? item.untagged ?? "") }
        Output.line("Space reclaimed: \(Human.size(Int(clamping: done.spaceReclaimed)))")
    }
}
