import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth exec ls` and `berth attach --exec`.
enum SessionList {
    /// Whether the words after `exec` ask for a list: `ls` is no container then.
    static func isWanted(_ words: [String], _ client: APIClient) throws -> Bool {
        guard words.count == 2, words[0] == "ls" else { return false }
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
    static func show(_ container: String, _ client: APIClient) throws {
        let path = "/berth/v1/containers/\(APIClient.escape(container))/execs"
        let rows = try client.get([ExecInspect].self, path).map { session in
            let process = session.processConfig
            return Listing.Row(fields: [
                ("ID", session.id), ("PID", session.pid == 0 ? "-" : String(session.pid)), ("Status", status(session)),
                ("Command", ([process.entrypoint] + process.arguments).joined(separator: " ")),
            ])
        }
        let columns = [("ID", "EXEC ID"), ("PID", "PID"), ("Status", "STATUS"), ("Command", "COMMAND")]
        try Listing(columns: columns, rows: rows).print(format: nil)
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
            [("stdin", takesInput ? "1" : nil), ("detachKeys", detachKeys)]
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
        switch try Session(connection, subject, waiter: nil).run(early: early) {
        case .detached: Output.note("\r\nberth: left the command running\r")
        case .status, .ended: throw ExitCode(try Exec.status(client, session.id))
        }
    }
}
