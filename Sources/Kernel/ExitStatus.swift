internal import CKernel

/// How a process ended.
public enum ExitStatus: Hashable, Sendable {
    /// It left with a code.
    case exited(UInt8)
    /// A signal ended it.
    case signaled(Int32, core: Bool)

    /// Reads a wait status as wait(2) reports it.
    ///
    /// - Parameter waitStatus: of a process that has ended.
    public init(waitStatus: Int32) {
        self =
            ck_wait_exited(waitStatus) != 0
            ? .exited(UInt8(truncatingIfNeeded: ck_wait_exit_status(waitStatus)))
            : .signaled(ck_wait_term_signal(waitStatus), core: ck_wait_core_dumped(waitStatus) != 0)
    }

    /// The status as wait(2) reports it.
    public var waitStatus: Int32 {
        switch self {
        case .exited(let code): Int32(code) << 8
        case .signaled(let signal, let core): signal | (core ? 0x80 : 0)
        }
    }

    /// The number that shells and clients see: the code, or 128 plus the signal.
    public var number: Int32 {
        switch self {
        case .exited(let code): Int32(code)
        case .signaled(let signal, _): 128 + signal
        }
    }
}
