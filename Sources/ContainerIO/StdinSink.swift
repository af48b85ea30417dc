internal import Kernel

/// A process' standard input: takes bytes from clients in the order they came, as fast as the process reads.
final class StdinSink: WatchedSource {
    private(set) var target: SharedDescriptor?
    private let isTerminal: Bool
    private unowned let owner: ProcessStdio
    private var queue = ByteQueue()
    private(set) var isClosing = false

    /// Whether bytes can still reach the process.
    ///
    /// False from the start for a process without standard input.
    private(set) var isOpen = true

    init(isTerminal: Bool, owner: ProcessStdio) {
        self.isTerminal = isTerminal
        self.owner = owner
    }

    override var descriptor: RawDescriptor {
        target?.raw ?? -1
    }

    override var interest: Readiness? { queue.isEmpty ? nil : .writable }

    /// Bytes that can be taken now.
    ///
    /// A sink that is closed takes everything and forgets it.
    var room: Int { isOpen ? max(0, ClientLimit.queueByteCount - queue.count) : .max }

    /// The process' end is there: what came before goes out.
    func connect(_ descriptor: SharedDescriptor?, loop: any StdioLoop) {
        target = descriptor
        guard target != nil else {
            shut()
            return
        }
        watch(with: loop)
        flush()
        // Clients that had filled the queue before the process was there.
        owner.stdinRoomChanged()
    }

    /// What was taken and not written yet.
    var pending: [UInt8] { queue.contents }

    /// Takes over what another one had, before `connect`.
    func restore(pending: [UInt8], isClosing: Bool) {
        queue.append(pending)
        self.isClosing = isClosing
    }

    /// As `connect`, with nothing written before the loop runs.
    func reconnect(_ descriptor: SharedDescriptor?, loop: any StdioLoop) {
        guard let descriptor, !(isClosing && queue.isEmpty) else { return shut() }
        target = descriptor
        watch(with: loop)
    }

    func write(_ bytes: some Sequence<UInt8>) {
        guard isOpen, !isClosing else { return }
        queue.append(bytes)
        flush()
    }

    /// Closes when everything taken so far was read by the process.
    ///
    /// A terminal has no end of input: the process sees nothing.
    func close() {
        guard !isTerminal else { return }
        isClosing = true
        if queue.isEmpty, isWatched { shut() }
    }

    /// Closes at once.
    func shut() {
        unwatch()
        isOpen = false
        queue.removeAll()
        target = nil
        owner.stdinWasShut()
    }

    override func ready(_ events: Readiness) {
        flush()
        owner.stdinRoomChanged()
    }

    private func flush() {
        var isBroken = false
        while isWatched, !queue.isEmpty, !isBroken {
            var isFull = false
            unsafe queue.withBytes { bytes in
                switch unsafe send(bytes) {
                case .moved(let count): return count
                case .wouldBlock: isFull = true
                case .ended: isBroken = true
                }
                return 0
            }
            if isFull { break }
        }
        if isBroken || (isWatched && isClosing && queue.isEmpty) {
            shut()
        } else {
            interestMayHaveChanged()
        }
    }

    private func send(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        guard let target else { return .ended }
        // Any other failure: the process' side is gone.
        do { return try unsafe target.tryWrite(bytes) } catch { return .ended }
    }
}
