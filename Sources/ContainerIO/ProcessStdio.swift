public import Kernel

/// What is fixed about a process' stdio for its whole life.
public struct ProcessStdioOptions: Sendable {
    /// Whether the process has a terminal: one output, and an input without end.
    public var isTerminal: Bool
    /// Whether the end of a client's input closes the process' standard input (Docker's StdinOnce, and every exec).
    public var closesStdinWithClient: Bool
    /// Recent output kept for clients that ask for it when they attach.
    public var ringByteCount: Int

    /// The options of one process.
    public init(isTerminal: Bool = false, closesStdinWithClient: Bool = false, ringByteCount: Int = 0) {
        self.isTerminal = isTerminal
        self.closesStdinWithClient = closesStdinWithClient
        self.ringByteCount = ringByteCount
    }
}

/// The stdio of one process: its pipes or terminal, its log, and the clients on it.
///
/// For the loop's thread only.
///
/// The order of calls: make it when the process is created, attach clients at any time, `start` it with the descriptors,
/// `processExited` once the process was reaped, `close` when it is deleted. Between, the loop calls `ready` of the
/// sources it was given, and `tick` when `nextDeadline` has come.
///
/// The process must ignore SIGPIPE.
public final class ProcessStdio {
    /// How long output is waited for after the process' exit: something it started may hold the pipe for ever.
    public static let drainLimit = Duration.seconds(2)

    /// What is fixed.
    public let options: ProcessStdioOptions
    let buffers: IOBuffers
    let log: LogWriter?
    unowned let loop: any StdioLoop
    var pumps: [OutputPump] = []
    var clients: [any OutputClient] = []
    var fifoInput: FifoInput?
    var ring: OutputRing
    var drainDeadline: Timestamp?
    private var drained: (() -> Void)?
    private var scheduled: Timestamp?
    private var isClosed = false
    lazy var stdin = StdinSink(isTerminal: options.isTerminal, owner: self)

    /// The outputs that the process has; empty before `start`.
    var startedStreams: StdioStreams = []
    /// Whether `start` was called.
    public internal(set) var hasStarted = false

    /// Stdio without descriptors yet.
    ///
    /// - Parameters:
    ///   - options: what is fixed.
    ///   - loop: watches the descriptors; must outlive this object.
    ///   - buffers: the loop's.
    ///   - log: the container's log; nil for an exec and where containerd takes the output.
    public init(_ options: ProcessStdioOptions, loop: any StdioLoop, buffers: IOBuffers, log: LogWriter?) {
        self.options = options
        self.loop = loop
        self.buffers = buffers
        self.log = log
        ring = OutputRing(capacity: options.ringByteCount)
    }

    // MARK: - Life

    /// Takes the shim's ends of the process' pipes, or its terminal, and begins to move bytes.
    ///
    /// Makes them non-blocking.
    ///
    /// - Parameters:
    ///   - stdin: the writing end of standard input; nil when the process has none. Nil for a terminal.
    ///   - stdout: the reading end of standard output, or the terminal's controlling side.
    ///   - stderr: the reading end of standard error; nil for a terminal.
    /// - Throws: the kernel's reason; nothing is watched then.
    public func start(
        stdin: SharedDescriptor?,
        stdout: SharedDescriptor,
        stderr: SharedDescriptor?
    ) throws(ContainerIOError) {
        do throws(KernelError) {
            try stdout.setNonBlocking()
            var input = stdin
            if options.isTerminal { input = SharedDescriptor(try stdout.duplicate()) }
            try input?.setNonBlocking()
            let output = OutputPump(stdout, stream: .stdout, owner: self)
            var pumps = [output]
            if let stderr {
                try stderr.setNonBlocking()
                pumps.append(OutputPump(stderr, stream: .stderr, owner: self))
            }
            begin(pumps, input)
        } catch {
            throw .kernel(error)
        }
    }

    private func begin(_ pumps: [OutputPump], _ input: SharedDescriptor?) {
        self.pumps = pumps
        startedStreams = StdioStreams(pumps.map { StdioStreams($0.stream) })
        hasStarted = true
        for pump in pumps { pump.watch(with: loop) }
        stdin.connect(input, loop: loop)
        scheduleTick()
        loop.descriptorsChanged()
    }

    /// The process was reaped: takes what it left in its pipes, and waits for the end of them, for `drainLimit` at most.
    ///
    /// - Parameter drained: called once, when all output is in the log; before this call returns if that is so already.
    public func processExited(drained: @escaping () -> Void) {
        self.drained = drained
        // One that was restored has waited already.
        drainDeadline = drainDeadline ?? Clock.monotonic.now + Self.drainLimit
        for pump in pumps { pump.processExited() }
        finishIfDrained()
        scheduleTick()
    }

    /// Ends everything: takes what the process has written, closes its descriptors, and lets go of this object.
    ///
    /// Clients that have not taken all of their output keep their connections until they have, or stand still for too
    /// long; `IOBuffers.isFlushing` says whether there are such. Call it before the last reference goes.
    public func close() {
        guard !isClosed else { return }
        isClosed = true
        for pump in pumps { pump.abandon() }
        fifoInput?.close()
        fifoInput = nil
        stdin.shut()
        // Clients of a process that was never started wait for nothing.
        if !hasStarted {
            for client in clients { client.outputEnded(.stdout) }
        }
        finishIfDrained()
        scheduleTick()
        if !clients.isEmpty { buffers.keep(self) }
    }

    /// Whether clients still wait for output that the process has written.
    ///
    /// A shim that exits now would take it away.
    public var owesOutput: Bool { clients.contains(where: \.owesOutput) }

