internal import Kernel

/// Moves what a process writes, from its pipe or terminal to the log and to the clients.
///
/// A client that does not keep up goes on from the log. Where there is none, as for an exec session, reading stops, so that the pipe
/// fills and the session's process waits, as it would for a slow terminal; other processes are not affected.
final class OutputPump: WatchedSource {
    /// Reads in a row before other descriptors get their turn.
    private static let burst = 4
    /// How much a process may have left behind at its exit that is taken whether clients keep up or not: more than
    /// the largest pipe an ordinary user can make.
    private static let farewellByteCount = 1 << 20

    let stream: StdioStream
    let source: SharedDescriptor?
    private unowned let owner: ProcessStdio
    /// Bytes that are still read without regard to clients.
    private(set) var allowance = 0
    private(set) var hasEnded = false

    init(_ source: SharedDescriptor, stream: StdioStream, owner: ProcessStdio) {
        self.source = source
        self.stream = stream
        self.owner = owner
    }

    /// Goes on where another one has stopped; without a source the output has ended.
    init(_ source: SharedDescriptor?, stream: StdioStream, allowance: Int, owner: ProcessStdio) {
        self.source = source
        self.stream = stream
        self.owner = owner
        self.allowance = allowance
        hasEnded = source == nil
    }

    override var descriptor: RawDescriptor { source?.raw ?? -1 }

    override var interest: Readiness? {
        !hasEnded && room > 0 ? .readable : nil
    }

    /// Bytes to read at most now.
    ///
    /// With little room at a slow client nothing is read: many small reads would make many small records of the log.
    private var room: Int {
        let room = max(owner.clientRoom, allowance)
        return room < ClientLimit.leastRoom ? 0 : room
    }

    override func ready(_ events: Readiness) {
        pump(atMost: Self.burst)
    }

    /// The process is gone: takes what it left, though clients may be slow.
    func processExited() {
        allowance = Self.farewellByteCount
        pump(atMost: .max)
        interestMayHaveChanged()
    }

    /// Takes what is there and gives up on more.
    func abandon() {
        guard !hasEnded else { return }
        processExited()
        if !hasEnded { end() }
    }

    /// Reads until nothing is there, the clients are full, or it is somebody else's turn.
    private func pump(atMost reads: Int) {
        guard !hasEnded else { return }
        let buffer = unsafe owner.buffers.input
        var held = 0
        var count = 0
        reading: while count < reads {
            count += 1
            let wanted = min(IOBuffers.readByteCount, room)
            guard wanted > 0 else { break }
            let target = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[held..<(held + wanted)])
            switch unsafe read(into: target) {
            case .moved(let taken):
                allowance = max(0, allowance - taken)
                unsafe owner.deliver(UnsafeRawBufferPointer(rebasing: target[..<taken]), stream: stream)
                let all = unsafe UnsafeRawBufferPointer(rebasing: buffer[..<(held + taken)])
                // A full read promises more at once: the line it cut waits for its end.
                let mayHold = taken == IOBuffers.readByteCount && count < reads
                held = unsafe owner.log?.append(all, stream: stream, mayHold: mayHold) ?? 0
                if held > 0 {
                    unsafe buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: all.suffix(held)))
                } else {
                    owner.logged()
                }
            case .wouldBlock:
                break reading
            case .ended:
                unsafe flush(buffer, &held)
                end()
                return
            }
        }
        unsafe flush(buffer, &held)
        interestMayHaveChanged()
    }

    private func flush(_ buffer: UnsafeMutableRawBufferPointer, _ held: inout Int) {
        guard held > 0 else { return }
        unsafe owner.log?.append(UnsafeRawBufferPointer(rebasing: buffer[..<held]), stream: stream)
        held = 0
        owner.logged()
    }

    private func read(into target: UnsafeMutableRawBufferPointer) -> Transfer {
        // Any other failure of a pipe or terminal means that nothing more will come from it.
        guard let source else { return .ended }
        do { return try unsafe source.tryRead(into: target) } catch { return .ended }
    }

    private func end() {
        hasEnded = true
        unwatch()
        owner.outputEnded(stream)
    }
}
