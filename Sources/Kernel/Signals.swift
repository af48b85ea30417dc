internal import CKernel
internal import Glibc

/// A signal number.
public struct Signal: RawRepresentable, Hashable, Sendable {
    /// 1 to 64.
    public let rawValue: Int32

    /// Wraps a number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// SIGHUP.
    public static let hangUp = Signal(rawValue: 1)
    /// SIGINT.
    public static let interrupt = Signal(rawValue: 2)
    /// SIGQUIT.
    public static let quit = Signal(rawValue: 3)
    /// SIGABRT.
    public static let abort = Signal(rawValue: 6)
    /// SIGKILL.
    public static let kill = Signal(rawValue: 9)
    /// SIGUSR1.
    public static let user1 = Signal(rawValue: 10)
    /// SIGUSR2.
    public static let user2 = Signal(rawValue: 12)
    /// SIGPIPE.
    public static let pipe = Signal(rawValue: 13)
    /// SIGTERM.
    public static let terminate = Signal(rawValue: 15)
    /// SIGCHLD.
    public static let child = Signal(rawValue: 17)
    /// SIGCONT.
    public static let resume = Signal(rawValue: 18)
    /// SIGSTOP.
    public static let stop = Signal(rawValue: 19)
    /// SIGWINCH.
    public static let windowChange = Signal(rawValue: 28)
}

extension Signal {
    private static let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM",
        "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH",
        "IO",
        "PWR", "SYS",
    ]
    private static let realTimeMinimum: Int32 = 34

    /// Reads `15`, `TERM`, `SIGTERM`, `sigterm`, `RTMIN`, `RTMIN+3` or `RTMAX-2`.
    ///
    /// - Parameter text: the name or number; nil results for anything else, and for numbers outside 1 to 64.
    public init?(name text: String) {
        if let number = Int32(text) {
            guard (1...64).contains(number), !text.hasPrefix("+") else { return nil }
            self.init(rawValue: number)
            return
        }
        var name = text.uppercased()
        if name.hasPrefix("SIG") { name.removeFirst(3) }
        if let index = Signal.names.firstIndex(of: name) {
            self.init(rawValue: Int32(index) + 1)
        } else if name.hasPrefix("RTMIN"), let offset = Signal.offset(name, sign: "+") {
            self.init(rawValue: Signal.realTimeMinimum + offset)
        } else if name.hasPrefix("RTMAX"), let offset = Signal.offset(name, sign: "-") {
            self.init(rawValue: 64 - offset)
        } else if let alias = ["IOT": 6, "CLD": 17, "POLL": 29][name] {
            self.init(rawValue: Int32(alias))
        } else {
            return nil
        }
    }

    private static func offset(_ name: String, sign: Character) -> Int32? {
        let rest = name.dropFirst(5)
        if rest.isEmpty { return 0 }
        guard rest.first == sign, let value = Int32(rest.dropFirst()), (0...30).contains(value) else { return nil }
        return value
    }

    /// For example `SIGTERM` or `SIGRTMIN+3`.
    public var name: String {
        if Signal.names.indices.contains(Int(rawValue) - 1) { return "SIG" + Signal.names[Int(rawValue) - 1] }
        return rawValue == Signal.realTimeMinimum ? "SIGRTMIN" : "SIGRTMIN+\(rawValue - Signal.realTimeMinimum)"
    }
}

/// A set of signals.
public struct SignalSet: Hashable, Sendable {
    var bits: UInt64

    /// No signal.
    public static let none = SignalSet(bits: 0)
    /// Every signal; the kernel leaves SIGKILL and SIGSTOP out.
    public static let all = SignalSet(bits: .max)

    init(bits: UInt64) { self.bits = bits }

    /// The set of some signals.
    ///
    /// - Parameter signals: its members.
    public init(_ signals: [Signal]) { bits = signals.reduce(0) { $0 | 1 << UInt64($1.rawValue - 1) } }

    /// Whether a signal is in the set.
    public func contains(_ signal: Signal) -> Bool { bits & (1 << UInt64(signal.rawValue - 1)) != 0 }
}

