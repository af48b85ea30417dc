public import EngineModel

/// A wait that is registered: what happens from now on is not missed.
public struct ContainerWait: Sendable {
    let future: @Sendable () async throws -> WaitResult

    /// Waits until the condition holds.
    ///
    /// Ends with `.cancelled` when the task is cancelled. No deadline: the client's.
    public func result() async throws -> WaitResult { try await future() }
}
