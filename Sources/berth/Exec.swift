import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth exec`.
struct Exec: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a command in a running container, or list its sessions.",
        usage: """
            berth exec [options] container command [argument ...]
            berth exec ls [--quiet] [--format format] container
            """,
        discussion: """
            'exec ls', without options before it, lists sessions. Where a container is called ls, it is a command for that one.
            """
    )

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Leave the command running.")
    var detach = false

    @Flag(name: .shortAndLong, help: "Pass standard input on.")
    var interactive = false

    @Flag(name: .shortAndLong, help: "Give the command a terminal.")
    var tty = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Set a variable; a bare name takes this shell's value.", valueName: "name=value")
    )
    var env: [String] = []

    @Option(help: ArgumentHelp("Set the variables in a file.", valueName: "file"))
    var envFile: [String] = []

    @Option(name: .shortAndLong, help: ArgumentHelp("User, and group, by name or number.", valueName: "user[:group]"))
    var user: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("Working directory in the container.", valueName: "dir"))
    var workdir: String?

    @Flag(help: "All capabilities.")
    var privileged = false

    @Option(help: ArgumentHelp("Keys that leave the session.", valueName: "keys"))
    var detachKeys: String?

    @Option(help: ArgumentHelp("Kill the command and all that it has started after this time.", valueName: "duration"))
    var timeout: String?

    @Option(help: ArgumentHelp("Recent output to keep for `berth attach --exec`.", valueName: "bytes"))
    var ringSize: String?

    @Argument(parsing: .captureForPassthrough, help: "The container, and the command with its arguments.")
    var container: [String]

    func validate() throws {
        try container.checkPassthrough(Self.self)
        guard container.count > 1 || hasOptions || container.first != "ls" else { throw ExecList.wrong([]) }
        guard container.count > 1 else { throw ValidationError("a command to run in the container is missing") }
    }

    /// Whether something was asked for that only a command can have.
    private var hasOptions: Bool {
        let texts = [user, workdir, detachKeys, timeout, ringSize]
        return detach || interactive || tty || privileged || texts.contains { $0 != nil } || !(env + envFile).isEmpty
    }

    func run() throws {
        if tty, interactive, !detach, !BorrowedDescriptor.standardInput.isTerminal {
            throw Failure("the input is not a terminal: leave out --tty", code: 125)
        }
        let client = try berth.client()
        if !hasOptions, try SessionList.isWanted(container, client) {
            return try SessionList.show(Array(container.dropFirst()), client)
        }
        do {
            try execute(client)
        } catch let error as ClientError {
            throw Failure(error.description, code: Failure.execCode(of: error))
        }
    }

    private func execute(_ client: APIClient) throws {
        var request = ExecCreateRequest()
        request.user = user ?? ""
        request.privileged = privileged
        request.tty = tty
        request.attachStdin = interactive && !detach
        request.attachStdout = !detach
        request.attachStderr = !detach
        // Without a terminal input is passed on as it is.
        request.detachKeys = tty ? detachKeys : nil
        request.env = try variables(files: envFile, env)
        request.workingDir = workdir ?? ""
        request.cmd = StringList(Array(container.dropFirst()))
        if tty { request.consoleSize = UserTerminal.size.map { [Int($0.rows), Int($0.columns)] } }
        request.berth = try extras()
        let path = "/containers/\(APIClient.escape(container[0]))/exec"
        let id = try client.post(IdResponse.self, path, body: request).id
        var start = ExecStartRequest()
        start.detach = detach
        start.tty = tty
        start.consoleSize = request.consoleSize
        if detach {
            try client.call("POST", "/exec/\(id)/start", body: start)
            return
        }
        let keys = try detachKeys.map { try DetachKeys(parsing: $0) } ?? .default
        let (connection, early) = try client.upgrade("/exec/\(id)/start", body: start)
        let subject = Session.Subject(
            isTerminal: tty,
            hasInput: interactive,
            detachKeys: keys,
            signal: nil,
            resize: { size in
                try client.impatient.call(
                    "POST",
                    "/exec/\(id)/resize",
                    [("h", String(size.rows)), ("w", String(size.columns))]
                )
            }
        )
        let session = Session(connection, subject, waiter: nil)
        switch try session.run(early: early) {
        case .detached: Output.note("\r\nberth: left the command running\r")
        case .status, .ended: throw ExitCode(try Self.status(client, id))
        // What is not whole is no success, and the command's own code says nothing of that.
        case .cut: throw ExitCode(125)
        }
    }

    private func extras() throws -> BerthExecOptions? {
        var extras = BerthExecOptions()
        if let timeout {
            guard let duration = Value.duration(timeout), duration >= .milliseconds(1) else {
                throw Failure("--timeout: '\(timeout)' is not a duration, such as 5s", code: 125)
            }
            extras.timeout = Int(duration / .milliseconds(1))
        }
        extras.ringSize = try ringSize.map { try Value.bytes($0, "ring-size") }
        return extras == BerthExecOptions() ? nil : extras
    }

    /// The exit code of a command whose output has ended, also when the manager is away for a while.
    static func status(_ client: APIClient, _ id: String) throws -> Int32 {
        let began = Clock.monotonic.now
        var isNoted = false
        while true {
            switch Result(catching: { () throws(ClientError) in
                try client.impatient.get(ExecInspect.self, "/exec/\(id)/json")
            })
            {
            case .success(let found):
                // A command may close its output before it ends; a person waits for it as for any other.
                if !found.running {
                    if found.berth?.timedOut == true { Output.note("berth: the command was killed: its time was over") }
                    if let code = found.exitCode { return Int32(clamping: code) }
                    // Neither running nor ended, after its stream: berthd went away between the request and the start.
                    throw Failure("berthd ended before the command was started", code: 125)
                }
            case .failure(let error):
                guard error.mayPass(isRepeatable: true), Clock.monotonic.now - began < ExitWaiter.patience else {
                    throw error
                }
                if !isNoted, Clock.monotonic.now - began >= Outage.quiet {
                    Output.note("berth: berthd is gone; the exit code follows when it is back")
                    isNoted = true
                }
            }
            var pause = PollSet()
            _ = try pause.wait(timeout: isNoted ? ExitWaiter.interval : .milliseconds(20))
        }
    }
}

extension Failure {
    /// The exit code of `exec` for an error of the daemon: what is wrong with the container is 1, with the command 126 or 127.
    static func execCode(of error: ClientError) -> Int32 {
        if error.isUnreachable { return 125 }
        let code = startCode(of: error)
        return code == 125 ? 1 : code
    }
}
