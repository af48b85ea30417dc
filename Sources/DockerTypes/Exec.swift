/// A further process for a running container.
public struct ExecCreateRequest: Codable, Sendable, Equatable, ZeroValue {
    /// `user[:group]`; empty for the container's.
    @Zero public var user: String
    /// Whether it gets all privileges.
    @Zero public var privileged: Bool
    /// Whether it gets a terminal.
    @Zero public var tty: Bool
    /// Height and width of the terminal.
    public var consoleSize: [Int]?
    /// Whether standard input is attached.
    @Zero public var attachStdin: Bool
    /// Whether standard error is attached.
    @Zero public var attachStderr: Bool
    /// Whether standard output is attached.
    @Zero public var attachStdout: Bool
    /// Key sequence that detaches; nil for the default.
    public var detachKeys: String?
    /// Further environment.
    public var env: [String]?
    /// Working directory; empty for the container's.
    @Zero public var workingDir: String
    /// Program and arguments.
    public var cmd: StringList?
    /// What Berth can beyond Docker.
    public var berth: BerthExecOptions?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case user = "User"
        case privileged = "Privileged"
        case tty = "Tty"
        case consoleSize = "ConsoleSize"
        case attachStdin = "AttachStdin"
        case attachStderr = "AttachStderr"
        case attachStdout = "AttachStdout"
        case detachKeys = "DetachKeys"
        case env = "Env"
        case workingDir = "WorkingDir"
        case berth = "Berth"
        case cmd = "Cmd"
    }
}

/// Answer that is an id.
public struct IdResponse: Codable, Sendable, Equatable, ZeroValue {
    /// The id.
    @Zero public var id: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id"
    }
}

/// How an exec session is started.
public struct ExecStartRequest: Codable, Sendable, Equatable, ZeroValue {
    /// Whether the answer comes at once, without streams.
    @Zero public var detach: Bool
    /// Whether the stream is raw, not framed.
    @Zero public var tty: Bool
    /// Height and width of the terminal.
    public var consoleSize: [Int]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case detach = "Detach"
        case tty = "Tty"
        case consoleSize = "ConsoleSize"
    }
}

/// The process of an exec session.
public struct ExecProcessConfig: Codable, Sendable, Equatable, ZeroValue {
    /// Whether it has a terminal.
    @Zero public var tty: Bool
    /// Program.
    @Zero public var entrypoint: String
    /// Arguments.
    @Zero public var arguments: [String]
    /// Whether it has all privileges.
    public var privileged: Bool?
    /// User as given.
    public var user: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case tty
        case entrypoint
        case arguments
        case privileged
        case user
    }
}

/// State of an exec session.
public struct ExecInspect: Codable, Sendable, Equatable, ZeroValue {
    /// Id of the session.
    @Zero public var id: String
    /// Whether it runs.
    @Zero public var running: Bool
    /// Exit code; nil before it has ended.
    @Zero public var exitCode: Int?
    /// Its process.
    @Zero public var processConfig: ExecProcessConfig
    /// Whether standard input is attached.
    @Zero public var openStdin: Bool
    /// Whether standard error is attached.
    @Zero public var openStderr: Bool
    /// Whether standard output is attached.
    @Zero public var openStdout: Bool
    /// Whether it can be forgotten.
    @Zero public var canRemove: Bool
    /// Id of the container.
    @Zero public var containerID: String
    /// Key sequence that detaches.
    @Zero public var detachKeys: String
    /// Process id on the host; 0 when not running.
    @Zero public var pid: Int
    /// What Berth says beyond Docker.
    public var berth: BerthExec?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "ID"
        case running = "Running"
        case exitCode = "ExitCode"
        case processConfig = "ProcessConfig"
        case openStdin = "OpenStdin"
        case openStderr = "OpenStderr"
        case openStdout = "OpenStdout"
        case canRemove = "CanRemove"
        case containerID = "ContainerID"
        case detachKeys = "DetachKeys"
        case pid = "Pid"
        case berth = "Berth"
    }
}
