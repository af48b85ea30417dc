internal import CKernel
internal import Glibc

/// How the kernel shares processor time out to a process (`sched_setattr(2)`).
public struct SchedulingAttributes: Sendable, Hashable {
    /// The kernel's policies.
    public enum Policy: UInt32, Sendable {
        /// SCHED_OTHER, the usual one.
        case other = 0
        /// SCHED_FIFO.
        case firstInFirstOut = 1
        /// SCHED_RR.
        case roundRobin = 2
        /// SCHED_BATCH.
        case batch = 3
        /// SCHED_IDLE.
        case idle = 5
        /// SCHED_DEADLINE.
        case deadline = 6

        /// Whether it comes before all ordinary processes, by a priority.
        public var isRealTime: Bool { self == .firstInFirstOut || self == .roundRobin }
    }

    /// Which policy.
    public var policy: Policy
    /// SCHED_FLAG_*.
    public var flags: UInt64 = 0
    /// SCHED_FLAG_RESET_ON_FORK.
    public static let resetOnFork: UInt64 = 1
    /// -20 to 19, for `other` and `batch`.
    public var nice: Int32 = 0
    /// 1 to 99, for `firstInFirstOut` and `roundRobin`, else 0.
    public var priority: UInt32 = 0
    /// Nanoseconds of each period, for `deadline`.
    public var runtime: UInt64 = 0
    /// Nanoseconds after the begin of a period, for `deadline`.
    public var deadline: UInt64 = 0
    /// Nanoseconds, for `deadline`.
    public var period: UInt64 = 0

    /// Makes attributes with the kernel's defaults for a policy.
    public init(policy: Policy) { self.policy = policy }

    /// Applies the attributes.
    ///
    /// - Parameter pid: the process; 0 for the calling thread.
    /// - Throws: `KernelError`; errno is `.notPermitted` without CAP_SYS_NICE, or when the cgroup has no real-time budget,
    ///   `.busy` when a deadline cannot be guaranteed.
    public func apply(to pid: Int32 = 0) throws(KernelError) {
        var attributes = ck_scheduler(
            size: UInt32(MemoryLayout<ck_scheduler>.size),
            policy: policy.rawValue,
            flags: flags,
            nice: nice,
            priority: priority,
            runtime: runtime,
            deadline: deadline,
            period: period
        )
        try system("set scheduler") { unsafe ck_sched_setattr(pid, &attributes) }
    }
}

/// Class and level of a process's input and output (`ioprio_set(2)`).
public struct IOPriorityValue: Sendable, Hashable {
    /// The kernel's classes.
    public enum Class: Int32, Sendable {
        /// IOPRIO_CLASS_RT.
        case realTime = 1
        /// IOPRIO_CLASS_BE.
        case bestEffort = 2
        /// IOPRIO_CLASS_IDLE.
        case idle = 3
    }

    /// Which class.
    public var ioClass: Class
    /// 0 (first) to 7.
    public var level: Int32

    /// Makes a value of its parts.
    public init(_ ioClass: Class, level: Int32) {
        self.ioClass = ioClass
        self.level = level
    }

    /// Applies the value.
    ///
    /// - Parameter pid: the process; 0 for the calling thread.
    /// - Throws: `KernelError`; errno is `.notPermitted` for the real-time class without CAP_SYS_NICE.
    public func apply(to pid: Int32 = 0) throws(KernelError) {
        // IOPRIO_WHO_PROCESS; the class stands above 13 bits of level.
        try system("set I/O priority") { ck_ioprio_set(1, pid, ioClass.rawValue << 13 | level & 0x1fff) }
    }
}

/// Processors on which a process may run (`sched_setaffinity(2)`), or memory nodes.
///
/// Bit n of word n/64.
public struct NumberSet: Sendable, Hashable {
    /// The bits.
    public private(set) var words: [UInt64] = []

    /// The empty set.
    public init() {}

    /// Adds numbers.
    ///
    /// - Parameter range: not negative; the set grows to its end.
    public mutating func insert(_ range: ClosedRange<Int>) {
        let missing = range.upperBound / 64 + 1 - words.count
        if missing > 0 { words += Array(repeating: 0, count: missing) }
        for number in range { words[number / 64] |= 1 << UInt64(number % 64) }
    }

    /// Whether it has no member.
    public var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

    /// How many members it has.
    public var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// The members, smallest first.
    public var members: [Int] {
        (0..<words.count * 64).filter { words[$0 / 64] & 1 << UInt64($0 % 64) != 0 }
    }

    /// The processors on which a thread may run.
    ///
    /// - Parameter thread: its number; 0 for the calling one.
    /// - Returns: the set, in as many words as the kernel has for it.
    /// - Throws: `KernelError`; errno is `.noProcess` when there is no such thread.
    public static func processors(of thread: Int32 = 0) throws(KernelError) -> NumberSet {
        var set = NumberSet()
        // 8192 is the most that a kernel is built for.
        set.words = Array(repeating: 0, count: 128)
        let bytes = try system("read processor affinity") { unsafe ck_sched_getaffinity(thread, 1024, &set.words) }
        set.words.removeLast(set.words.count - (Int(bytes) + 7) / 8)
        return set
    }

    /// Binds a thread to these processors, as far as its cpuset has them.
    ///
    /// - Parameter thread: its number; 0 for the calling one.
    /// - Throws: `KernelError`; errno is `.invalid` when none of them is usable.
    public func bindProcessors(of thread: Int32 = 0) throws(KernelError) {
        try system("set processor affinity") { unsafe ck_sched_setaffinity(thread, words.count * 8, words) }
    }
}

/// Where the memory of a process comes from (`set_mempolicy(2)`).
public struct MemoryPolicy: Sendable, Hashable {
    /// MPOL_* mode together with MPOL_F_* flags.
    public var mode: Int32
    /// The nodes; empty for modes without.
    public var nodes: NumberSet

    /// Makes a policy of its parts.
    public init(mode: Int32, nodes: NumberSet) {
        self.mode = mode
        self.nodes = nodes
    }

    /// Applies the policy to the calling thread; exec keeps it.
    ///
    /// - Throws: `KernelError`; errno is `.invalid` for nodes that the thread may not use, or a mode unknown here.
    public func apply() throws(KernelError) {
        let words = nodes.words.map { UInt(truncatingIfNeeded: $0) }
        // The kernel takes one bit less than it is told.
        let bits = UInt(words.count * 64 + 1)
        try system("set memory policy") { unsafe ck_set_mempolicy(mode, words, bits) }
    }
}

/// The execution domain of the calling process (`personality(2)`).
public enum ExecutionDomain {
    /// Sets the domain; exec keeps it.
    ///
    /// - Parameter value: PER_* of personality(2).
    /// - Throws: `KernelError`.
    public static func set(_ value: UInt) throws(KernelError) {
        try system("set execution domain") { ck_personality(value) }
    }
}