/// What happens to the signals of this process.
public enum Signals {
    /// Sets which signals the calling thread (and threads and children made by it later) holds back.
    ///
    /// - Parameter set: the signals.
    /// - Returns: what was held back before.
    @discardableResult
    public static func block(_ set: SignalSet) -> SignalSet { change(how: SIG_BLOCK, set) }

    /// Sets exactly which signals the calling thread holds back.
    ///
    /// - Parameter set: the signals.
    /// - Returns: what was held back before.
    @discardableResult
    public static func setMask(_ set: SignalSet) -> SignalSet { change(how: SIG_SETMASK, set) }

    private static func change(how: Int32, _ set: SignalSet) -> SignalSet {
        var old: UInt64 = 0
        // Cannot fail: the action is one of the kernel's and both sets are ours.
        _ = unsafe ck_sigmask(how, set.bits, &old)
        return SignalSet(bits: old)
    }

    /// Ignores a signal in the whole process; exec keeps that, so `resetAll` or `Spawn` undoes it for children.
    ///
    /// - Parameter signal: for example `.pipe`.
    public static func ignore(_ signal: Signal) { _ = ck_signal_ignore(signal.rawValue) }

    /// Gives a signal its default action back.
    ///
    /// - Parameter signal: which.
    public static func restoreDefault(_ signal: Signal) { _ = ck_signal_default(signal.rawValue) }

    /// Gives every signal its default action back; for a forked child before exec.
    public static func resetAll() { ck_reset_signals() }

    /// Sends a signal to a process by number; only for the caller's own unreaped children and for itself.
    ///
    /// - Parameters:
    ///   - signal: which.
    ///   - pid: whom.
    /// - Throws: `KernelError`.
    public static func send(_ signal: Signal, toChild pid: Int32) throws(KernelError) {
        try system("signal process", String(pid)) { kill(pid, signal.rawValue) }
    }

    /// Sends a signal to the process group that a child leads.
    ///
    /// - Parameters:
    ///   - signal: which.
    ///   - pid: an unreaped child of the caller, whose number is the group's and cannot be used again before.
    /// - Throws: `KernelError`; errno is `.noProcess` when the child leads no group.
    public static func send(_ signal: Signal, toGroupOfChild pid: Int32) throws(KernelError) {
        guard pid > 1 else { throw .failed("signal process group", String(pid), .invalid) }
        try system("signal process group", String(pid)) { kill(-pid, signal.rawValue) }
    }
}

/// Signals as a readable descriptor (`signalfd(2)`).
public struct SignalFd: ~Copyable, DescriptorHolder, Sendable {
    private let descriptor: Descriptor

    /// The number, readable when a signal waits.
    public var raw: RawDescriptor { descriptor.raw }

    /// Blocks the signals in the calling thread and makes a non-blocking descriptor that receives them.
    ///
    /// - Parameter set: the signals.
    /// - Throws: `KernelError`.
    public init(_ set: SignalSet) throws(KernelError) {
        Signals.block(set)
        descriptor = Descriptor(
            adopting: try system("make signalfd") { ck_signalfd(-1, set.bits, O_CLOEXEC | O_NONBLOCK) }
        )
    }

    /// Takes one waiting signal.
    ///
    /// - Returns: the signal and who sent it; nil when none waits.
    /// - Throws: `KernelError`.
    public func next() throws(KernelError) -> (signal: Signal, sender: Int32)? {
        let bytes: [UInt8]
        do throws(KernelError) { bytes = try read(upTo: 128) } catch  where error.errno == .wouldBlock { return nil }
        guard bytes.count == 128 else { return nil }
        // struct signalfd_siginfo: signal number at 0, sender's pid at 12.
        return (Signal(rawValue: bytes.littleEndianInt32(at: 0)), bytes.littleEndianInt32(at: 12))
    }
}

extension [UInt8] {
    func littleEndianInt32(at offset: Int) -> Int32 {
        Int32(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(self[offset + $1]) << UInt32(8 * $1) })
    }
}
