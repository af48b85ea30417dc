/// The places between two steps of create, start, exec, stop and remove.
///
/// Production has no handler. A test's handler may end the process there, which is how "killed between any two steps" is
/// made to happen at each step in turn.
public struct FaultPoints: Sendable {
    /// A place, named after the step that was just finished.
    public enum Step: String, Sendable, CaseIterable {
        /// The name is reserved in memory, nothing is on disk.
        case createReserved = "create.reserved"
        /// The container's directory under `<root>/containers` exists.
        case createDirectories = "create.directories"
        /// The container's writable snapshot exists.
        case createSnapshot = "create.snapshot"
        /// The row is committed.
        case createCommitted = "create.committed"
        /// The bundle directory exists under `<state>/containers`.
        case startBundle = "start.bundle"
        /// `config.json`, the token and the sockets are there.
        case startSockets = "start.sockets"
        /// The shim runs and nothing else is known of it.
        case startSpawned = "start.spawned"
        /// `shim.pid` is written.
        case startRecorded = "start.recorded"
        /// The shim answered.
        case startConnected = "start.connected"
        /// The task is created, its init waits before exec.
        case startCreated = "start.created"
        /// The clients that attached before the start are with the shim.
        case startAttached = "start.attached"
        /// The shim says that init runs, and nobody has heard it yet.
        case startReplied = "start.replied"
        /// The shim says that init runs; the database does not know.
        case startStarted = "start.started"
        /// The database says running.
        case startCommitted = "start.committed"
        /// The exec session is known to the engine only.
        case execCreated = "exec.created"
        /// The note of the exec session says that it is being started; the shim does not know of it.
        case execNoted = "exec.noted"
        /// The shim knows the exec session.
        case execAdded = "exec.added"
        /// The client's connection is with the shim.
        case execAttached = "exec.attached"
        /// The exec's process runs.
        case execStarted = "exec.started"
        /// The end of its process is known, and nobody has been told.
        case execEnded = "exec.ended"
        /// The stop signal is sent.
        case stopSignalled = "stop.signalled"
        /// The grace is over and the container killed.
        case stopKilled = "stop.killed"
        /// The exit arrived, nothing is recorded.
        case exitReceived = "exit.received"
        /// The exit is in the database, the shim not told.
        case exitCommitted = "exit.committed"
        /// The shim has deleted its task.
        case exitDeleted = "exit.deleted"
        /// The shim is gone, the bundle is still there.
        case exitShutDown = "exit.shutdown"
        /// The row says removing.
        case removeMarked = "remove.marked"
        /// The bundle is gone.
        case removeBundle = "remove.bundle"
        /// The writable snapshot is gone.
        case removeSnapshot = "remove.snapshot"
        /// The directory under `<root>/containers` is gone, the row is still there.
        case removeDirectories = "remove.directories"
        /// The row is gone.
        case removeCommitted = "remove.committed"
    }

    private let handler: (@Sendable (Step) throws -> Void)?

    /// No faults, or `handler` called at each place on the thread that got there; where an answer is waited for, an error is its loss.
    public init(handler: (@Sendable (Step) throws -> Void)? = nil) {
        self.handler = handler
    }

    package func reached(_ step: Step) {
        // Only an answer can be lost.
        try? handler?(step)
    }

    /// An answer is there, or lost.
    package func answered(_ step: Step) throws {
        try handler?(step)
    }
}
