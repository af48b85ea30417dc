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
    /// Threads that were let go.
    private var released: Set<Int32> = []

    /// As many as a kernel is built for.
    private static let all: NumberSet = {
        var set = NumberSet()
        set.insert(0...8191)
        return set
    }()

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
        if number == nil {
            try Self.one(chosen).bindProcessors()
            number = chosen
        }
        if members != [chosen] { try Self.one(chosen).bindProcessors(of: thread) }
    }

    /// Lets a thread that asks for its own processors go where it would be without us, so that the kernel tells it of those.
    ///
    /// It is held again when it makes its next call.
    func letGo(_ question: SeccompNotification) {
        guard question.architecture == SyscallNames.native, UInt32(bitPattern: question.call) == Self.getAffinity,
            let number, Self.asksForItself(question),
            // Who has bound itself elsewhere is told of that.
            let its = try? NumberSet.processors(of: question.pid), its.members == [number],
            // Its cpuset has the last word.
            (try? (granted ?? Self.all).bindProcessors(of: question.pid)) != nil
        else { return }
        released.insert(question.pid)
    }

    /// Binds a thread again that was let go.
    func hold(_ thread: Int32) {
        guard !released.isEmpty, released.remove(thread) != nil, let number else { return }
        // One that may not run there any more stays where it is.
        try? Self.one(number).bindProcessors(of: thread)
    }

    private static func one(_ number: Int) -> NumberSet {
        var set = NumberSet()
        set.insert(number...number)
        return set
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
