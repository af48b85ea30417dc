internal import CKernel
internal import Glibc

/// One question of a filter to its listener (`seccomp_unotify(2)`).
public struct SeccompNotification: Sendable, Hashable {
    /// Names the question until it is answered.
    public let id: UInt64
    /// Who is held, in the listener's PID namespace; 0 from another one.
    public let pid: Int32
    /// Number of the system call.
    public let call: Int32
    /// AUDIT_ARCH_* of the calling convention.
    public let architecture: UInt32
    /// The six argument registers.
    public let arguments: [UInt64]

    /// Takes the next question.
    ///
    /// - Parameter listener: the filter's descriptor; readable when a question waits, hung up when no process has the filter any more.
    /// - Returns: the question; nil when who asked was killed meanwhile.
    /// - Throws: `KernelError`.
    public static func next(from listener: RawDescriptor) throws(KernelError) -> SeccompNotification? {
        // struct seccomp_notif: id, pid, flags, then struct seccomp_data.
        var words = [UInt64](repeating: 0, count: 10)
        do throws(KernelError) {
            try system("take seccomp notification") { unsafe ck_ioctl(listener, 0xc050_2100, &words) }
        } catch  where error.errno == .noEntry { return nil }
        return SeccompNotification(
            id: words[0],
            pid: Int32(truncatingIfNeeded: words[1]),
            call: Int32(truncatingIfNeeded: words[2]),
            architecture: UInt32(truncatingIfNeeded: words[2] >> 32),
            arguments: Array(words[4..<10])
        )
    }

    /// What happens to the call.
    public enum Answer: Sendable, Hashable {
        /// It returns this without being made.
        case value(Int64)
        /// It fails with this without being made.
        case failure(Errno)
        /// It is made. No decision about safety: what the arguments point to may change meanwhile.
        case proceed
    }

    /// Answers the question.
    ///
    /// - Parameters:
    ///   - answer: what happens.
    ///   - listener: where the question came from.
    /// - Throws: `KernelError`; errno is `.noEntry` when who asked was killed.
    public func answer(_ answer: Answer, to listener: RawDescriptor) throws(KernelError) {
        // struct seccomp_notif_resp: id, value, negative errno, flags.
        var words = [id, 0, 0]
        switch answer {
        case .value(let value): words[1] = UInt64(bitPattern: value)
        case .failure(let errno): words[2] = UInt64(UInt32(bitPattern: -errno.rawValue))
        case .proceed: words[2] = 1 << 32
        }
        try system("answer seccomp notification") { unsafe ck_ioctl(listener, 0xc018_2101, &words) }
    }
}
