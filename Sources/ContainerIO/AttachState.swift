package import Kernel

/// What a client asked for when it attached.
public struct AttachOptions: Sendable {
    /// Whether its bytes go to the process.
    public var stdin: Bool
    /// Which output it gets.
    public var streams: StdioStreams
    /// Whether output comes in stdcopy frames; otherwise it comes bare, both streams mixed.
    public var isMultiplexed: Bool
    /// Input that was read from the connection before it was handed over; goes first.
    public var leftover: [UInt8]
    /// Whether the client had already ended its input.
    public var inputClosed: Bool
    /// The sequence that ends the attachment.
    public var detachKeys: DetachKeys
    /// Whether the end of this client's input, or of the client, closes the process' standard input, also when the
    /// process was not made with `closesStdinWithClient`.
    public var closesStdin: Bool
    /// Whether the recent output that the process' ring holds is sent first.
    public var replaysRecentOutput: Bool
    /// Whether frames mark the beginning of the output and its own end; only with `isMultiplexed`.
    public var marksEnd: Bool
    /// Names the client for as long as it is there.
    public var number: UInt64 = 0

    /// The options of an attachment.
    public init(
        stdin: Bool = false,
        streams: StdioStreams = .all,
        isMultiplexed: Bool = false,
        leftover: [UInt8] = [],
        inputClosed: Bool = false,
        detachKeys: DetachKeys = .none,
        closesStdin: Bool = false,
        replaysRecentOutput: Bool = false,
        marksEnd: Bool = false
    ) {
        self.stdin = stdin
        self.streams = streams
        self.isMultiplexed = isMultiplexed
        self.leftover = leftover
        self.inputClosed = inputClosed
        self.detachKeys = detachKeys
        self.closesStdin = closesStdin
        self.replaysRecentOutput = replaysRecentOutput
        self.marksEnd = marksEnd
    }
}

/// What an attached client's connection is in, without the connection.
///
/// Output: queued, bounded, with a deadline that moves as long as the client keeps up a pace: a byte now and then does not keep
/// its process waiting. Input: searched for the detach keys. The end comes when the output has ended and everything was sent,
/// when the client detaches, or when its deadline passes.
package struct AttachState {
    /// Where the connection is in its life.
    package enum Phase: Equatable, Sendable {
        /// Output and input flow.
        case open
        /// The process' output has ended; what is queued still goes out.
        case flushing
        /// Everything was sent and the sending side is shut. Input is thrown away until the client closes, because
        /// closing with unread input would make the client see an error in place of the last output.
        case lingering
        /// Nothing more to do.
        case closed
    }

    /// What to do with a piece of input.
    package struct Input: Equatable, Sendable {
        /// What the process gets.
        package var bytes: [UInt8]
        /// Whether the client asked to be let go.
        package var detaches: Bool

        package init(bytes: [UInt8], detaches: Bool) {
            self.bytes = bytes
            self.detaches = detaches
        }
    }

    package private(set) var phase = Phase.open
    package private(set) var inputIsOpen = true
    package private(set) var deadline: Timestamp?
    private var queue = ByteQueue()
    private var matcher: DetachMatcher
    /// Bytes that were sent since the deadline was set.
    private var taken = 0
    private let stall: Duration
    private let linger: Duration

    package init(
        _ keys: DetachKeys,
        stall: Duration = ClientLimit.stall,
        linger: Duration = ClientLimit.linger
    ) {
        matcher = DetachMatcher(keys)
        self.stall = stall
        self.linger = linger
    }

    /// Goes on where another one has stopped.
    package init(restoring snapshot: StdioSnapshot.Client) {
        matcher = DetachMatcher(snapshot.options.detachKeys, matched: snapshot.matchedKeys)
        stall = ClientLimit.stall
        linger = ClientLimit.linger
        phase = snapshot.phase
        inputIsOpen = snapshot.inputIsOpen
        deadline = snapshot.deadline
        queue.append(snapshot.pending)
    }

    /// What `init(restoring:)` needs of it.
    package func save(to snapshot: inout StdioSnapshot.Client) {
        snapshot.matchedKeys = matcher.matched
        snapshot.phase = phase
        snapshot.inputIsOpen = inputIsOpen
        snapshot.deadline = deadline
        snapshot.pending = queue.contents
    }

    // MARK: - Output

    package var queuedByteCount: Int { queue.count }

    package var room: Int {
        phase == .open ? max(0, ClientLimit.queueByteCount - queue.count) : .max
    }

    /// Queues output; the clock starts when the client has something to take.
    package mutating func enqueue(header: UInt64?, _ bytes: some Sequence<UInt8>, now: Timestamp) {
        guard phase == .open else { return }
        if queue.isEmpty { begin(now: now) }
        if let header { queue.append(header: header) }
        queue.append(bytes)
    }

    /// Lends the queue for a write.
    package mutating func send(now: Timestamp, _ body: (UnsafeRawBufferPointer) -> Int) {
        let before = queue.count
        unsafe queue.withBytes(body)
        taken += before - queue.count
        if taken >= ClientLimit.pace { begin(now: now) }
        if queue.isEmpty { drained(now: now) }
    }

    /// The client has `stall` from now on, as after a change of the program, which does not know what was taken.
    package mutating func begin(now: Timestamp) {
        guard phase == .open || phase == .flushing else { return }
        (deadline, taken) = (now + stall, 0)
    }

    /// No output follows.
    package mutating func outputEnded(now: Timestamp) {
        guard phase == .open else { return }
        phase = .flushing
        if queue.isEmpty { drained(now: now) }
    }

    private mutating func drained(now: Timestamp) {
        deadline = nil
        guard phase == .flushing else { return }
        phase = inputIsOpen ? .lingering : .closed
        deadline = inputIsOpen ? now + linger : nil
    }

    // MARK: - Input

    /// Looks at what the client sent.
    package mutating func receive(_ bytes: some Sequence<UInt8>) -> Input {
        guard phase == .open, inputIsOpen else { return Input(bytes: [], detaches: false) }
        var forwarded: [UInt8] = []
        let detaches = matcher.feed(bytes, into: &forwarded)
        if detaches { phase = .closed }
        return Input(bytes: forwarded, detaches: detaches)
    }

    /// The client ended its input.
    ///
    /// - Returns: what was held because it looked like the beginning of the detach keys.
    package mutating func inputEnded() -> [UInt8] {
        guard inputIsOpen else { return [] }
        inputIsOpen = false
        if phase == .lingering { phase = .closed }
        var rest: [UInt8] = []
        matcher.finish(into: &rest)
        return rest
    }

    /// The client is gone, or was cut off.
    package mutating func close() {
        phase = .closed
        inputIsOpen = false
        deadline = nil
        queue.removeAll()
    }
}
