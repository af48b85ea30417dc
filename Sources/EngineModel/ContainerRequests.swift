/// What create answers.
public struct CreatedContainer: Sendable {
    /// Id of the new container.
    public var id: ContainerID
    /// What was asked for and will not be so.
    public var warnings: [String]

    package init(
        id: ContainerID,
        warnings: [String]
    ) {
        self.id = id
        self.warnings = warnings
    }
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

    package init(
        exitCode: Int,
        error: String? = nil
    ) {
        self.exitCode = exitCode
        self.error = error
    }
}

/// Filters by key, as in docker-api "Filters by endpoint": all keys must match, any value of a key is enough.
public typealias Filters = [String: [String]]

/// One row for each process of a container.
public struct ProcessTable: Sendable {
    /// Column names.
    public var titles: [String]
    /// Rows in the order of the titles.
    public var processes: [[String]]

    package init(
        titles: [String],
        processes: [[String]]
    ) {
        self.titles = titles
        self.processes = processes
    }
}
