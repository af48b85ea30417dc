import Client
import DockerTypes
import Kernel

/// The user's end of a process: keys in, output out, signals passed on, until the process ends or the user leaves.
///
/// The connection leads to the process's shim, so it lives on when the manager dies. One loop over poll(2), one thread.
final class Session {
    /// What a session is about.
    struct Subject {
        /// Whether the process has a terminal, so that its output is one unframed stream.
        var isTerminal: Bool
        /// Whether to pass on standard input.
        var hasInput: Bool
        /// Keys that leave the session.
        var detachKeys: DetachKeys
        /// Passes a signal on; nil leaves this process to its signals.
        var signal: ((Signal) throws -> Void)?
        /// Tells the process the size of its terminal.
        var resize: ((Pty.Size) throws -> Void)?
    }

    /// How a session came out.
    enum Outcome {
        /// The process ended with this status.
        case status(Int32)
        /// The user left it.
        case detached
        /// The output ended, and nobody was to wait for the status.
        case ended
        /// The output is not whole.
        case cut
    }

    /// How long nothing may come of output that has not ended, once the end of the process is known.
    ///
    /// The shim itself takes in what is left for two seconds. What comes slowly, since it is read slowly, may take any time.
    private static let drain = Duration.seconds(10)

    private let connection: HTTPConnection
    private var subject: Subject
    private let waiter: ExitWaiter?
    private var splitter = StdcopySplitter()
    /// What the other side says of output that is not to come any more.
    private var loss: [UInt8] = []
    /// The marks so far: the other side promises a second one for output that is whole.
    private var marks: [UInt8] = []
    private var terminal: UserTerminal?

    private var pending: [UInt8] = []
    private var isInputOpen: Bool
    private var isOutputOpen = true
    private var isDetached = false
    private var status: Int32?
    /// Since when the status is known, and nothing has come of the output.
    private var quietSince: Timestamp?
    private var failedSignals = 0

    /// A session over an upgraded connection.
    ///
    /// `waiter` learns the exit status; without one the session ends with its output.
    init(_ connection: HTTPConnection, _ subject: Subject, waiter: ExitWaiter?) {
        self.connection = connection
        self.subject = subject
        self.waiter = waiter
        isInputOpen = subject.hasInput
    }

    /// Sets the terminal up and runs until the end.
    ///
    /// `begin` is called when everything is ready, before the first byte is read.
    func run(early: [UInt8], begin: () throws -> Void = {}) throws -> Outcome {
        let signals = try SignalFd(SignalSet(Self.caught))
        if subject.isTerminal, subject.hasInput { terminal = try UserTerminal.makeRaw() }
        defer { terminal?.restore() }
        try begin()
        if subject.isTerminal { resize() }
        try show(early)
        while !isFinished {
            var set = PollSet()
            if isOutputOpen { set.add(connection.descriptor, pending.isEmpty ? .readable : [.readable, .writable]) }
            if isInputOpen, pending.isEmpty { set.add(0, .readable) }
            set.add(signals.raw, .readable)
            if let descriptor = waiter?.descriptor, status == nil { set.add(descriptor, .readable) }
            let ready = try set.wait(timeout: timeout)
            for (descriptor, events) in ready {
                if descriptor == connection.descriptor { try transfer(events) }
                if descriptor == 0 { try readInput() }
                if descriptor == signals.raw { while let next = try signals.next() { try handle(next.signal) } }
                if descriptor == waiter?.descriptor { try wait() }
            }
            if waiter?.nextAttempt != nil { try wait() }
        }
        if isDetached { return .detached }
        if isOutputOpen, isStuck {
            Output.note("berth: the output has not ended with its process, and its rest may be lost")
        }
        if isCut || isOutputOpen && isStuck { return .cut }
        return status.map(Outcome.status) ?? .ended
    }

    /// Whether the output has ended, and not where it should have.
    private var isCut: Bool {
        !isOutputOpen && (!loss.isEmpty || isFramed && !splitter.isAtBoundary || !marks.isEmpty && !isMarkedWhole)
    }

