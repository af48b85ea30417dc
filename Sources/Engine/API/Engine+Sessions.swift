public import EngineContainer
public import EngineModel

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
    /// - Throws: ``EngineError`` reason `noSuchExec`; `.failedPrecondition` (conflict) when it was started before.
    public func startExec(_ id: String, _ options: ExecStartOptions = ExecStartOptions()) async throws -> ExecSession {
        try await core.startExec(id, options)
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
