import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

/// The owner of everything in a shim: feeds the task table with what happens and carries out what it decides.
final class ShimServer {
    /// A process that the shim knows, beside its record in the table.
    final class Handle {
        var process: ContainerProcess?
        let io: ProcessIO
        var watch: EventLoop.Watch?
        /// Of an exec session: the OCI Process in JSON, until it is started.
        var specification: [UInt8] = []
        /// Of an exec session: the time that it has.
        var timeout: Duration?
        var timeoutTimer: EventLoop.Timer?
        /// It was killed because that time was over.
        var timedOut = false
        /// When the process began, in clock ticks since boot.
        var startTime: UInt64 = 0
        /// How long it has been there, by a clock that nobody sets; none where its beginning is not known.
        var age: Duration {
            guard startTime > 0 else { return .zero }
            // Everywhere in hundredths of a second (proc(5)).
            return (Clock.boot.now - Timestamp(seconds: 0, nanoseconds: 0)) - .milliseconds(10)
                * Int(clamping: startTime)
        }
        /// Nothing was left of the process: its pidfd is that of another one, whose end says nothing.
        var isGone = false
        /// Until the end of a process that is no child of ours is given up.
        var patience: EventLoop.Timer?

        init(io: ProcessIO) {
            self.io = io
        }
    }

    /// A call of `Supervisor.Events` that waits for news.
    struct Poll {
        let waiter: WaiterID
        let after: UInt64
        /// The generation of descriptors that the caller has heard of; 0 for no interest.
        let generation: UInt64
        /// Whether probes are news, too.
        let wantsHealth: Bool
        let timer: EventLoop.Timer
    }

    let configuration: ShimConfiguration
    let information: BackendInformation
    let backend: any Backend
    let loop: EventLoop
    let journal: Journal
    let publisher: EventPublisher?
    let streams: StreamFactory

    var table = TaskTable()
    var handles: [ProcessKey: Handle] = [:]
    var polls: [Poll] = []
    var exitRecordPath = ""
    /// OOM kills that have been reported.
    var seenOutOfMemory: UInt64 = 0
    /// Streams of deleted processes whose clients still read.
    var lingering: [ProcessIO] = []
    /// Timers of pending calls whose callers said how long they wait.
    var deadlines: [WaiterID: EventLoop.Timer] = [:]
    /// Why the init process never ran its program, when that is so.
    var startFailure: String?
    /// The call of Start that let the init process run in vain, until its end is published.
    var failedStart: (WaiterID, RPCError)?
    /// The request that made the container, for the restart policy; nil under containerd.
    var creation: [UInt8]?
    /// Nil without a check.
    var health: HealthMonitor?
    /// Until the planned restart.
    var restartTimer: EventLoop.Timer?
    /// Until an exit record that could not be written is tried again.
    var recordTimer: EventLoop.Timer?
    /// Until exec sessions that outlive the init process are given up.
    var execsTimer: EventLoop.Timer?
    /// Numbers the descriptors that a successor would need.
    var held = HeldDescriptors()
    /// The last attached client's number.
    var lastClient: UInt64 = 0
    /// The replacement of the program that is being tried.
    var upgrade: UpgradeAttempt?
    /// What a newer program has written into a state and this one keeps for the next.
    var unknownState = SwiftProtobuf.UnknownStorage()
    /// What the backend does when the manager has made events durable.
    var afterAcknowledgement: (() -> Void)?
    /// Whether the backend knows where it is.
    private var isAttached = false
    /// Whether descriptors have changed that were not looked at yet.
    var descriptorsAreStale = false
    /// Clients that the state, as it was written last, calls behind.
    var clientsBehind: Set<UInt64> = []
    /// What was wrong with files of the bundle, until the manager has asked.
    var damages: [ShimFileDamage] = []

    /// Of the sockets that are listened on.
    var acceptors: [Acceptor] = []
    private(set) var connections: [UInt64: RPCConnection] = [:]
    private var nextConnection: UInt64 = 1
    private(set) var isStopping = false

    init(
        configuration: ShimConfiguration,
        information: BackendInformation,
        backend: any Backend,
        loop: EventLoop
    ) throws(KernelError) {
        self.configuration = configuration
        self.information = information
        self.backend = backend
        self.loop = loop
        journal = try Journal(path: configuration.hasJournal ? configuration.context.bundle + "/journal" : nil)
        publisher = configuration.eventAddress.map {
            EventPublisher(address: $0, namespace: configuration.context.namespace, loop: loop)
        }
        let change = DescriptorChange()
        streams = StreamFactory(loop: loop) { change.server?.descriptorsChanged() }
        change.server = self
        journal.beforeEmptying = { [unowned self] in saveState() }
        descriptorsChanged()
    }

    /// Lets the streams, which are made before the server is, tell it of changes.
    private final class DescriptorChange {
        weak var server: ShimServer?
    }

    /// Gives the backend its place in the shim, when the journal goes on where it was.
    func attachBackend() {
        guard !isAttached else { return }
        isAttached = true
        backend.attach(to: BackendHost(self))
    }

    /// Serves until Shutdown.
    func run() throws(KernelError) {
        attachBackend()
        let acceptor = try Acceptor(configuration.listener, name: "calls", loop: loop) {
            [weak self] socket throws(KernelError) in try self?.open(socket)
        }
        acceptors.append(acceptor)
        try watchSignals()
        // A successor was not told of those that ended before it was there.
        reapOrphans()
        if let listener = configuration.descriptorListener {
            try listenForDescriptors(listener)
        }
        loop.onQuiet = { [unowned self] in
            streams.releaseMemory()
            ProcessAttributes.trimMemory()
        }
        try loop.run()
    }

