/// What procfs tells about a process.
public struct ProcessFacts: Hashable, Sendable {
    /// Its number.
    public let pid: Int32
    /// The program's name, at most 15 bytes.
    public let name: String
    /// One letter as in proc(5): R, S, D, Z, T and others.
    public let state: Character
    /// The parent's number.
    public let parent: Int32
    /// The session that it is in, by the number of the process that has begun it; 0 for one of another process namespace.
    public let session: Int32
    /// When it started, in clock ticks since boot: with the number this names a process for ever.
    public let startTime: UInt64
    /// How many threads it has.
    public let threads: Int

    /// Reads `/proc/<pid>/stat`.
    ///
    /// - Parameter pid: the process.
    /// - Throws: `KernelError`; errno is `.noEntry` or `.noProcess` when there is none.
    public init(_ pid: Int32) throws(KernelError) {
        let path = "/proc/\(pid)/stat"
        let text = try File.readText(path, limit: 4096)
        // The name stands in parentheses and may itself hold spaces and parentheses.
        guard let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")") else {
            throw .failed("parse", path, .badProtocol)
        }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count > 19, let state = fields[0].first, let parent = Int32(fields[1]),
            let session = Int32(fields[3]), let threads = Int(fields[17]),
            let startTime = UInt64(fields[19])
        else { throw .failed("parse", path, .badProtocol) }
        self.pid = pid
        name = String(text[text.index(after: open)..<close])
        self.state = state
        self.parent = parent
        self.session = session
        self.startTime = startTime
        self.threads = threads
    }

    /// When it started, by the wall clock of now; exact to a hundredth of a second, which is what procfs counts in everywhere.
    public var started: Timestamp {
        let sinceBoot = Clock.boot.now - Timestamp(seconds: 0, nanoseconds: 0)
        return Clock.realTime.now + (.milliseconds(10) * Int(clamping: startTime) - sinceBoot)
    }

    /// How a process ended that nobody has reaped yet, whosever child it is.
    ///
    /// The first process of a process namespace counts as ended as soon as nothing of it runs any more. It is no zombie yet while it waits for the
    /// others of its namespace to be reaped, which their parent, outside of it, may never do; no pidfd is readable then.
    ///
    /// - Parameters:
    ///   - pid: the process.
    ///   - startTime: when it started; another process with the same number has another.
    /// - Returns: its end; nil while it runs, when it was reaped, and where that is hidden from the caller.
    public static func exitBeforeReaping(_ pid: Int32, startTime: UInt64) -> ExitStatus? {
        // What cannot be read is not known.
        guard let text = try? File.readText("/proc/\(pid)/stat", limit: 4096), let close = text.lastIndex(of: ")")
        else {
            return nil
        }
        let fields = text[text.index(after: close)...].split(separator: " ")
        guard fields.count > 49, UInt64(fields[19]) == startTime, hasEnded(fields) else { return nil }
        // Field 52 of proc(5); a caller that may not look reads 0 there, and 0 for the addresses of field 28 and 29 like all zombies,
        // so this is only for those that may: root over processes of its own namespaces.
        guard Credentials.effectiveUser == 0, let status = Int32(fields[49].prefix { $0 != "\n" }) else { return nil }
        return ExitStatus(waitStatus: status)
    }

    /// Whether the process of these fields, from the third on, has its exit status for good.
    private static func hasEnded(_ fields: [Substring]) -> Bool {
        if fields[0] == "Z" { return true }
        // PF_EXITING, with no other thread: the status is set before the only wait of an ending process that is not D; idle is what older
        // kernels call it.
        guard ["S", "I"].contains(fields[0]), fields[17] == "1", let flags = UInt64(fields[6]) else { return false }
        return flags & 0x4 != 0
    }

    /// The start time alone.
    ///
    /// - Parameter pid: the process.
    /// - Returns: clock ticks since boot.
    /// - Throws: `KernelError`.
    public static func startTime(of pid: Int32) throws(KernelError) -> UInt64 { try ProcessFacts(pid).startTime }

    /// Its children now.
    ///
    /// - Parameter pid: the process.
    /// - Returns: their numbers, of all its threads.
    /// - Throws: `KernelError`; `notFound` where the kernel is built without CONFIG_PROC_CHILDREN.
    public static func children(of pid: Int32) throws(KernelError) -> [Int32] {
        var children: [Int32] = []
        for thread in try File.open("/proc/\(pid)/task", .directory).readDirectory() {
            let text = try File.readText("/proc/\(pid)/task/\(thread.name)/children")
            children += text.split(separator: " ").compactMap { Int32($0) }
        }
        return children
    }

    /// Its arguments.
    ///
    /// - Parameter pid: the process.
    /// - Returns: the texts; empty for kernel threads and zombies.
    /// - Throws: `KernelError`.
    public static func commandLine(of pid: Int32) throws(KernelError) -> [String] {
        let bytes = try File.read("/proc/\(pid)/cmdline", limit: 4 << 20)
        guard !bytes.isEmpty else { return [] }
        let trimmed = bytes.last == 0 ? bytes.dropLast() : bytes[...]
        return trimmed.split(separator: 0, omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Memory of a process that it shares with nobody.
    public struct PrivateMemory: Hashable, Sendable {
        /// Everything, in bytes.
        public var total: Int
        /// Of it what is not the mapping of its own program file.
        public var outsideExecutable: Int
    }

    /// Adds up Private_Clean and Private_Dirty of `/proc/<pid>/smaps`.
    ///
    /// - Parameter pid: the process.
    /// - Returns: the sums in bytes.
    /// - Throws: `KernelError`.
    public static func privateMemory(of pid: Int32) throws(KernelError) -> PrivateMemory {
        let executable = try RootedDir("/proc/\(pid)").readlink("exe")
        let suffix = " " + String(decoding: executable, as: UTF8.self)
        var sum = PrivateMemory(total: 0, outsideExecutable: 0)
        var inExecutable = false
        for line in try File.readText("/proc/\(pid)/smaps", limit: 64 << 20).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.first == "Private_Clean:" || words.first == "Private_Dirty:" {
                let bytes = (Int(words[1]) ?? 0) * 1024
                sum.total += bytes
                if !inExecutable { sum.outsideExecutable += bytes }
            } else if words.count >= 5, words[0].contains("-") {
                inExecutable = line.hasSuffix(suffix)
            }
        }
        return sum
    }
}
