internal import Kernel

/// One attached client: a connection that was handed over by the engine.
final class AttachSession: WatchedSource, OutputClient {
    private let socket: SharedDescriptor
    private let options: AttachOptions
    private var state: AttachState
    private unowned let owner: ProcessStdio
    private var endedStreams: StdioStreams = []
    /// Where it goes on while it is behind.
    private var follower: LogFollower?
    /// Why it cannot go on where another one has stopped.
    private var restoreFailure: String?

    init(_ socket: SharedDescriptor, _ options: AttachOptions, owner: ProcessStdio) {
        self.socket = socket
        self.options = options
        self.owner = owner
        state = AttachState(options.stdin ? options.detachKeys : .none)
    }

    /// Goes on where another one has stopped.
    init(restoring snapshot: StdioSnapshot.Client, owner: ProcessStdio) {
        socket = snapshot.socket
        options = snapshot.options
        self.owner = owner
        state = AttachState(restoring: snapshot)
        endedStreams = snapshot.endedStreams
        guard let place = snapshot.behind else { return }
        follower = LogFollower(restoring: place, log: owner.log)
        // What it has not had is nowhere any more: it is told, and sees its end instead of a gap.
        if follower == nil {
            restoreFailure = "where it went on in the log is not known any more, as when its shim has died"
        }
    }

    /// What `init(restoring:)` needs of it.
    var snapshot: StdioSnapshot.Client {
        var snapshot = StdioSnapshot.Client(socket: socket, options: options)
        snapshot.endedStreams = endedStreams
        snapshot.behind = follower?.place
        state.save(to: &snapshot)
        return snapshot
    }

    /// Takes part again after `init(restoring:)`.
    func resume(loop: any StdioLoop) {
        if state.queuedByteCount > 0 { state.begin(now: Clock.monotonic.now) }
        watch(with: loop)
        if let restoreFailure { cut(restoreFailure) }
        settle()
    }

    /// Begins: recent output, then the input that came with the connection.
    func start(loop: any StdioLoop, recentOutput: [UInt8]) {
        watch(with: loop)
        mark(.begin)
        if !recentOutput.isEmpty {
            unsafe recentOutput.withUnsafeBytes { unsafe deliver($0, stream: .stdout) }
        }
        if !options.leftover.isEmpty { receive(options.leftover) }
        if options.inputClosed { inputEnded() }
        settle()
    }

    override var descriptor: RawDescriptor { socket.raw }

    override var interest: Readiness? {
        guard state.phase != .closed else { return nil }
        var interest: Readiness = []
        if state.queuedByteCount > 0 || follower != nil { interest.insert(.writable) }
        // Input of a client that only listens is read and thrown away: it may end, and that ends nothing else.
        let hasRoom = !options.stdin || state.phase != .open || owner.stdinRoom > 0
        if state.inputIsOpen, hasRoom { interest.insert(.readable) }
        return interest
    }

    override func ready(_ events: Readiness) {
        if events.contains(.writable) { flush() }
        if state.phase != .closed, state.inputIsOpen, !events.isDisjoint(with: [.readable, .hangUp, .error]) {
            read()
        } else if !events.isDisjoint(with: [.hangUp, .error]) {
            clientIsGone()
        }
        settle()
    }

    // MARK: - Output

    // With a log to go on from nobody has to wait for it.
    var room: Int { owner.log == nil ? state.room : .max }
    var deadline: Timestamp? { state.deadline }
    // A client that has everything, and only keeps its own side open, is owed nothing more.
    var owesOutput: Bool { state.phase == .flushing || state.queuedByteCount > 0 || follower != nil }

    func deliver(_ bytes: UnsafeRawBufferPointer, stream: StdioStream) {
        guard options.streams.contains(stream), state.phase == .open, follower == nil else { return }
        let header = options.isMultiplexed ? StdCopy.header(stream, count: bytes.count) : nil
        let sent = state.queuedByteCount == 0 ? unsafe sendAtOnce(header, bytes) : 0
        let headerCount = header == nil ? 0 : StdCopy.headerByteCount
        guard sent < headerCount + bytes.count else { return }
        let now = Clock.monotonic.now
        // Sound: copies of the caller's buffer.
        unsafe state.enqueue(header: sent == 0 ? header : nil, bytes.dropFirst(max(0, sent - headerCount)), now: now)
        settle()
    }

    func logged() {
        guard follower == nil, state.phase == .open, state.queuedByteCount >= ClientLimit.queueByteCount,
            let log = owner.log
        else { return }
        follower = LogFollower(log)
        owner.clientsBehindChanged()
    }

    /// Its number while it is behind.
    var numberBehind: UInt64? { follower == nil ? nil : options.number }

    /// Saves the copy through the queue for a client that keeps up.
    private func sendAtOnce(_ header: UInt64?, _ bytes: UnsafeRawBufferPointer) -> Int {
        guard let header else { return count(of: attempt { try unsafe socket.tryWrite(bytes) }) }
        var value = header
        return unsafe withUnsafeBytes(of: &value) { header in
            let sent = count(of: attempt { try unsafe socket.tryWrite(header, bytes) })
            guard sent > 0, sent < header.count else { return sent }
            // A header is never left half sent: what is missing of it goes before everything else.
            unsafe state.enqueue(header: nil, header.dropFirst(sent), now: Clock.monotonic.now)
            return header.count
        }
    }

    private func attempt(_ body: () throws -> Transfer) -> Transfer {
        // Whatever fails on a connection, the client cannot be served any more.
        do { return try body() } catch { return .ended }
    }

    private func count(of transfer: Transfer) -> Int {
        switch transfer {
        case .moved(let count): return count
        case .wouldBlock: return 0
        case .ended:
            clientIsGone()
            return .max
        }
    }

