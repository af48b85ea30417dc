import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth start`.
struct Start: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Start containers.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Attach to the output, and end with the container's exit code.")
    var attach = false

    @Flag(name: .shortAndLong, help: "Pass standard input on.")
    var interactive = false

    @Option(help: ArgumentHelp("Keys that leave the session.", valueName: "keys"))
    var detachKeys: String?

    @Flag(inversion: .prefixedNo, help: "Pass signals on to the process.")
    var sigProxy = true

    @Argument(help: "Names or ids.")
    var container: [String]

    func run() throws {
        let client = try berth.client()
        guard attach || interactive else {
            return try forEach(container) { name in
                try client.call("POST", "/containers/\(APIClient.escape(name))/start")
                Output.line(name)
            }
        }
        guard container.count == 1 else { throw Failure("only one container can be attached at a time", code: 1) }
        do {
            try foreground(client, container[0])
        } catch let error as ClientError {
            throw Failure(error.description, code: Failure.startCode(of: error))
        }
    }

    private func foreground(_ client: APIClient, _ name: String) throws {
        let found = try client.get(ContainerInspect.self, "/containers/\(APIClient.escape(name))/json")
        let keys = try detachKeys.map { try DetachKeys(parsing: $0) } ?? .default
        let hasInput = interactive && found.config.openStdin
        let (connection, early) = try client.upgrade(
            "/containers/\(found.id)/attach",
            [
                ("stream", "1"), ("stdin", hasInput ? "1" : nil), ("stdout", "1"), ("stderr", "1"),
                ("detachKeys", found.config.tty ? detachKeys : nil),
            ]
        )
        let waiter = ExitWaiter(client, id: found.id, isRemoved: found.hostConfig.autoRemove)
        try waiter.begin()
        let subject = Session.Subject.container(
            client,
            found.id,
            isTerminal: found.config.tty,
            hasInput: hasInput,
            keys: keys,
            passesSignals: sigProxy
        )
        let outcome = try Session(connection, subject, waiter: waiter).run(early: early) {
            try client.call("POST", "/containers/\(found.id)/start")
        }
        try outcome.finish(found.id)
    }
}

/// `berth attach`.
struct Attach: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Attach to a running container, or to one of its exec sessions."
    )

    @ParentCommand var berth: Berth

    @Option(help: ArgumentHelp("An exec session: its recent output first, then what comes.", valueName: "id"))
    var exec: String?

    @Option(help: ArgumentHelp("Keys that leave the session.", valueName: "keys"))
    var detachKeys: String?

    @Flag(help: "Do not pass standard input on.")
    var noStdin = false

    @Flag(inversion: .prefixedNo, help: "Pass signals on to the process.")
    var sigProxy = true

    @Argument(help: "Name or id.")
    var container: String?

    func validate() throws {
        guard (container == nil) != (exec == nil) else {
            throw ValidationError("either a container or --exec with the id of a session is expected")
        }
    }

    func run() throws {
        let client = try berth.client()
        if let exec { return try SessionList.attach(exec, client, detachKeys: detachKeys, hasInput: !noStdin) }
        let container = container ?? ""
        let found = try client.get(ContainerInspect.self, "/containers/\(APIClient.escape(container))/json")
        guard found.state.running else { throw Failure("container \(container) is not running: nothing to attach to") }
        guard !found.state.paused else { throw Failure("container \(container) is paused: unpause it first") }
        let keys = try detachKeys.map { try DetachKeys(parsing: $0) } ?? .default
        let waiter = ExitWaiter(client, id: found.id, isRemoved: found.hostConfig.autoRemove)
        try waiter.begin()
        let hasInput = !noStdin && found.config.openStdin
        let (connection, early) = try client.upgrade(
            "/containers/\(found.id)/attach",
            [
                ("stream", "1"), ("stdin", hasInput ? "1" : nil), ("stdout", "1"), ("stderr", "1"),
                ("detachKeys", found.config.tty ? detachKeys : nil),
            ]
        )
        let subject = Session.Subject.container(
            client,
            found.id,
            isTerminal: found.config.tty,
            hasInput: hasInput,
            keys: keys,
            passesSignals: sigProxy
        )
        try Session(connection, subject, waiter: waiter).run(early: early).finish(found.id)
    }
}
