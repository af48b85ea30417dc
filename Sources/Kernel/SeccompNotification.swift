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

    private init(id: UInt64, pid: Int32, call: Int32, architecture: UInt32, arguments: [UInt64]) {
        (self.id, self.pid, self.call) = (id, pid, call)
        (self.architecture, self.arguments) = (architecture, arguments)
    }

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

    /// How many words of a `SharedFile` a question takes.
    public static let wordCount = 10

    /// The question in words that `take` has filled; nil when there is none, for a question's name is never 0.
    ///
    /// - Parameters:
    ///   - memory: What holds the words.
    ///   - index: Of the first word.
    public init?(_ memory: SharedFile, at index: Int) {
        guard memory[index] != 0 else { return nil }
        id = memory[index]
        pid = Int32(truncatingIfNeeded: memory[index + 1])
        call = Int32(truncatingIfNeeded: memory[index + 2])
        architecture = UInt32(truncatingIfNeeded: memory[index + 2] >> 32)
        arguments = (4..<10).map { memory[index + $0] }
    }

    /// Takes the next question where a successor finds it, should the caller end before it has answered: the kernel asks only once.
    ///
    /// - Parameters:
    ///   - listener: As for `next`.
    ///   - memory: `wordCount` words of it are filled.
    ///   - index: Of the first of them.
    /// - Returns: the question; nil when who asked was killed meanwhile.
    /// - Throws: `KernelError`.
    public static func take(
        from listener: RawDescriptor,
        into memory: SharedFile,
        at index: Int
    ) throws(KernelError) -> SeccompNotification? {
        // The kernel wants zeros. The name goes first: without it there is no question in the words.
        for offset in 0..<wordCount { memory[index + offset] = 0 }
        do throws(KernelError) {
            try system("take seccomp notification") {
                // The pointer is used only inside of the closure.
                unsafe memory.fill(index, wordCount) { words in unsafe ck_ioctl(listener, 0xc050_2100, words) }
            }
        } catch  where error.errno == .noEntry { return nil }
        return SeccompNotification(memory, at: index)
    }

    /// Whether who asked waits still: until then its number is nobody else's.
    ///
    /// - Parameter listener: where the question came from.
    /// - Returns: false when it was killed, or answered.
    public func isPending(at listener: RawDescriptor) -> Bool {
        var id = id
        return unsafe ck_ioctl(listener, 0x4008_2102, &id) == 0
    }

    /// Lets who asks and who answers run on one processor in turn, which is faster and steadier than on two (Linux 6.6).
    ///
    /// - Parameter listener: the filter's descriptor.
    /// - Returns: false where the kernel does not know it.
    @discardableResult
    public static func wakeInTurn(_ listener: RawDescriptor) -> Bool {
        ck_ioctl_value(listener, 0x4008_2104, 1) == 0
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
