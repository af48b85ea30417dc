/// What a group uses, at one moment.
public struct CgroupStatistics: Hashable, Sendable {
    /// CPU time and throttling.
    public struct CPU: Hashable, Sendable {
        /// CPU time used, in nanoseconds.
        public var usage: UInt64 = 0
        /// Of it in programs, in nanoseconds.
        public var user: UInt64 = 0
        /// Of it in the kernel, in nanoseconds.
        public var system: UInt64 = 0
        /// CPU time by processor, in nanoseconds; empty where not counted (v2).
        public var perCPU: [UInt64] = []
        /// Enforcement periods that have passed.
        public var periods: UInt64 = 0
        /// Of them those in which the group had to wait.
        public var throttledPeriods: UInt64 = 0
        /// Time that it had to wait, in nanoseconds.
        public var throttledTime: UInt64 = 0
    }

    /// Memory in bytes.
    public struct Memory: Hashable, Sendable {
        /// Used, page cache included.
        public var usage: UInt64 = 0
        /// The most ever used; nil where not counted (v2 before Linux 5.19).
        public var maximumUsage: UInt64?
        /// The limit; nil for none.
        public var limit: UInt64?
        /// Swap used; nil where not counted.
        public var swapUsage: UInt64?
        /// How often the limit was hit.
        public var failures: UInt64 = 0
        /// The kernel's own counters (`memory.stat`), by the kernel's names, which differ between v1 and v2.
        public var details: [String: UInt64] = [:]
    }

    /// Tasks.
    public struct Pids: Hashable, Sendable {
        /// Now.
        public var current: UInt64 = 0
        /// The limit; nil for none.
        public var limit: UInt64?
    }

    /// Block I/O of one device.
    public struct BlockIO: Hashable, Sendable {
        /// The driver.
        public var major: UInt64
        /// The device of that driver.
        public var minor: UInt64
        /// Bytes read.
        public var readBytes: UInt64 = 0
        /// Bytes written.
        public var writtenBytes: UInt64 = 0
        /// Reads.
        public var reads: UInt64 = 0
        /// Writes.
        public var writes: UInt64 = 0

        /// A device without any traffic.
        public init(major: UInt64, minor: UInt64) {
            self.major = major
            self.minor = minor
        }
    }

    /// CPU.
    public var cpu = CPU()
    /// Memory.
    public var memory = Memory()
    /// Tasks.
    public var pids = Pids()
    /// Block I/O, by device.
    public var blockIO: [BlockIO] = []

    /// No use at all.
    public init() {}
}

/// The kernel's small text formats.
enum KeyedText {
    /// Lines of `key value`.
    static func flat(_ text: String) -> [String: UInt64] {
        var values: [String: UInt64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, let value = UInt64(words[1]) { values[String(words[0])] = value }
        }
        return values
    }

    /// One number; `max` and other words are nil.
    static func number(_ text: String) -> UInt64? { UInt64(text.prefix { $0 != "\n" && $0 != " " }) }

    /// `major:minor`.
    static func device(_ text: Substring) -> (UInt64, UInt64)? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let major = UInt64(parts[0]), let minor = UInt64(parts[1]) else { return nil }
        return (major, minor)
    }
}