    // Connections -------------------------------------------------------------------------------------------------------

    private func open(_ socket: consuming Descriptor) throws(KernelError) {
        let peer = try UnixSocket.peer(of: socket.raw)
        let sharesRoot = UnixSocket.peerSharesRoot(socket.raw)
        guard peer.uid == 0, sharesRoot, connections.count < ShimLimits.connections else {
            ShimLog.write(
                "connection refused",
                ("uid", String(peer.uid)),
                ("sharesRoot", String(sharesRoot)),
                ("open", String(connections.count))
            )
            return
        }
        let id = nextConnection
        nextConnection += 1
        let connection = RPCConnection(
            id: id,
            socket: socket,
            isTrusted: configuration.token == nil,
            loop: loop,
            onCall: { [weak self] connection, call in self?.handle(call, on: connection) },
            onClose: { [weak self] connection in self?.closed(connection) }
        )
        connections[id] = connection
        try connection.open()
    }

    private func closed(_ connection: RPCConnection) {
        connections[connection.id] = nil
        table.forgetWaiters(of: connection.id)
        for poll in polls where poll.waiter.connection == connection.id {
            loop.cancel(poll.timer)
        }
        polls.removeAll { $0.waiter.connection == connection.id }
        for (waiter, timer) in deadlines where waiter.connection == connection.id {
            loop.cancel(timer)
            deadlines[waiter] = nil
        }
    }

    /// Answers a call of a connection that may have gone.
    func answer(_ waiter: WaiterID, _ answer: Result<[UInt8], RPCError>) {
        if let timer = deadlines.removeValue(forKey: waiter) {
            loop.cancel(timer)
        }
        connections[waiter.connection]?.respond(to: waiter.stream, with: answer)
    }

    // Dispatch ----------------------------------------------------------------------------------------------------------

    private func handle(_ call: TTRPCServerConnection.Call, on connection: RPCConnection) {
        let waiter = WaiterID(connection: connection.id, stream: call.streamID)
        guard connection.isTrusted || isAuthorized(call) else {
            ShimLog.write("call without the token refused", ("method", call.method))
            checkToken()
            connection.respond(to: call.streamID, with: .failure(.permissionDenied("token missing or wrong")))
            return connection.close()
        }
        connection.isTrusted = true
        do throws(RPCError) {
            if let payload = try dispatch(call, waiter) {
                connection.respond(to: call.streamID, with: .success(payload))
            } else if let timeout = call.timeout {
                expire(waiter, after: timeout)
            }
        } catch {
            connection.respond(to: call.streamID, with: .failure(error))
        }
    }

    /// Gives a pending call up when its caller does.
    private func expire(_ waiter: WaiterID, after timeout: Duration) {
        deadlines[waiter] = loop.after(timeout) { [weak self] in
            guard let self else { return }
            table.forget(waiter)
            answer(waiter, .failure(.timedOut("nothing happened within \(timeout)")))
        }
    }

    /// Handles a call.
    ///
    /// - Returns: The serialized response; nil when the answer comes later.
    private func dispatch(_ call: TTRPCServerConnection.Call, _ waiter: WaiterID) throws(RPCError) -> [UInt8]? {
        switch call.service {
        case ServiceName.taskV2, ServiceName.taskV3:
            guard let method = TaskMethod(rawValue: call.method) else {
                throw .unimplemented("method \(call.method)")
            }
            return try task(method, call, waiter)
        case ServiceName.supervisor:
            guard let method = SupervisorMethod(rawValue: call.method) else {
                throw .unimplemented("method \(call.method)")
            }
            return try supervisor(method, call, waiter)
        default:
            throw .unimplemented("service \(call.service)")
        }
    }

    private func isAuthorized(_ call: TTRPCServerConnection.Call) -> Bool {
        guard let token = configuration.token else {
            return true
        }
        return Self.isSame(token, Array((call.metadata[MetadataKey.token] ?? "").utf8))
    }

    /// Compares in a time that depends only on the length.
    static func isSame(_ secret: [UInt8], _ offered: [UInt8]) -> Bool {
        guard secret.count == offered.count, !secret.isEmpty else {
            return false
        }
        return zip(secret, offered).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    // The end -----------------------------------------------------------------------------------------------------------

    /// Ends the shim when the answers and the last events are out.
    func shutDown() {
        guard !isStopping else {
            return
        }
        isStopping = true
        finishShutDown()
    }

    /// Goes on with the shutdown when no client reads any more.
    private func finishShutDown() {
        guard lingering.isEmpty else {
            return
        }
        if let publisher, !publisher.isIdle {
            publisher.onIdle = { [loop] in loop.stop() }
            loop.after(ShimLimits.lastEvents) { [loop] in loop.stop() }
        } else {
            loop.stop()
        }
    }

    /// Closes the streams of a deleted process when its clients have taken everything, which ContainerIO bounds.
    func linger(_ io: ProcessIO) {
        guard io.owesOutput else {
            return io.close()
        }
        lingering.append(io)
        if lingering.count == 1 {
            sweepLater()
        }
    }

    private func sweepLater() {
        loop.after(ShimLimits.sweep) { [weak self] in
            guard let self else { return }
            lingering.removeAll { io in
                guard !io.owesOutput else { return false }
                io.close()
                return true
            }
            if !lingering.isEmpty {
                sweepLater()
            } else if isStopping {
                finishShutDown()
            }
        }
    }
}
