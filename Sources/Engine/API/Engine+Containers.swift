public import EngineContainer
public import EngineModel

extension Engine {
    /// Makes a container; nothing runs.
    ///
    /// `name` nil makes one up. The container is durable when this returns; a crash before leaves nothing.
    /// - Throws: ``EngineError`` `.invalidArgument`, `.notFound` with reason `noSuchImage`, `.alreadyExists` for the name.
    public func createContainer(
        _ configuration: ContainerConfiguration,
        name: String? = nil
    ) async throws -> CreatedContainer {
        try await core.createContainer(configuration, name: name)
    }

    /// Starts a container that is created or ended.
    /// - Throws: ``EngineError`` with reason `notModified` when it runs already, `commandNotFound`,
    ///   `commandNotExecutable` or `startFailed` with the stage and the errno, and then nothing is left running.
    public func startContainer(_ reference: String) async throws {
        try await core.start(reference)
    }

    /// Sends the stop signal, waits, kills; returns when the exit is recorded.
    ///
    /// `signal` and `timeout` (seconds, negative waits without end) override the container's.
    /// - Throws: ``EngineError`` with reason `notModified` when it does not run; `.internal` when tasks remain after the
    ///   kill, with pid and state.
    public func stopContainer(_ reference: String, signal: String? = nil, timeout: Int? = nil) async throws {
        try await core.stop(reference, signal: signal, timeout: timeout)
    }

    /// Stops when running, then starts.
    public func restartContainer(_ reference: String, signal: String? = nil, timeout: Int? = nil) async throws {
        try await core.restart(reference, signal: signal, timeout: timeout)
    }

    /// Sends a signal, by name or number, to init.
    /// - Throws: ``EngineError`` `.failedPrecondition` (conflict) when it does not run, `.invalidArgument` for the signal.
    public func killContainer(_ reference: String, signal: String = "SIGKILL") async throws {
        try await core.kill(reference, signal: signal)
    }

    /// Freezes every process.
    public func pauseContainer(_ reference: String) async throws {
        try await core.pause(reference)
    }

    /// Thaws every process.
    public func unpauseContainer(_ reference: String) async throws {
        try await core.unpause(reference)
    }

    /// Gives a new name, with or without a leading `/`.
    public func renameContainer(_ reference: String, to name: String) async throws {
        try await core.rename(reference, to: name)
    }

    /// Changes limits and policy, at once and durably.
    /// - Returns: Warnings.
    public func updateContainer(_ reference: String, _ update: ContainerUpdate) async throws -> [String] {
        try await core.update(reference, update)
    }

    /// Removes a container with everything that is its own.
    ///
    /// `force` kills it first; `volumes` removes its anonymous volumes too. Removing what is being removed joins.
    /// - Throws: ``EngineError`` `.failedPrecondition` (conflict) when it runs and `force` is not set.
    public func removeContainer(_ reference: String, force: Bool = false, volumes: Bool = false) async throws {
        try await core.remove(reference, force: force, volumes: volumes)
    }

    /// Registers a wait.
    ///
    /// The answer can be announced to the client as soon as this returns.
    public func waitForContainer(
        _ reference: String,
        condition: WaitCondition = .notRunning
    ) async throws -> ContainerWait {
        try await core.wait(reference, condition)
    }

    /// A container at this moment.
    ///
    /// Never asks a shim, so it answers whatever state the shim is in.
    public func inspectContainer(_ reference: String) async throws -> ContainerSnapshot {
        try await core.inspect(reference)
    }

    /// Containers, newest first; never asks a shim.
    ///
    /// Without `all` and a `status` filter only those that are running, paused or restarting; `limit` > 0 takes the newest
    /// of all.
    /// - Throws: ``EngineError`` `.invalidArgument` for an unknown filter key or value.
    public func listContainers(
        all: Bool = false,
        limit: Int? = nil,
        filters: Filters = [:]
    ) async throws -> [ContainerSnapshot] {
        try await core.list(all: all, limit: limit, filters: filters)
    }

    /// Removes containers that do not run, by the filters `until` and `label`.
    public func pruneContainers(filters: Filters = [:]) async throws -> [ContainerID] {
        try await core.prune(filters: filters)
    }

    /// Bytes in the writable layer of a container.
    ///
    /// Walks its files on a thread of its own.
    public func writableSize(_ reference: String) async throws -> Int64 {
        try await core.writableSize(reference)
    }

    /// The processes of a running container with the columns of `ps -ef`.
    ///
    /// Read from `/proc` by the engine itself: no program is run, inside or outside the container.
    public func processes(_ reference: String) async throws -> ProcessTable {
        try await core.top(reference)
    }

    /// One sample of what a container uses; zeros when it does not run.
    public func statistics(_ reference: String) async throws -> ContainerStatistics {
        try await core.statistics(reference)
    }

    /// Sets the size of a container's terminal.
    public func resizeContainer(_ reference: String, to size: TerminalSize) async throws {
        try await core.resize(reference, to: size)
    }
}
