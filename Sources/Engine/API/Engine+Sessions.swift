public import Kernel

/// A client's connection that is handed to a shim: from then on the shim reads and writes it.
public struct ClientConnection: Sendable {
    /// The socket.
    ///
    /// The engine's reference goes away once the shim has its own.
    public var descriptor: SharedDescriptor
    /// Bytes that the face had already read behind the request: the beginning of stdin.
    public var leftover: [UInt8]
    /// Whether the client has already ended its side.
    public var inputClosed: Bool

    /// A connection with what was already read of it.
    public init(descriptor: SharedDescriptor, leftover: [UInt8] = [], inputClosed: Bool = false) {
        self.descriptor = descriptor
        self.leftover = leftover
        self.inputClosed = inputClosed
    }
}

/// Which streams a client wants.
public struct AttachOptions: Sendable {
    /// Whether the client's bytes go to stdin.
    public var stdin: Bool
    /// Whether the client gets stdout.
    public var stdout: Bool
    /// Whether the client gets stderr.
    public var stderr: Bool
    /// Keys that detach, in Docker's notation; nil takes ctrl-p,ctrl-q.
    public var detachKeys: String?

    /// The streams that are true.
    public init(stdin: Bool, stdout: Bool, stderr: Bool, detachKeys: String? = nil) {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.detachKeys = detachKeys
    }
}

/// An attach that was accepted but not yet given its connection.
///
/// A start waits (bounded) for it, so that a client that was told "go on" before the start misses no byte. Call
/// ``handOver(_:)`` or ``cancel()`` exactly once; dropping it counts as cancel.
public final class AttachSession: Sendable {
    /// Whether the container has a terminal: then output is raw, else in frames of 8-byte headers.
    public let isTerminal: Bool
    let pending: PendingAttach

    init(isTerminal: Bool, pending: PendingAttach) {
        self.isTerminal = isTerminal
        self.pending = pending
    }

    deinit { pending.cancel() }

    /// Gives the connection to the shim, or keeps it until the start of a container that was created only.
    public func handOver(_ connection: ClientConnection) async throws {
        try await pending.handOver(connection)
    }

    /// Gives up: nobody attaches.
    public func cancel() {
        pending.cancel()
    }
}

/// A process to run in a running container.
public struct ExecConfiguration: Sendable, Equatable, Codable {
    /// Program and arguments.
    public var command: [String]
    /// Additions to the container's environment.
    public var environment: [String] = []
    /// Directory; empty takes the container's.
    public var workingDirectory: String = ""
    /// User; empty takes the container's.
    public var user: String = ""
    /// Whether it gets a terminal.
    public var terminal = false
    /// Which streams will be attached.
    public var attachStdin = false, attachStdout = false, attachStderr = false
    /// All capabilities.
    public var privileged = false
    /// Keys that detach; nil takes ctrl-p,ctrl-q.
    public var detachKeys: String?
    /// Initial terminal size.
    public var consoleSize: TerminalSize?

    /// Runs `command`.
    public init(command: [String]) {
        self.command = command
    }
}

/// An exec session at one moment.
public struct ExecSnapshot: Sendable {
    /// Its id.
    public var id: ExecID
    /// The container it belongs to.
    public var containerID: ContainerID
    /// What was asked for.
    public var configuration: ExecConfiguration
    /// User that holds, maybe the container's.
    public var user: String
    /// Whether it runs.
    public var running: Bool
    /// Host pid once started.
    public var pid: Int32?
    /// How it ended, nil before the end; 126 and 127 also stand for a failed start.
    public var exitCode: Int?
}

/// An exec start that was accepted: the face may now tell its client to go on.
public final class ExecSession: Sendable {
    /// Whether output is raw (a terminal) or in frames.
    public let isTerminal: Bool
    let body: @Sendable (ClientConnection?) async throws -> Void

