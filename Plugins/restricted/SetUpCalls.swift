import Kernel
import Seccomp

/// What a process of ours does between loading its filter and executing its program.
///
/// That is not the workload's: it is done, whatever the filter says of it, and nobody is told. The process can be seen inside, and one with
/// the right to look into others could have it call what it likes. So only what gives nothing to anybody passes, and only as long as
/// the process is no program of the container.
enum SetUpCalls {
    /// Memory, words about itself, rights that become fewer, a session of its own, and the conversation with the shim.
    private static let harmless = Set(
        [
            "brk", "capget", "capset", "close", "getegid", "geteuid", "getgid", "getgroups", "getresgid", "getresuid",
            "getuid", "madvise", "munmap", "recvmsg", "rt_sigprocmask", "sendmsg", "setsid",
        ].compactMap { SyscallNames.number(of: $0) }
    )
    /// PR_GET_KEEPCAPS, PR_SET_KEEPCAPS, PR_CAPBSET_READ, PR_CAP_AMBIENT.
    private static let options: Set<UInt64> = [7, 8, 23, 47]
    /// PROT_EXEC, TIOCSCTTY.
    private static let (executable, becomeTerminal): (UInt64, UInt64) = (4, 0x540e)
    private static let (prctl, mmap, ioctl) = (
        SyscallNames.number(of: "prctl"), SyscallNames.number(of: "mmap"), SyscallNames.number(of: "ioctl")
    )

    /// Whether a question is about such a call, by such a process.
    static func contains(_ question: SeccompNotification) -> Bool {
        guard question.architecture == SyscallNames.native, isHarmless(question) else { return false }
        // The process is held in the call, and executes nothing meanwhile.
        guard let own = try? File.status("/proc/self/exe", follow: true),
            let its = try? File.status("/proc/\(question.pid)/exe", follow: true)
        else { return false }
        return (own.device, own.inode) == (its.device, its.inode)
    }

    private static func isHarmless(_ question: SeccompNotification) -> Bool {
        switch UInt32(bitPattern: question.call) {
        case prctl: options.contains(question.arguments[0])
        case mmap: question.arguments[2] & executable == 0
        case ioctl: question.arguments[1] == becomeTerminal && question.arguments[2] == 0
        case let number: harmless.contains(number)
        }
    }
}