    /// Whether the output goes to the container's log.
    package var hasLog: Bool { log != nil }

    /// Whether clients are connected, also such as have everything.
    package var hasClients: Bool { !clients.isEmpty }

    /// The numbers of the clients that are behind, and go on in the log.
    package var clientsBehind: Set<UInt64> {
        Set(clients.compactMap { ($0 as? AttachSession)?.numberBehind })
    }

    /// Whether all output has ended and is in the log.
    public var hasDrained: Bool { hasStarted && pumps.allSatisfy(\.hasEnded) }

    // MARK: - Time

    /// When `tick` is to be called, on the monotonic clock; nil for not at all.
    public var nextDeadline: Timestamp? {
        let client = clients.compactMap(\.deadline).min()
        guard let drainDeadline else { return client }
        return client.map { min($0, drainDeadline) } ?? drainDeadline
    }

    /// Cuts clients that stood still for too long and gives up on output that does not end.
    ///
    /// - Parameter now: the monotonic clock's time.
    public func tick(now: Timestamp) {
        scheduled = nil
        defer { scheduleTick() }
        for client in clients { client.expire(now: now) }
        if let deadline = drainDeadline, deadline <= now {
            for pump in pumps { pump.abandon() }
            finishIfDrained()
        }
    }

    /// Tells the loop when there is an earlier deadline than it knows of.
    ///
    /// One that moved back is found by a tick for nothing.
    func scheduleTick() {
        guard let next = nextDeadline, scheduled.map({ next < $0 }) ?? true else { return }
        scheduled = next
        loop.schedule(self, at: next)
    }

    // MARK: - Clients

    /// Attaches a client whose connection was handed over; its life belongs to this object from here on.
    ///
    /// - Parameters:
    ///   - socket: the connection.
    ///   - options: what the client asked for.
    /// - Throws: the kernel's reason when the connection is of no use.
    public func attach(_ socket: SharedDescriptor, _ options: AttachOptions) throws(ContainerIOError) {
        do throws(KernelError) { try socket.setNonBlocking() } catch { throw .kernel(error) }
        let session = AttachSession(socket, options, owner: self)
        clients.append(session)
        loop.descriptorsChanged()
        session.start(loop: loop, recentOutput: options.replaysRecentOutput ? ring.contents : [])
        for pump in pumps where pump.hasEnded { session.outputEnded(pump.stream) }
        scheduleTick()
    }

    /// Opens what containerd's client made for this process' stdio.
    ///
    /// - Parameter stdio: the three addresses.
    /// - Throws: `invalidArgument` or `unsupported` for an address that cannot be used, or the kernel's reason.
    public func attach(_ stdio: ContainerdStdio) throws(ContainerIOError) {
        let shared = !options.isTerminal && stdio.stdout == stdio.stderr
        try addOutput(stdio.stdout, shared ? .all : .stdout)
        if !options.isTerminal, !shared { try addOutput(stdio.stderr, .stderr) }
        if !stdio.stdin.isEmpty, case .fifo(let path) = try StdioAddress(stdio.stdin) {
            let input = try FifoInput(path, owner: self)
            fifoInput = input
            input.watch(with: loop)
        }
    }

    private func addOutput(_ address: String, _ streams: StdioStreams) throws(ContainerIOError) {
        guard !address.isEmpty else { return }
        switch try StdioAddress(address) {
        case .fifo(let path):
            let output = try FifoOutput(path, streams: streams, owner: self)
            clients.append(output)
            output.watch(with: loop)
        case .file(let path):
            clients.append(try FileOutput(path, streams: streams, owner: self))
        }
    }

    /// Ends the process' standard input after what was already taken (CloseIO).
    ///
    /// Where containerd's client writes a pipe, the end comes when the client has closed it too. A terminal sees nothing.
    public func closeStdin() {
        if let fifoInput { fifoInput.endInput() } else { stdin.close() }
    }

    // MARK: - For pumps and clients

    /// What the slowest client can take.
    var clientRoom: Int { clients.reduce(.max) { min($0, $1.room) } }

    /// What standard input can take.
    var stdinRoom: Int { stdin.room }

    func deliver(_ bytes: UnsafeRawBufferPointer, stream: StdioStream) {
        unsafe ring.append(bytes)
        for client in clients { unsafe client.deliver(bytes, stream: stream) }
        if !clients.isEmpty { scheduleTick() }
    }

    func logged() {
        for client in clients { client.logged() }
    }

    func outputEnded(_ stream: StdioStream) {
        loop.descriptorsChanged()
        for client in clients { client.outputEnded(stream) }
        finishIfDrained()
        scheduleTick()
    }

    func clientsBehindChanged() {
        loop.descriptorsChanged()
    }

    func clientRoomChanged() {
        for pump in pumps where pump.isWatched { pump.interestMayHaveChanged() }
    }

    func stdinWasShut() {
        loop.descriptorsChanged()
        stdinRoomChanged()
    }

    func stdinRoomChanged() {
        for case let source as WatchedSource in clients { source.interestMayHaveChanged() }
        fifoInput?.interestMayHaveChanged()
    }

    func remove(_ client: any OutputClient) {
        clients.removeAll { $0 === client }
        loop.descriptorsChanged()
        clientRoomChanged()
        if isClosed, clients.isEmpty { buffers.release(self) }
    }

    private func finishIfDrained() {
        guard drained != nil, hasDrained else { return }
        drainDeadline = nil
        let callback = drained
        drained = nil
        stdin.shut()
        callback?()
    }
}
