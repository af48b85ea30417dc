public import Kernel

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
    /// Time after which it is killed with all that it has started; nil is without limit.
    public var timeoutInMilliseconds: UInt64?
    /// Recent output that is kept for clients who come later; nil takes the engine's default, 0 keeps none.
    public var ringSizeInBytes: UInt64?
    /// The most recent output that a shim keeps of one session.
    public static let maximumRingSizeInBytes = 1 << 20

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
    /// When it was started.
    public var startedAt: Timestamp?
    /// When it ended.
    public var endedAt: Timestamp?
    /// Whether it was killed because its time was over.
    public var timedOut = false
    /// What is the matter with it beyond its end: why it was not started, or what is not known of it any more.
    public var problem: String?
    /// How it ended, nil before the end; 126 and 127 also stand for a failed start.
    public var exitCode: Int?

    package init(
        id: ExecID,
        containerID: ContainerID,
        configuration: ExecConfiguration,
        user: String,
        running: Bool,
        pid: Int32? = nil,
        exitCode: Int? = nil
    ) {
        self.id = id
        self.containerID = containerID
        self.configuration = configuration
        self.user = user
        self.running = running
        self.pid = pid
        self.exitCode = exitCode
    }
}
