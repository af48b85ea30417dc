public import EngineModel

/// An attach that was accepted but not yet given its connection.
///
/// A start waits (bounded) for it, so that a client that was told "go on" before the start misses no byte. Call
/// ``handOver(_:)`` or ``cancel()`` exactly once; dropping it counts as cancel.
public final class AttachSession: Sendable {
    /// Whether output is raw, as of a container with a terminal, else in frames of 8-byte headers.
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
