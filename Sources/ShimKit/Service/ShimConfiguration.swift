import Kernel

/// What one shim process is for.
struct ShimConfiguration {
    var context: BackendContext
    /// The socket of the services, listening.
    var listener: SharedDescriptor
    /// The socket for descriptors, listening; nil under containerd.
    var descriptorListener: SharedDescriptor?
    /// What every connection has to show; nil under containerd.
    var token: [UInt8]?
    /// Where events are published; nil without containerd.
    var eventAddress: String?
    /// A socket file to remove at the end; nil when berthd owns it.
    var socketPath: String?
    var startedAt: Timestamp
    /// Holds the instance's lock; nil under containerd.
    var lock: SharedDescriptor?
    /// Whether the caller wanted a verbose shim.
    var isDebug = false

    /// True when berthd started the shim: it gets a journal, and events on request instead of calls.
    var hasJournal: Bool {
        descriptorListener != nil
    }
}

/// Bounds that the shim keeps to.
enum ShimLimits {
    /// After the end of the init process, for exec sessions that do not die.
    static let execs = Duration.seconds(5)
    /// For a new program to read the state of the old one.
    static let stateCheck = Duration.seconds(2)
    /// For somebody to say how a process ended that is not the shim's child.
    static let foreignExit = Duration.seconds(2)
    /// Between two looks at the clients of deleted processes.
    static let sweep = Duration.milliseconds(20)
    /// For a process that was killed before it was started.
    static let death = Duration.seconds(5)
    /// At shutdown, for events that containerd has not taken yet.
    static let lastEvents = Duration.seconds(1)
    /// Connections at a time.
    static let connections = 64
    /// Exec sessions at a time.
    static let execSessions = 1024
    /// `config.json` and other documents.
    static let document = 16 << 20
}
