public import Kernel

/// How a container is isolated: what the author of a shim writes.
///
/// A shim has one container, and ShimKit makes one backend object for it. Every call comes on the shim's only thread, so a
/// call must be short: it may wait for the kernel and for the set-up of a process, never for the container's own work.
/// ShimKit keeps the states and asks only what they allow: `start` once after `create`, `exec` only while the container
/// runs, `delete` after its end or before `start`. A call that throws must leave nothing half-made behind.
///
/// ShimKit reaps every process that a backend returns through its pidfd, so they must be children of the shim or
/// orphans that it inherits as a subreaper.
public protocol Backend: AnyObject {
    /// What the shim says of itself. Read before anything else exists.
    static var information: BackendInformation { get }

    /// Makes the backend of one container. Nothing is created yet.
    init(_ context: BackendContext) throws(BackendError)

    /// Creates the container and its init process, which must wait for `start` before it runs anything of the container.
    func create(_ request: BackendCreateRequest) throws(BackendError) -> ContainerProcess

    /// Lets the init process run. Returns when its program has been executed.
    ///
    /// - Throws: The stage at which the process failed; it has ended then, and ShimKit reaps it.
    func start() throws(BackendError)

    /// Starts one more process in the running container. Returns when its program has been executed.
    func exec(_ request: BackendExecRequest) throws(BackendError) -> ContainerProcess

    /// Sends a signal to one process of the container. The default sends it through the pidfd.
    func kill(_ process: ContainerProcess, signal: Signal) throws(BackendError)

    /// Sends a signal to every process of the container, also to those that ShimKit does not know.
    ///
    /// SIGKILL is also asked after the end of the init process, when there may be none left; that is no error.
    func killAll(signal: Signal) throws(BackendError)

    /// Sends a signal to a process that `exec` has made and to all that it has started.
    ///
    /// The default sends it to the process alone.
    func killAll(_ process: ContainerProcess, signal: Signal) throws(BackendError)

    /// How a process has ended that somebody else reaps, asked when its pidfd is readable.
    ///
    /// The default knows nothing, and ShimKit reaps the process.
    func exitStatus(of process: ContainerProcess) -> ExitStatus?

    /// A process that `exec` has made was reaped: what was made for it alone may go. The default does nothing.
    func ended(_ process: ContainerProcess)

    /// Changes the size of a terminal that is not the backend's to return, because another program holds it.
    ///
    /// The default says no.
    ///
    /// - Returns: Whether it did; false has ShimKit change the terminal that `create` or `exec` has returned.
    func resize(_ process: ContainerProcess, rows: UInt16, columns: UInt16) throws(BackendError) -> Bool

    /// Freezes every process of the container.
    func pause() throws(BackendError)

    /// Lets the processes of a frozen container go on.
    func resume() throws(BackendError)

    /// Changes the limits of the container.
    ///
    /// - Parameter resources: An OCI LinuxResources document in JSON.
    /// - Throws: What the kernel refused; limits that were set before stay set.
    func update(resources: [UInt8]) throws(BackendError)

    /// What the container uses.
    func metrics() throws(BackendError) -> BackendMetrics

    /// The process ids of the container as the host sees them.
    func processes() throws(BackendError) -> [Int32]

    /// How often processes of this container were killed because memory ran out.
    func outOfMemory() -> OutOfMemory

    /// Removes what `create` made. Every process has ended. A second call does nothing.
    func delete() throws(BackendError)

    /// Removes whatever a shim that died without notice has left, after killing every process of the container.
    ///
    /// Called in a process of its own by the `delete` sub-command; nothing may be there, and that is no error.
    static func cleanUp(_ context: BackendContext) throws(BackendError)

    /// Files of the bundle that the backend has written and reads again, by name, with the bytes that it has written last.
    ///
    /// One that has other bytes is named, set aside and written anew. The default has none.
    var records: [String: [UInt8]] { get }

    // In the shim ------------------------------------------------------------------------------------------------------

