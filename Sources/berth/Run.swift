import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth run`.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create a container and start it.",
        usage: "berth run [options] image [command] [argument ...]",
        helpNames: .long
    )

    @ParentCommand var berth: Berth
    @OptionGroup var options: ContainerOptions

    @Flag(name: .shortAndLong, help: "Print the container's id and leave it running.")
    var detach = false

    @Option(name: .shortAndLong, help: ArgumentHelp("Streams to attach: stdin, stdout, stderr.", valueName: "stream"))
    var attach: [String] = []

    @Option(help: ArgumentHelp("Keys that leave the session.", valueName: "keys"))
    var detachKeys: String?

    @Flag(inversion: .prefixedNo, help: "Pass signals on to the process.")
    var sigProxy = true

    @Argument(parsing: .captureForPassthrough, help: "The image, and the command that runs instead of the image's.")
    var image: [String]

    func validate() throws {
        try image.checkPassthrough(Self.self)
    }

    func run() throws {
        let client = try berth.client()
        if detach, options.remove, options.restart != nil, options.restart != "no" {
            throw Failure("--rm and --restart exclude each other", code: 125)
        }
        if options.tty, options.interactive, !detach, !BorrowedDescriptor.standardInput.isTerminal {
            throw Failure("the input is not a terminal: leave out --tty", code: 125)
        }
        try perform(client)
    }

    /// Does what the options say, also for a command that has made them itself.
    func perform(_ client: APIClient) throws {
        do {
            var request = try options.request(image: image[0], command: Array(image.dropFirst()))
            attachStreams(&request.config)
            let id = try create(client, request, options)
            if detach {
                try start(client, id)
                Output.line(id)
            } else {
                try foreground(client, id, request.config)
            }
        } catch let error as ClientError {
            throw Failure(error.description, code: Failure.startCode(of: error))
        }
    }

    private func attachStreams(_ config: inout ContainerConfig) {
        let streams = attach.map { $0.lowercased() }
        config.attachStdin = !detach && (streams.isEmpty ? options.interactive : streams.contains("stdin"))
        config.attachStdout = !detach && (streams.isEmpty || streams.contains("stdout"))
        config.attachStderr = !detach && (streams.isEmpty || streams.contains("stderr"))
        config.openStdin = options.interactive || config.attachStdin
        config.stdinOnce = config.openStdin && !detach
    }

    private func start(_ client: APIClient, _ id: String) throws {
        do {
            try client.call("POST", "/containers/\(id)/start")
        } catch {
            // Without --rm a container that could not be started stays, to be looked at. With it the daemon may have
            // removed it already, and what cannot be removed is less than what could not be started.
            if options.remove { _ = try? client.call("DELETE", "/containers/\(id)", [("force", "1")]) }
            throw error
        }
    }

    private func foreground(_ client: APIClient, _ id: String, _ config: ContainerConfig) throws {
        let keys = try detachKeys.map { try DetachKeys(parsing: $0) } ?? .default
        let (connection, early) = try client.upgrade(
            "/containers/\(id)/attach",
            [
                ("stream", "1"), ("stdin", config.attachStdin ? "1" : nil), ("stdout", config.attachStdout ? "1" : nil),
                ("stderr", config.attachStderr ? "1" : nil), ("detachKeys", config.tty ? detachKeys : nil),
            ]
        )
        let waiter = ExitWaiter(client, id: id, isRemoved: options.remove)
        try waiter.begin()
        let subject = Session.Subject.container(
            client,
            id,
            isTerminal: options.tty,
            hasInput: config.attachStdin,
            keys: keys,
            passesSignals: sigProxy
        )
        let outcome = try Session(connection, subject, waiter: waiter).run(early: early) { try start(client, id) }
        try outcome.finish(id)
    }
}

/// `berth create`.
struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Create a container without starting it.",
        usage: "berth create [options] image [command] [argument ...]",
        helpNames: .long
    )

    @ParentCommand var berth: Berth
    @OptionGroup var options: ContainerOptions

    @Argument(parsing: .captureForPassthrough, help: "The image, and the command that runs instead of the image's.")
    var image: [String]

    func validate() throws {
        try image.checkPassthrough(Self.self)
    }

    func run() throws {
        var request = try options.request(image: image[0], command: Array(image.dropFirst()))
        request.config.attachStdout = true
        request.config.attachStderr = true
        request.config.attachStdin = options.interactive
        request.config.stdinOnce = options.interactive
        Output.line(try create(try berth.client(), request, options))
    }
}

/// Creates a container and prints the daemon's warnings.
///
/// - Returns: its id.
private func create(
    _ client: APIClient,
    _ request: ContainerCreateRequest,
    _ options: ContainerOptions
) throws -> String {
    if let file = options.cidfile, File.exists(file) {
        throw Failure("--cidfile: \(file) exists already: remove it, or name another file", code: 125)
    }
    if options.pull == "always" {
        throw Failure("--pull always: nothing is pulled yet; load the image with `berth load`", code: 125)
    }
    let response: ContainerCreateResponse
    do {
        response = try client.post(
            ContainerCreateResponse.self,
            "/containers/create",
            [("name", options.name)],
            body: request
        )
    } catch {
        throw Failure(error.description, code: 125)
    }
    for warning in response.warnings { Output.note("warning: \(warning)") }
    if let file = options.cidfile {
        let handle = try File.open(file, [.write, .create, .exclusive], mode: 0o644)
        try handle.writeAll(response.id)
    }
    return response.id
}

extension Session.Subject {
    /// A session with a container's first process.
    static func container(
        _ client: APIClient,
        _ id: String,
        isTerminal: Bool,
        hasInput: Bool,
        keys: DetachKeys,
        passesSignals: Bool
    ) -> Session.Subject {
        Session.Subject(
            isTerminal: isTerminal,
            hasInput: hasInput,
            detachKeys: keys,
            signal: passesSignals
                ? { signal in
                    // The session's loop must not stand still while the manager is away.
                    try client.impatient.call("POST", "/containers/\(id)/kill", [("signal", signal.name)])
                } : nil,
            resize: { size in
                try client.impatient.call(
                    "POST",
                    "/containers/\(id)/resize",
                    [("h", String(size.rows)), ("w", String(size.columns))]
                )
            }
        )
    }
}

extension Session.Outcome {
    /// Ends the command as a session with a container ends it.
    func finish(_ id: String) throws {
        switch self {
        case .status(let code): throw ExitCode(code)
        case .detached: Output.note("\r\nberth: left \(Human.short(id)) running\r")
        case .ended: break
        // What is not whole is no success, and the container's own code says nothing of that.
        case .cut: throw ExitCode(125)
        }
    }
}