    private var isMarkedWhole: Bool { marks.suffix(3).elementsEqual("end".utf8) }

    private var isFramed: Bool { !subject.isTerminal || connection.isFramed }

    // A stop is caught too: while the process inside has the terminal, it is the one to be stopped.
    private static let caught: [Signal] = [
        .hangUp, .interrupt, .quit, .user1, .user2, .terminate, .resume, .windowChange,
    ]

    private var isFinished: Bool {
        if isDetached { return true }
        // Who is told that there is no more waits for nothing.
        return isStuck || !isOutputOpen && (waiter == nil || status != nil || !loss.isEmpty)
    }

    private var isStuck: Bool { quietSince.map { Clock.monotonic.now - $0 > Self.drain } ?? false }

    private var timeout: Duration? {
        if quietSince != nil { return .seconds(1) }
        return waiter?.pause
    }

    // Output

    private func transfer(_ events: Readiness) throws {
        if !events.isDisjoint(with: [.writable, .error]) { try flush() }
        guard !events.isDisjoint(with: [.readable, .hangUp, .error]), let bytes = try connection.readRaw() else {
            return
        }
        if bytes.isEmpty {
            isOutputOpen = false
            isInputOpen = false
            terminal?.restore()
            if isCut {
                Output.note("berth: " + (loss.isEmpty ? Self.brokenOff : String(decoding: loss, as: UTF8.self)))
            }
        } else {
            try show(bytes)
            if status != nil { quietSince = Clock.monotonic.now }
        }
    }

    private static let brokenOff =
        "the rest of the output is lost: it broke off in the middle, as when its shim has died"

    private func show(_ bytes: [UInt8]) throws {
        guard !bytes.isEmpty else { return }
        guard isFramed else { return Output.write(bytes, to: .standardOutput) }
        for piece in try splitter.split(bytes[...]) {
            switch piece.stream {
            case .system: loss += piece.bytes
            case .mark: marks += piece.bytes
            case .error: Output.write(Array(piece.bytes), to: .standardError)
            case .input, .output, .cursor: Output.write(Array(piece.bytes), to: .standardOutput)
            }
        }
    }

    // Input

    private func readInput() throws {
        let bytes = try BorrowedDescriptor.standardInput.read(upTo: 16 * 1024)
        guard !bytes.isEmpty else {
            isInputOpen = false
            connection.closeWriting()
            return
        }
        guard subject.isTerminal else {
            pending = bytes
            return try flush()
        }
        let typed = subject.detachKeys.scan(bytes)
        pending = typed.forward
        isDetached = typed.isDetached
        try flush()
    }

    private func flush() throws {
        guard !pending.isEmpty else { return }
        guard let count = try connection.writeRaw(pending) else {
            // The process takes no more input; its output may go on.
            isInputOpen = false
            pending = []
            return
        }
        pending.removeFirst(count)
    }

    // Signals

    private func handle(_ signal: Signal) throws {
        if signal == .windowChange { return resize() }
        guard let pass = subject.signal, !subject.isTerminal else {
            if signal == .resume { return }
            leave(by: signal)
        }
        do {
            try pass(signal)
        } catch let error as ClientError where error.status == nil {
            failedSignals += 1
            if failedSignals > 1 { leave(by: signal) }
            Output.note("berth: \(signal.name) was not passed on: \(error). Once more leaves the container running")
        } catch {
            // A process that has just ended takes no signal; its end is reported in a moment.
        }
    }

    private func leave(by signal: Signal) -> Never {
        terminal?.restore()
        Output.finish(128 + signal.rawValue)
    }

    private func resize() {
        guard subject.isTerminal, let size = UserTerminal.size else { return }
        // The process may not have started yet or may have ended: its terminal keeps the size that it was created with.
        try? subject.resize?(size)
    }

    private func wait() throws {
        switch waiter?.advance() {
        case .status(let code)?:
            status = code
            quietSince = Clock.monotonic.now
        case .unknown(let why)?:
            terminal?.restore()
            throw Failure(why, code: 125)
        case nil: break
        }
    }
}
