import Kernel
import Sandbox

/// Waits for a process that the caller sees as this command: passes signals on, and shows its terminal.
final class Foreground {
    private let signals: SignalFd
    private var settings: TerminalMode?

    /// Holds signals back from now on, so that none ends this command before there is somebody to pass it on to.
    init() throws(RuntimeError) {
        signals = try kernel { () throws(KernelError) in try SignalFd(.all) }
    }

    /// Waits for the end.
    ///
    /// - Parameters:
    ///   - process: A child of this process.
    ///   - terminal: The other end of its terminal, nil without one.
    /// - Returns: Its exit status, 128 plus the signal when one ended it.
    /// - Throws: What waiting or copying gives.
    func wait(for process: SandboxProcess, terminal: SharedDescriptor?) throws(RuntimeError) -> Int32 {
        defer { restore() }
        return try kernel { () throws(KernelError) in
            var relay = try terminal.map { terminal throws(KernelError) in try TerminalRelay(terminal) }
            if terminal != nil { try makeRaw() }
            while true {
                var set = PollSet()
                set.add(signals.raw, .readable)
                set.add(process.pidfd.raw, .readable)
                relay?.prepare(&set)
                for event in try set.wait(timeout: nil) {
                    if event.descriptor == signals.raw { try passOn(to: process, terminal) }
                    try relay?.handle(event.descriptor, event.events)
                }
                guard let status = try Pidfd.reapIfEnded(process.pidfd.raw) else { continue }
                try relay?.drain()
                return status.number
            }
        }
    }

    private func passOn(to process: SandboxProcess, _ terminal: SharedDescriptor?) throws(KernelError) {
        while let signal = try signals.next()?.signal {
            switch signal {
            case .child: continue
            case .windowChange:
                if let terminal {
                    try TerminalRelay.copySize(to: terminal)
                } else {
                    _ = try Pidfd.send(signal, to: process.pidfd.raw)
                }
            default: _ = try Pidfd.send(signal, to: process.pidfd.raw)
            }
        }
    }

    private func makeRaw() throws(KernelError) {
        guard BorrowedDescriptor.standardInput.isTerminal else { return }
        let current = try TerminalMode(of: 0)
        try current.raw.apply(to: 0)
        settings = current
    }

    private func restore() {
        // The terminal may be gone; then there is nothing to restore.
        try? settings?.apply(to: 0)
        settings = nil
    }
}

/// Copies between the caller's streams and a terminal, without ever waiting for the terminal.
struct TerminalRelay {
    private let terminal: SharedDescriptor
    private var pending: ArraySlice<UInt8> = []
    private var hasInput = true
    private var hasOutput = true

    private static let size = 1 << 14

    init(_ terminal: SharedDescriptor) throws(KernelError) {
        self.terminal = terminal
        try terminal.setNonBlocking()
        try Self.copySize(to: terminal)
    }

    static func copySize(to terminal: SharedDescriptor) throws(KernelError) {
        guard BorrowedDescriptor.standardInput.isTerminal else { return }
        try Pty.resize(terminal.raw, to: Pty.size(of: 0))
    }

    func prepare(_ set: inout PollSet) {
        if hasOutput { set.add(terminal.raw, pending.isEmpty ? .readable : [.readable, .writable]) }
        if hasInput, hasOutput, pending.isEmpty { set.add(0, .readable) }
    }

    mutating func handle(_ descriptor: RawDescriptor, _ events: Readiness) throws(KernelError) {
        if descriptor == 0 {
            pending = try BorrowedDescriptor.standardInput.read(upTo: Self.size)[...]
            if pending.isEmpty { hasInput = false }
        }
        if descriptor == terminal.raw, !events.isDisjoint(with: [.readable, .hangUp, .error]) { try readOnce() }
        try writePending()
    }

    /// What the process has written before its end.
    mutating func drain() throws(KernelError) {
        while hasOutput, try readOnce() {}
    }

    @discardableResult
    private mutating func readOnce() throws(KernelError) -> Bool {
        do throws(KernelError) {
            let bytes = try terminal.read(upTo: Self.size)
            if !bytes.isEmpty {
                try BorrowedDescriptor.standardOutput.writeAll(bytes)
                return true
            }
        } catch  where error.errno == .wouldBlock {
            return false
        } catch  where error.errno == .inputOutput || error.errno == .brokenPipe {}
        // Nobody has the terminal open any more, or nobody reads what it shows.
        hasOutput = false
        return false
    }

    private mutating func writePending() throws(KernelError) {
        while hasOutput, !pending.isEmpty {
            let transfer = try unsafe pending.withUnsafeBufferPointer { (bytes) throws(KernelError) in
                // Sound: the slice lives through the call.
                try unsafe terminal.tryWrite(UnsafeRawBufferPointer(bytes))
            }
            switch transfer {
            case .moved(let count): pending = pending.dropFirst(count)
            case .wouldBlock: return
            case .ended: hasOutput = false
            }
        }
    }
}