    /// The shim is there: what the backend does on its loop begins here.
    ///
    /// Called once, before any other call of an object that `init` has made, and right after `restore` of one that it has. The default
    /// does nothing.
    func attach(to host: BackendHost)

    /// The end of the init process is about to be published: an event that has to come before is published now.
    ///
    /// Every process that ShimKit knows has ended. Called again at the end of each run that the restart policy begins. The default does
    /// nothing.
    func endIsNear()

    // Going on in another process ---------------------------------------------------------------------------------------

    /// Whether `state` and `restore` are there: without them a shim cannot be upgraded in place, nor its container be adopted.
    static var isRestorable: Bool { get }

    /// What another object of the backend, in another process and maybe of another version, needs to go on with the container.
    ///
    /// Asked at every change of the container, so it must be cheap. The form is the backend's own; another version of the backend
    /// has to read it, so give it one that can grow.
    func state() throws(BackendError) -> [UInt8]

    /// What the backend keeps open for the container and another object would need, by names of its own.
    ///
    /// Not the pidfds and terminals that it has returned.
    var heldDescriptors: [String: SharedDescriptor] { get }

    /// Processes beside those of the container that have its pipes open, asked after `restore` where nobody has held the shim's own ends.
    ///
    /// The default has none.
    var streamHolders: [Int32] { get }

    /// Goes on with a container that another object has created.
    ///
    /// - Parameters:
    ///   - context: As that one got it.
    ///   - state: What that one's `state` gave. It may be from a moment before its process died.
    ///   - descriptors: Those of its `heldDescriptors` that are still there.
    ///   - processes: Every process of the state by the id of its exec session, empty for the init process. They may have ended, and
    ///     they are no children of the shim when it has adopted the container.
    /// - Returns: The backend of the container.
    /// - Throws: Why the container cannot be gone on with; nothing of it may be changed then.
    static func restore(
        _ context: BackendContext,
        state: [UInt8],
        descriptors: [String: SharedDescriptor],
        processes: [String: ContainerProcess]
    ) throws(BackendError) -> Self
}

extension Backend {
    /// Sends the signal to the process alone.
    public func killAll(_ process: ContainerProcess, signal: Signal) throws(BackendError) {
        try kill(process, signal: signal)
    }

    /// There are none.
    public var records: [String: [UInt8]] { [:] }

    /// Knows nothing.
    public func exitStatus(of process: ContainerProcess) -> ExitStatus? { nil }

    /// Says no.
    public func resize(_ process: ContainerProcess, rows: UInt16, columns: UInt16) throws(BackendError) -> Bool {
        false
    }

    /// Does nothing.
    public func ended(_ process: ContainerProcess) {}

    /// Does nothing.
    public func attach(to host: BackendHost) {}

    /// Does nothing.
    public func endIsNear() {}

    /// It cannot.
    public static var isRestorable: Bool { false }

    /// Nothing.
    public var heldDescriptors: [String: SharedDescriptor] { [:] }

    /// There are none.
    public var streamHolders: [Int32] { [] }

    /// Refuses.
    public func state() throws(BackendError) -> [UInt8] { throw Self.notRestorable }

    /// Refuses.
    public static func restore(
        _ context: BackendContext,
        state: [UInt8],
        descriptors: [String: SharedDescriptor],
        processes: [String: ContainerProcess]
    ) throws(BackendError) -> Self {
        throw notRestorable
    }

    private static var notRestorable: BackendError {
        .refused(
            stage: "upgrade",
            operation: "save state",
            code: .unsupported,
            detail: "backend \(information.name) cannot be restored"
        )
    }

    /// Sends the signal through the process's pidfd.
    public func kill(_ process: ContainerProcess, signal: Signal) throws(BackendError) {
        do throws(KernelError) {
            try Pidfd.send(signal, to: process.pidfd.raw)
        } catch {
            throw .failed(stage: "kill", error)
        }
    }
}
