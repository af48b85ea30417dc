// ShimProtocol: the messages between a container manager and a shim, and ttrpc, which carries them.
//
// The model: everything here is a value and nothing here does I/O. `Generated` holds the protobuf messages (containerd's
// Task service, its events and types, and Berth's Supervisor service). `TTRPCFrame` is one frame on the wire;
// `TTRPCServerConnection` and `TTRPCClientConnection` are the two ends of a connection as state machines: an owner feeds
// them the bytes that it read and writes the bytes that they produce, be it an epoll loop or an event loop of a server.

/// Full names of the services on a shim's socket and on containerd's.
public enum ServiceName {
    /// Version 2 of the Task service, known to containerd since 1.3.
    public static let taskV2 = "containerd.task.v2.Task"
    /// Version 3 of the Task service, known to containerd since 2.0; same messages as version 2.
    public static let taskV3 = "containerd.task.v3.Task"
    /// Berth's own abilities.
    public static let supervisor = "berth.shim.v1.Supervisor"
    /// containerd's receiver of events.
    public static let events = "containerd.services.events.ttrpc.v1.Events"
}

/// The methods of the Task service; the raw value is the name on the wire.
public enum TaskMethod: String, Sendable, CaseIterable {
    case state = "State"
    case create = "Create"
    case start = "Start"
    case delete = "Delete"
    case pids = "Pids"
    case pause = "Pause"
    case resume = "Resume"
    case checkpoint = "Checkpoint"
    case kill = "Kill"
    case exec = "Exec"
    case resizePty = "ResizePty"
    case closeIO = "CloseIO"
    case update = "Update"
    case wait = "Wait"
    case stats = "Stats"
    case connect = "Connect"
    case shutdown = "Shutdown"
}

/// The methods of `berth.shim.v1.Supervisor`; the raw value is the name on the wire.
public enum SupervisorMethod: String, Sendable, CaseIterable {
    case info = "Info"
    case events = "Events"
    case acknowledge = "Acknowledge"
    case reopenLog = "ReopenLog"
    case setPolicy = "SetPolicy"
    case reportExit = "ReportExit"
    case checkFiles = "CheckFiles"
}

/// Metadata keys of a request.
public enum MetadataKey {
    /// The shim's token; berthd sends it with the first request of a connection.
    public static let token = "berth-token"
    /// containerd's namespace.
    ///
    /// Shims do not depend on it.
    public static let namespace = "containerd-namespace-ttrpc"
}

/// Topics of the events that a shim publishes.
public enum EventTopic {
    /// The init process exists and waits for Start.
    public static let create = "/tasks/create"
    /// The init process runs.
    public static let start = "/tasks/start"
    /// The init process or an exec session ended.
    public static let exit = "/tasks/exit"
    /// The container was deleted.
    public static let delete = "/tasks/delete"
    /// A process of the container was killed because memory ran out.
    public static let oom = "/tasks/oom"
    /// An exec session was added.
    public static let execAdded = "/tasks/exec-added"
    /// An exec session runs.
    public static let execStarted = "/tasks/exec-started"
    /// The container is frozen.
    public static let paused = "/tasks/paused"
    /// The container is thawed.
    public static let resumed = "/tasks/resumed"
    /// A restart that `/tasks/exit` announced does not take place: the user has stopped the container meanwhile.
    public static let restartCancelled = "/berth/restart-cancelled"
    /// The container's health has changed.
    public static let health = "/berth/health"
    /// System calls that the container's guard has not simply allowed.
    public static let denials = "/berth/denials"
    /// System calls that were counted for a profile.
    public static let learned = "/berth/learned"
}