    private func flush(now: Timestamp = Clock.monotonic.now) {
        sendQueue(now: now)
        catchUp()
    }

    private func sendQueue(now: Timestamp) {
        var isGone = false
        unsafe state.send(now: now) { bytes in
            guard unsafe !bytes.isEmpty else { return 0 }
            switch attempt({ try unsafe socket.tryWrite(bytes) }) {
            case .moved(let count): return count
            case .wouldBlock: return 0
            case .ended:
                isGone = true
                return 0
            }
        }
        if isGone { clientIsGone() }
    }

    /// Queues what comes next in the log, for a client that is behind and has taken nearly everything that was queued.
    private func catchUp() {
        while let follower, state.phase == .open, state.queuedByteCount < ClientLimit.leastRoom {
            guard !follower.isLost else { return cut("it was read so slowly that the log has dropped what comes next") }
            guard let more = try? follower.advance(enqueue) else { return cut("the container's log cannot be read") }
            guard !more else { continue }
            stopFollowing()
            endIfDone()
        }
    }

    private func enqueue(_ record: LogRecord) {
        guard options.streams.contains(record.stream), !record.bytes.isEmpty else { return }
        let header = options.isMultiplexed ? StdCopy.header(record.stream, count: record.bytes.count) : nil
        state.enqueue(header: header, record.bytes, now: Clock.monotonic.now)
    }

    private func stopFollowing() {
        guard let follower else { return }
        follower.stop()
        self.follower = nil
        owner.clientsBehindChanged()
    }

    func outputEnded(_ stream: StdioStream) {
        endedStreams.insert(StdioStreams(stream))
        guard endedStreams.isSuperset(of: owner.startedStreams) else { return }
        follower?.outputEnded()
        endIfDone()
        settle()
    }

    private func endIfDone() {
        guard follower == nil, endedStreams.isSuperset(of: owner.startedStreams) else { return }
        mark(.end)
        let now = Clock.monotonic.now
        state.outputEnded(now: now)
        if options.marksEnd { sendQueue(now: now) }
    }

    /// Tells a client that asked for it where its output begins, and that it is whole.
    private func mark(_ mark: StdCopy.Mark) {
        guard options.marksEnd, options.isMultiplexed else { return }
        var frame: [UInt8] = []
        StdCopy.append(mark, to: &frame)
        state.enqueue(header: nil, frame, now: Clock.monotonic.now)
    }

    func expire(now: Timestamp) {
        guard let due = state.deadline, due <= now else { return }
        // A connection is told to be writable only once most of it was read, which a slow reader takes longer for.
        if state.queuedByteCount > 0 { flush(now: now) }
        if let deadline = state.deadline, deadline <= now {
            if state.phase == .lingering { clientIsGone() } else { cut(Self.tooSlow) }
        }
        settle()
    }

    // MARK: - Input

    private func read() {
        // Input that has no use is read too, so that its end is seen.
        let limit = options.stdin && state.phase == .open ? owner.stdinRoom : .max
        guard limit > 0 else { return }
        let buffer = unsafe owner.buffers.input
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(IOBuffers.readByteCount, limit)])
        switch attempt({ try unsafe socket.tryRead(into: target) }) {
        case .moved(let count): unsafe receive(target[..<count])
        case .wouldBlock: break
        case .ended: inputEnded()
        }
    }

    private func receive(_ bytes: some Sequence<UInt8>) {
        guard options.stdin else { return }
        let input = state.receive(bytes)
        if !input.bytes.isEmpty { owner.stdin.write(input.bytes) }
        if input.detaches { closeStdin() }
    }

    private func inputEnded() {
        let held = state.inputEnded()
        guard options.stdin else { return }
        if !held.isEmpty { owner.stdin.write(held) }
        closeStdin()
    }

    private func closeStdin() {
        if options.stdin, options.closesStdin || owner.options.closesStdinWithClient { owner.stdin.close() }
    }

    private static let tooSlow =
        "it was read too slowly (less than \(ClientLimit.pace >> 10) KiB in \(ClientLimit.stall.components.seconds) seconds)"

    /// Lets go of a client that may be there still, and tells it when there would have been more.
    ///
    /// What is queued and the last word go into the connection, which gets room for them: the client may read them at any time. So
    /// nothing is lost of a process that has ended.
    private func cut(_ reason: String) {
        let now = Clock.monotonic.now
        let text = "the rest of the output is lost: \(reason)"
        var word: [UInt8] = []
        if options.isMultiplexed {
            StdCopy.append(error: text, to: &word)
        } else {
            word += "\r\nberth: \(text)\r\n".utf8
        }
        // Ignored when no output follows what is queued.
        state.enqueue(header: nil, word, now: now)
        // Without it as much goes out as there is room for.
        try? UnixSocket.makeRoom(socket.raw, byteCount: ClientLimit.lastRoom)
        sendQueue(now: now)
        if state.phase != .lingering { clientIsGone() }
    }

    private func clientIsGone() {
        let hadInput = state.inputIsOpen
        state.close()
        if hadInput { closeStdin() }
    }

    /// After any change: shuts what is finished, tells the loop and the pumps.
    private func settle() {
        guard isWatched else { return }
        switch state.phase {
        case .lingering:
            // Fails only when the client is gone, which the loop will report.
            try? UnixSocket.shutdownWriting(socket.raw)
        case .closed:
            stopFollowing()
            unwatch()
            // The client sees the end now, whoever else holds a duplicate. Fails only when it is gone.
            try? UnixSocket.shutdown(socket.raw)
            owner.remove(self)
            return
        case .open, .flushing:
            break
        }
        interestMayHaveChanged()
        owner.clientRoomChanged()
    }
}
