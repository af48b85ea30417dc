public import EngineModel

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

        /// Where another reader goes on after the batches that were given out so far.
        public func cursor() async throws -> LogCursor {
            try await source.cursor()
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

    /// The exec sessions of a container: those that run, and those that ended lately.
    public func listExecs(_ reference: String) async throws -> [ExecSnapshot] {
        try await core.listExecs(reference)
    }

    /// Accepts a further client of an exec session that runs: first what its ring has, then what comes.
    /// - Throws: ``EngineError`` reason `noSuchExec`; `.failedPrecondition` (conflict) when it does not run.
    public func attachExec(_ id: String, _ options: AttachOptions) async throws -> ExecSession {
        try await core.attachExec(id, options)
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
