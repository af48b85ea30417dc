import Kernel
import Seccomp

/// One processor for processes whose every call is asked about, and for who answers them.
///
/// Until a question is taken, a signal interrupts the call, also one that never fails so: a shell whose sigprocmask(2) was left out keeps its
/// signals blocked for ever. The shim comes before all ordinary processes, but on another processor it still has to be woken there. On the same
/// one it takes a question before anybody of the container does anything else, such as ending.
///
/// Programs are told of the processors that they would have had, so that they start as many threads as they always do.
final class SharedProcessor {
    private var number: Int?
    /// What the container's first program would have had; nil where only a predecessor knew.
    private var granted: NumberSet?

    private static let getAffinity = SyscallNames.number(of: "sched_getaffinity")

    /// Whether a process is to be gathered although its program runs already: a successor meets those of its predecessor.
    var isUnknown: Bool { number == nil }

    /// Binds a process that waits for an answer, and the shim, to one processor.
    ///
    /// Its children inherit that.
    ///
    /// - Throws: `KernelError`; its processors are as they were.
    func gather(_ thread: Int32) throws(KernelError) {
        let own = try NumberSet.processors(of: thread)
        let members = own.members
        guard !members.isEmpty else { return }
        if granted == nil, members.count > 1 { granted = own }
        // Several containers that are learned share the machine.
        let chosen = number ?? members[Int(thread) % members.count]
        // One that may not run there stays where it is.
        guard members.contains(chosen) else { return }
        var one = NumberSet()
        one.insert(chosen...chosen)
        if number == nil {
            try one.bindProcessors()
            number = chosen
        }
        if members != [chosen] { try one.bindProcessors(of: thread) }
    }

    /// Answers who asks for his own processors with those that he would have without us.
    ///
    /// - Returns: How many bytes the kernel would have filled; nil when its own answer is right.
    func answer(_ question: SeccompNotification, from listener: RawDescriptor) -> Int64? {
        guard question.architecture == SyscallNames.native, UInt32(bitPattern: question.call) == Self.getAffinity,
            let granted, let number, Self.asksForItself(question),
            let its = try? NumberSet.processors(of: question.pid), its.members == [number]
        else { return nil }
        let bytes = granted.words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
        guard question.arguments[1] >= bytes.count, question.arguments[1] % 8 == 0,
            let memory = try? File.open("/proc/\(question.pid)/mem", .write),
            // Until now the number was nobody else's.
            question.isPending(at: listener),
            (try? memory.writeAll(bytes, at: Int64(bitPattern: question.arguments[2]))) != nil
        else { return nil }
        return Int64(bytes.count)
    }

    /// By no number, or by the thread's own, which is that of the innermost namespace.
    private static func asksForItself(_ question: SeccompNotification) -> Bool {
        let asked = Int32(truncatingIfNeeded: question.arguments[0])
        guard asked != 0 else { return true }
        guard let status = try? File.readText("/proc/\(question.pid)/status", limit: 4096),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("NSpid:") })
        else { return false }
        return line.split(separator: "\t").last.flatMap { Int32($0) } == asked
    }
}
