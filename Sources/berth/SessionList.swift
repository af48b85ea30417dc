import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth exec ls`: what the words after `exec` mean when the first is `ls` and no container has that name.
struct ExecList: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List the exec sessions of a container.",
        usage: "berth exec ls [--quiet] [--format table|json|template] container",
        discussion: "To run the program ls in a container: berth exec CONTAINER ls"
    )

    @Flag(name: .shortAndLong, help: "Ids only.")
    var quiet = false

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    @Argument(help: "Name or id.")
    var container: [String] = []

    func validate() throws {
        if container.count != 1 { throw Self.wrong(container) }
    }

    /// What is wrong with words that are not one container.
    static func wrong(_ words: [String]) -> ValidationError {
        let found = words.isEmpty ? "none was named" : "'\(words.joined(separator: " "))' are \(words.count) words"
        return ValidationError(
            "'exec ls' lists the sessions of one container, and \(found); "
                + "to run ls in a container: berth exec CONTAINER ls"
        )
    }
}

/// `berth exec ls` and `berth attach --exec`.
enum SessionList {
    /// Whether the words after `exec` ask for a list: `ls` is no container then.
    ///
    /// A container of that name goes first, as docker's users expect of it.
    static func isWanted(_ words: [String], _ client: APIClient) throws -> Bool {
        guard words.first == "ls" else { return false }
        switch Result(catching: { () throws(ClientError) in try client.get(ContainerInspect.self, "/containers/ls/json")
        })
        {
        case .success: return false
        case .failure(let error):
            guard error.status == 404 else { throw error }
            return true
        }
    }

    /// Prints the sessions of a container.
    ///
    /// - Parameters:
    ///   - words: Those after `ls`.
    ///   - client: Of the manager.
    /// - Throws: What is wrong with the words, or the manager's reason.
    static func show(_ words: [String], _ client: APIClient) throws {
        var command = try ExecList.parseAsRoot(words)
        guard let list = command as? ExecList else { return try command.run() }
        let container = list.container[0]
        let path = "/berth/v1/containers/\(APIClient.escape(container))/execs"
        let sessions: [ExecInspect]
        do throws(ClientError) { sessions = try client.get([ExecInspect].self, path) } catch {
            guard error.status == 404 else { throw error }
            throw Failure("\(error.description) (nor is there one called 'ls' in which '\(container)' could be run)")
        }
        if list.quiet { return sessions.forEach { Output.line($0.id) } }
        let rows = sessions.map { session in
            let process = session.processConfig
            return Listing.Row(fields: [
                ("ID", session.id), ("PID", session.pid == 0 ? "-" : String(session.pid)), ("Status", status(session)),
                ("Command", ([process.entrypoint] + process.arguments).joined(separator: " ")),
            ])
        }
        let columns = [("ID", "EXEC ID"), ("PID", "PID"), ("Status", "STATUS"), ("Command", "COMMAND")]
        try Listing(columns: columns, rows: rows).print(format: list.format)
    }

    private static func status(_ session: ExecInspect) -> String {
        if session.running { return "Running" }
        guard let code = session.exitCode else { return "Created" }
        return session.berth?.timedOut == true ? "Timed out (\(code))" : "Exited (\(code))"
    }

    /// Goes to a session that runs, and ends with its exit code.
    static func attach(_ exec: String, _ client: APIClient, detachKeys: String?, hasInput: Bool) throws {
        let session = try client.get(ExecInspect.self, "/exec/\(APIClient.escape(exec))/json")
        let keys = try detachKeys.map { try DetachKeys(parsing: $0) } ?? .default
        let takesInput = hasInput && session.openStdin
        let (connection, early) = try client.upgrade(
            "/berth/v1/exec/\(session.id)/attach",
            [("stdin", takesInput ? "1" : nil), ("detachKeys", session.processConfig.tty ? detachKeys : nil)]
        )
        let subject = Session.Subject(
            isTerminal: session.processConfig.tty,
            hasInput: takesInput,
            detachKeys: keys,
            signal: nil,
            resize: { size in
                let query = [("h", String(size.rows)), ("w", String(size.columns))]
                try client.call("POST", "/exec/\(session.id)/resize", query)
            }
        )
        let view = Session(connection, subject, waiter: nil)
        switch try view.run(early: early) {
        case .detached: Output.note("\r\nberth: left the command running\r")
        case .status, .ended: throw ExitCode(try Exec.status(client, session.id))
        case .cut: throw ExitCode(125)
        }
    }
}
