public import Kernel

/// What create answers.
public struct CreatedContainer: Sendable {
    /// Id of the new container.
    public var id: ContainerID
    /// What was asked for and will not be so.
    public var warnings: [String]
}

/// What may be changed while a container lives; nil leaves as it is.
public struct ContainerUpdate: Sendable {
    /// New limits; a nil field inside leaves that limit.
    public var resources: ResourceLimits?
    /// New policy.
    public var restartPolicy: RestartPolicy?

    /// Changes nothing by default.
    public init(resources: ResourceLimits? = nil, restartPolicy: RestartPolicy? = nil) {
        self.resources = resources
        self.restartPolicy = restartPolicy
    }
}

/// What a wait waits for.
public enum WaitCondition: String, Sendable {
    /// That it does not run; true at once for a container that is created or ended.
    case notRunning = "not-running"
    /// The next exit.
    case nextExit = "next-exit"
    /// That it is gone.
    case removed
}

/// The end of a wait.
public struct WaitResult: Sendable {
    /// Code, 128 + signal, 255 for unknown.
    public var exitCode: Int
    /// What went wrong beside the exit, such as a removal that failed.
    public var error: String?
}

/// A wait that is registered: what happens from now on is not missed.
public struct ContainerWait: Sendable {
    let future: @Sendable () async throws -> WaitResult

    /// Waits until the condition holds.
    ///
    /// Ends with `.cancelled` when the task is cancelled. No deadline: the client's.
    public func result() async throws -> WaitResult { try await future() }
}

/// Filters by key, as in docker-api "Filters by endpoint": all keys must match, any value of a key is enough.
public typealias Filters = [String: [String]]

/// One row for each process of a container.
public struct ProcessTable: Sendable {
    /// Column names.
    public var titles: [String]
    /// Rows in the order of the titles.
    public var processes: [[String]]
}

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

/// One sample of what a container uses.
public struct ContainerStatistics: Sendable {
    /// Id of the container.
    public var id: ContainerID
    /// Its name.
    public var name: String
    /// When the sample was taken; nil when the container does not run.
    public var read: Timestamp?
    /// CPU time in nanoseconds: all, kernel mode, user mode.
    public var cpuTotal: UInt64 = 0, cpuKernel: UInt64 = 0, cpuUser: UInt64 = 0
    /// CPU time of the whole host in nanoseconds.
    public var systemCPU: UInt64 = 0
    /// Processors that are online.
    public var onlineCPUs: Int = 0
    /// CFS periods, periods throttled, nanoseconds throttled.
    public var throttlingPeriods: UInt64 = 0, throttledPeriods: UInt64 = 0, throttledTime: UInt64 = 0
    /// Memory used and its limit in bytes.
    public var memoryUsage: UInt64 = 0, memoryLimit: UInt64 = 0
    /// Detailed memory counters by the kernel's names.
    public var memoryDetails: [String: UInt64] = [:]
    /// Tasks and their limit; a limit of 0 is none.
    public var pids: UInt64 = 0, pidsLimit: UInt64 = 0
    /// Bytes by device and operation.
    public var blockIO: [BlockIO] = []

    /// Bytes that one device moved.
    public struct BlockIO: Sendable {
        /// Device number.
        public var major: UInt64, minor: UInt64
        /// The operation, such as `read` or `write`.
        public var operation: String
        /// Bytes.
        public var value: UInt64
    }

    init(id: ContainerID, name: String) {
        self.id = id
        self.name = name
    }
}