    init(isTerminal: Bool, body: @escaping @Sendable (ClientConnection?) async throws -> Void) {
        self.isTerminal = isTerminal
        self.body = body
    }

    /// Starts the process with its streams on `connection`, or on nothing when detached.
    ///
    /// Returns when the process runs. On failure the text of the error is first written to `connection` the way that
    /// the session frames its output, then thrown; the connection is then closed by dropping it.
    public func start(_ connection: ClientConnection?) async throws {
        try await body(connection)
    }
}

/// Which log records to read.
public struct LogOptions: Sendable {
    /// Whether stdout is wanted.
    public var stdout = true
    /// Whether stderr is wanted.
    public var stderr = true
    /// Whether to go on until the container ends.
    public var follow = false
    /// Records from this time on.
    public var since: Timestamp?
    /// Records up to this time.
    public var until: Timestamp?
    /// Only the last so many records; nil is all.
    public var tail: Int?

    /// Everything that there is, both streams.
    public init() {}
}

/// One piece of output with its time.
public struct LogRecord: Sendable {
    /// Which stream.
    public enum Stream: UInt8, Sendable {
        /// Standard output.
        case stdout = 1
        /// Standard error.
        case stderr = 2
    }

    /// Which stream.
    public var stream: Stream
    /// When it was read from the process.
    public var time: Timestamp
    /// The bytes; a complete line ends with a newline, a piece of a long line does not.
    public var bytes: [UInt8]

    /// `bytes` of `stream`, read at `time`.
    public init(stream: Stream, time: Timestamp, bytes: [UInt8]) {
        self.stream = stream
        self.time = time
        self.bytes = bytes
    }
}

/// Log records in order, read ahead by a bounded amount only; ends when the reader is cancelled or dropped.
public struct LogSequence: AsyncSequence, Sendable {
    /// A batch: the records that one read gave, at least one.
    public typealias Element = [LogRecord]
    let source: @Sendable () -> LogIterationSource

    /// Reads one batch after another.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let source: LogIterationSource

        /// The next batch, or nil at the end.
        public mutating func next() async throws -> [LogRecord]? {
            try await source.next()
        }
    }

    /// Starts to read.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(source: source())
    }
}

extension Engine {
    /// Accepts an attach to a container that is created, running or paused.
    /// - Throws: ``EngineError`` `.failedPrecondition` (conflict) when it is paused or being removed.
    public func attach(_ reference: String, _ options: AttachOptions) async throws -> AttachSession {
        try await core.attach(reference, options)
    }

    /// Reads a container's log, also after its end.
    /// - Throws: ``EngineError`` `.unsupported` when its driver keeps nothing.
    public func logs(_ reference: String, _ options: LogOptions) async throws -> LogSequence {
        try await core.logs(reference, options)
    }

    /// Makes an exec session in a running container; nothing runs yet.
    /// - Throws: ``EngineError`` `.failedPrecondition` (conflict) when the container does not run or is paused.
    public func createExec(_ reference: String, _ configuration: ExecConfiguration) async throws -> ExecID {
        try await core.createExec(reference, configuration)
    }

    /// Accepts the start of an exec session.
    ///
    /// `terminal` is what the start request says and decides the framing of the output only; nil takes what create said.
    /// - Throws: ``EngineError`` reason `noSuchExec`; `.failedPrecondition` (conflict) when it was started before.
    public func startExec(
        _ id: String,
        terminal: Bool? = nil,
        consoleSize: TerminalSize? = nil
    ) async throws -> ExecSession {
        try await core.startExec(id, terminal: terminal, consoleSize: consoleSize)
    }

    /// An exec session at this moment.
    public func inspectExec(_ id: String) async throws -> ExecSnapshot {
        try await core.inspectExec(id)
    }

    /// Sets the size of an exec session's terminal.
    public func resizeExec(_ id: String, to size: TerminalSize) async throws {
        try await core.resizeExec(id, to: size)
    }
}
