package import ContainerIO
package import Kernel
package import ShimProtocol

/// The standard streams of one process, from before it exists until its output is complete.
package final class ProcessIO {
    /// What becomes of the streams of a process.
    package enum Plan {
        /// /dev/null, all three.
        case nothing
        /// Pipes, or a terminal, that the shim reads and writes.
        case managed(ProcessStdio, hasInput: Bool)
    }

    /// What the process has as its streams 0, 1 and 2.
    package struct Ends {
        package let input: SharedDescriptor
        package let output: SharedDescriptor
        package let error: SharedDescriptor
    }

    let plan: Plan
    let isTerminal: Bool
    // The shim's ends, between the making of the process's ends and the making of the process.
    private var input: SharedDescriptor?
    private var output: SharedDescriptor?
    private var error: SharedDescriptor?
    private(set) var terminal: SharedDescriptor?
    /// A client that wants to write came before the process was made.
    private(set) var hasWriter = false
    /// Pipes of containerd's client that are opened when the process is made.
    ///
    /// Not before: a client takes the opening of its pipe as the sign that the process starts, and may forget to say
    /// that its input has ended when that happens earlier.
    private(set) var clientPaths: ContainerdStdio?
    private(set) var inputIsClosed = false

    package init(_ plan: Plan, isTerminal: Bool, clientPaths: ContainerdStdio? = nil) {
        self.plan = plan
        self.isTerminal = isTerminal
        self.clientPaths = clientPaths
    }

    /// Goes on where another one has stopped.
    ///
    /// - Parameters:
    ///   - plan: the streams, restored.
    ///   - state: what else there was to know.
    ///   - terminal: of the process, when it has one.
    package init(restoring plan: Plan, _ state: ShimStdioState, terminal: SharedDescriptor?) {
        self.plan = plan
        self.terminal = terminal
        isTerminal = state.terminal
        hasWriter = state.hasWriter_p
        inputIsClosed = state.inputClosed
    }

    /// Makes what the process gets; nil when it is to get a terminal.
    ///
    /// Called once, before it is made.
    package func streamsForProcess() throws(RPCError) -> Ends? {
        try openClientPaths()
        if isTerminal {
            return nil
        }
        do throws(KernelError) {
            switch plan {
            case .nothing:
                let null = SharedDescriptor(try File.open("/dev/null", .readWrite))
                return Ends(input: null, output: null, error: null)
            case .managed(_, let hasInput):
                let (outputReader, outputWriter) = try Self.outputPipe()
                let (errorReader, errorWriter) = try Self.outputPipe()
                output = outputReader
                error = errorReader
                guard hasInput || hasWriter else {
                    let null = SharedDescriptor(try File.open("/dev/null", .read))
                    return Ends(input: null, output: outputWriter, error: errorWriter)
                }
                let (inputReader, inputWriter) = try Pipe().ends()
                input = inputWriter
                return Ends(input: inputReader, output: outputWriter, error: errorWriter)
            }
        } catch {
            throw .failed(error.code, "stdio: \(error)")
        }
    }

    /// A pipe whose end for the process is a reader too.
    ///
    /// So the pipe lives as long as the process, and with nobody at the other end a writer waits: it gets no SIGPIPE when shim and
    /// manager die, and what it has written is there for the next shim.
    private static func outputPipe() throws(KernelError) -> (reader: SharedDescriptor, writer: SharedDescriptor) {
        let (reader, writer) = try Pipe().ends()
        return (reader, SharedDescriptor(try File.open(writer.procPath, .readWrite)))
    }

    private func openClientPaths() throws(RPCError) {
        guard case .managed(let stdio, _) = plan, let paths = clientPaths else {
            return
        }
        clientPaths = nil
        do throws(ContainerIOError) {
            try stdio.attach(paths)
        } catch {
            throw .failed(error.code, "stdio: \(error)")
        }
        if inputIsClosed {
            stdio.closeStdin()
        }
    }

    /// The process exists: begins to move bytes.
    ///
    /// - Parameter terminal: Master of its terminal, when it has one.
    /// - Throws: Why the streams cannot be watched.
    package func begin(terminal: SharedDescriptor?) throws(RPCError) {
        self.terminal = terminal
        guard case .managed(let stdio, _) = plan else {
            return
        }
        guard let stdout = terminal ?? output else {
            throw .failed(.internal, "stdio: the backend returned no terminal")
        }
        do {
            try stdio.start(stdin: input, stdout: stdout, stderr: error)
            (input, output, error) = (nil, nil, nil)
        } catch {
            throw .failed(.internal, "stdio: \(error)")
        }
    }

    /// The process's input ends when everything written so far is read.
    package func closeInput() {
        inputIsClosed = true
        guard clientPaths == nil else {
            return
        }
        if case .managed(let stdio, _) = plan {
            stdio.closeStdin()
        }
    }

    /// Changes the size of the process's terminal.
    package func resize(rows: UInt16, columns: UInt16) throws(RPCError) {
        guard let terminal else {
            throw .failedPrecondition("the process has no terminal")
        }
        do throws(KernelError) {
            try Pty.resize(terminal.raw, to: Pty.Size(rows: rows, columns: columns))
        } catch {
            throw .failed(error.code, error.description)
        }
    }

    /// A client's connection takes part from now on.
    package func attach(_ request: ShimAttachRequest, socket: SharedDescriptor, number: UInt64) throws(RPCError) {
        guard case .managed(let stdio, _) = plan else {
            throw .failedPrecondition("the process has no streams to attach to")
        }
        guard let keys = request.detachKeys.isEmpty ? DetachKeys.none : DetachKeys(request.detachKeys) else {
            throw .invalidArgument("detach keys '\(request.detachKeys)'")
        }
        var streams: StdioStreams = []
        if request.stdout { streams.insert(.stdout) }
        if request.stderr { streams.insert(.stderr) }
        hasWriter = hasWriter || request.stdin
        var options = AttachOptions(
            stdin: request.stdin,
            streams: streams,
            isMultiplexed: request.multiplexed,
            leftover: Array(request.leftover),
            inputClosed: request.inputClosed,
            detachKeys: keys,
            closesStdin: request.closeStdinOnDetach,
            replaysRecentOutput: request.replay,
            marksEnd: request.marksEnd
        )
        options.number = number
        do {
            try stdio.attach(socket, options)
        } catch {
            throw .failed(.internal, "attach: \(error)")
        }
    }

    /// The process was reaped: takes what is left of its output, within ContainerIO's bound, then calls back once.
    package func finish(_ completion: @escaping () -> Void) {
        guard case .managed(let stdio, _) = plan, stdio.hasStarted else {
            return completion()
        }
        stdio.processExited(drained: completion)
    }

    /// Whether output that clients have not taken yet would be lost by `close`.
    package var owesOutput: Bool {
        guard case .managed(let stdio, _) = plan else {
            return false
        }
        return stdio.owesOutput
    }

    /// Closes everything.
    package func close() {
        if case .managed(let stdio, _) = plan {
            stdio.close()
        }
        (input, output, error, terminal) = (nil, nil, nil, nil)
    }
}
