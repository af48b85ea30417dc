internal import Kernel
internal import Seccomp

/// How the set-up of an additional process gets it past the filter that the set-up has loaded already.
enum ExecCloning {
    /// By clone3.
    case newer
    /// By clone, as the filter knows clone3 not or would kill for it.
    case older
    /// The process is cloned without the filter and loads it itself, just before its program.
    ///
    /// Only where the filter lets the set-up's last calls not pass. It is the weaker way: until then a process of the
    /// container that may look into every other could have this one make calls that the filter forbids.
    case beforeFilter

    /// CLONE_PARENT | CLONE_PIDFD | SIGCHLD.
    private static let flags: UInt64 = 0x8000 | 0x1000 | 17

    /// Asks the filter itself what it would do.
    ///
    /// - Parameters:
    ///   - program: The filter.
    ///   - loadsLast: Whether the process could load it without rights that its program does not have.
    /// - Throws: `unsupported` when there is no way.
    init(_ program: SeccompProgram, loadsLast: Bool) throws(SandboxError) {
        let calls: [(name: String, arguments: [UInt64])] = [
            ("clone3", []), ("clone", [Self.flags]), ("close_range", []), ("close", []), ("sendmsg", []),
            ("exit_group", []),
        ]
        let forecast = program.forecast(calls)
        let (newer, older) = (forecast[0], forecast[1])
        if loadsLast {
            // Nobody needs to answer for the set-up's calls then.
            let passes = !forecast[2...].contains { $0 != .made }
            self = passes && newer == .made ? .newer : passes && older == .made ? .older : .beforeFilter
            return
        }
        guard newer == .stopped else {
            self = .newer
            return
        }
        guard older != .stopped else {
            throw .refused(
                .seccomp,
                "plan",
                "linux.seccomp",
                "it forbids clone3 and clone, so that a further process is only possible with noNewPrivileges or CAP_SYS_ADMIN",
                code: .unsupported
            )
        }
        self = .older
    }
}
