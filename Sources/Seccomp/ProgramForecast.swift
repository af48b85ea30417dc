internal import CLibSeccomp

extension SeccompProgram {
    /// What a filter does with a system call, as far as a caller can go on from it.
    public enum Forecast: Sendable {
        /// It is made.
        case made
        /// A listener is asked.
        case asked
        /// It fails, is handed to a tracer, or ends the process.
        case stopped
    }

    /// Forecasts what becomes of calls of this machine's own convention under this filter.
    ///
    /// - Parameter calls: Names, and the arguments that are known; the others count as 0.
    /// - Returns: A forecast for each call; one that this machine does not have is stopped.
    public func forecast(_ calls: [(name: String, arguments: [UInt64])]) -> [Forecast] {
        let interpreter = BPFInterpreter(self)
        let architecture = seccomp_arch_native()
        return calls.map { call in
            let number = unsafe seccomp_syscall_resolve_name_arch(architecture, call.name)
            guard number >= 0 else { return .stopped }
            let made = SystemCall(architecture: architecture, number: UInt32(number), arguments: call.arguments)
            return switch (interpreter.verdict(on: made) ?? Verdict.killProcess) & 0xffff_0000 {
            // SECCOMP_RET_ALLOW, SECCOMP_RET_LOG
            case 0x7fff_0000, 0x7ffc_0000: .made
            // SECCOMP_RET_USER_NOTIF
            case 0x7fc0_0000: .asked
            default: .stopped
            }
        }
    }
}
