internal import CKernel
internal import Glibc

/// Who the calling thread is and what it may do.
///
/// The calls change the calling thread alone (raw system calls): they are for single-threaded processes.
public enum Credentials {
    /// Real, effective and saved ids.
    public struct IDs: Hashable, Sendable {
        /// Real, effective, saved user.
        public let users: [UInt32]
        /// Real, effective, saved group.
        public let groups: [UInt32]
        /// Supplementary groups, in the kernel's order.
        public let supplementary: [UInt32]
    }

    /// Sets all three user ids.
    ///
    /// - Parameter uid: the user.
    /// - Throws: `KernelError`.
    public static func setUser(_ uid: UInt32) throws(KernelError) {
        try system("set user id", String(uid)) { ck_setresuid(uid) }
    }

    /// Sets all three group ids.
    ///
    /// - Parameter gid: the group.
    /// - Throws: `KernelError`.
    public static func setGroup(_ gid: UInt32) throws(KernelError) {
        try system("set group id", String(gid)) { ck_setresgid(gid) }
    }

    /// Sets the supplementary groups.
    ///
    /// - Parameter groups: all of them.
    /// - Throws: `KernelError`; errno is `.invalid` for more than 65,536.
    public static func setSupplementaryGroups(_ groups: [UInt32]) throws(KernelError) {
        try system("set supplementary groups") { unsafe ck_setgroups(groups.count, groups) }
    }

    /// The ids as the kernel has them now.
    ///
    /// - Returns: all ids.
    /// - Throws: `KernelError`.
    public static func currentIDs() throws(KernelError) -> IDs {
        var ids: [UInt32] = Array(repeating: 0, count: 6)
        try system("read ids") { unsafe ck_getresids(&ids) }
        // 65536 is the kernel's limit.
        let count = try system("count groups") { getgroups(0, nil) }
        var groups = [UInt32](repeating: 0, count: Int(count))
        let filled = try system("read groups") { unsafe getgroups(count, &groups) }
        return IDs(users: Array(ids[..<3]), groups: Array(ids[3...]), supplementary: Array(groups[..<Int(filled)]))
    }

    /// The effective user of the calling thread.
    public static var effectiveUser: UInt32 { geteuid() }

    /// The effective group of the calling thread.
    public static var effectiveGroup: UInt32 { getegid() }

    /// Leaves the session keyring, which a process otherwise shares with who started it, for an empty one of its own.
    ///
    /// A kernel without keyrings has nothing to leave.
    ///
    /// - Throws: `KernelError`; errno is `.quotaExceeded` when the user has too many keys.
    public static func newSessionKeyring() throws(KernelError) {
        do throws(KernelError) {
            try system("join a new session keyring") { ck_new_session_keyring() }
        } catch  where error.errno == .noSystemCall {
            return
        }
    }

    /// The calling process's number.
    public static var processID: Int32 { getpid() }

    /// The parent's number; 0 when it is in another PID namespace.
    public static var parentProcessID: Int32 { getppid() }

    /// The capabilities that the calling thread may use, without asking for the other sets.
    ///
    /// - Returns: the permitted set.
    /// - Throws: `KernelError`.
    public static func permittedCapabilities() throws(KernelError) -> CapabilitySet {
        var sets: [UInt64] = [0, 0, 0]
        try system("read capabilities") { unsafe ck_capget(&sets) }
        return CapabilitySet(rawValue: sets[1])
    }

    /// Reads the five capability sets.
    ///
    /// - Returns: the calling thread's sets.
    /// - Throws: `KernelError`.
    public static func capabilities() throws(KernelError) -> Capabilities {
        var sets: [UInt64] = [0, 0, 0]
        try system("read capabilities") { unsafe ck_capget(&sets) }
        var (ambient, bounding): (UInt64, UInt64) = (0, 0)
        for number: UInt in 0..<64 {
            // PR_CAPBSET_READ fails beyond the kernel's last capability.
            let bound = ck_prctl(23, number, 0, 0, 0)
            if bound < 0 { break }
            if bound == 1 { bounding |= 1 << UInt64(number) }
            if ck_prctl(47, 1, number, 0, 0) == 1 { ambient |= 1 << UInt64(number) }
        }
        return Capabilities(
            effective: CapabilitySet(rawValue: sets[0]),
            permitted: CapabilitySet(rawValue: sets[1]),
            inheritable: CapabilitySet(rawValue: sets[2]),
            ambient: CapabilitySet(rawValue: ambient),
            bounding: CapabilitySet(rawValue: bounding)
        )
    }

    /// Sets effective, permitted and inheritable capabilities.
    ///
    /// - Parameter sets: the wanted sets; ambient and bounding are left out.
    /// - Throws: `KernelError`; errno is `.notPermitted` when more is asked than permitted.
    public static func setCapabilities(_ sets: Capabilities) throws(KernelError) {
        try system("set capabilities") {
            ck_capset(sets.effective.rawValue, sets.permitted.rawValue, sets.inheritable.rawValue)
        }
    }

    /// Takes everything else out of the bounding set, also capabilities that this version has no name for.
    ///
    /// - Parameter kept: what stays.
    /// - Throws: `KernelError`; needs CAP_SETPCAP.
    public static func limitBounding(to kept: CapabilitySet) throws(KernelError) {
        for number: UInt in 0..<64 {
            let bound = ck_prctl(23, number, 0, 0, 0)
            if bound < 0 { return }
            guard bound == 1, kept.rawValue & (1 << UInt64(number)) == 0 else { continue }
            try system("drop capability from bounding set", String(number)) { ck_prctl(24, number, 0, 0, 0) }
        }
    }

    /// Sets the ambient set to exactly some capabilities.
    ///
    /// - Parameter ambient: each must be permitted and inheritable.
    /// - Throws: `KernelError`.
    public static func setAmbient(_ ambient: CapabilitySet) throws(KernelError) {
        try system("clear ambient capabilities") { ck_prctl(47, 4, 0, 0, 0) }
        for number: UInt in 0..<64 where ambient.rawValue & (1 << UInt64(number)) != 0 {
            try system("raise ambient capability", String(number)) { ck_prctl(47, 2, number, 0, 0) }
        }
    }

    /// Keeps permitted capabilities over the next change from user 0 to another (`PR_SET_KEEPCAPS`); exec ends it.
    ///
    /// - Parameter on: whether.
    /// - Throws: `KernelError`.
    public static func setKeepCapabilities(_ on: Bool) throws(KernelError) {
        try system("set keep-capabilities") { ck_prctl(8, on ? 1 : 0, 0, 0, 0) }
    }

    /// Forbids this thread and its children for ever to gain rights by exec (`PR_SET_NO_NEW_PRIVS`).
    ///
    /// - Throws: `KernelError`.
    public static func setNoNewPrivileges() throws(KernelError) {
        try system("set no_new_privs") { ck_prctl(38, 1, 0, 0, 0) }
    }

    /// Sets the securebits (`PR_SET_SECUREBITS`).
    ///
    /// - Parameter bits: as in capabilities(7).
    /// - Throws: `KernelError`; needs CAP_SETPCAP.
    public static func setSecurebits(_ bits: UInt32) throws(KernelError) {
        try system("set securebits") { ck_prctl(28, UInt(bits), 0, 0, 0) }
    }
}

/// Facts about the calling process that it sets itself (`prctl(2)`).
public enum ProcessAttributes {
    /// Whether others may look into the process (ptrace, `/proc/<pid>` owner, core dumps); exec sets it again.
    ///
    /// - Parameter on: false for a process that enters a container.
    /// - Throws: `KernelError`.
    public static func setDumpable(_ on: Bool) throws(KernelError) {
        try system("set dumpable") { ck_prctl(4, on ? 1 : 0, 0, 0, 0) }
    }

    /// Whether orphans below this process become its children.
    ///
    /// - Parameter on: true for a shim.
    /// - Throws: `KernelError`.
    public static func setChildSubreaper(_ on: Bool) throws(KernelError) {
        try system("set child subreaper") { ck_prctl(36, on ? 1 : 0, 0, 0, 0) }
    }

    /// The signal that this process gets when the thread that made it ends.
    ///
    /// Compare the parent's number afterwards: it may have ended before.
    ///
    /// - Parameter signal: for example `.kill`; nil for none.
    /// - Throws: `KernelError`.
    public static func setParentDeathSignal(_ signal: Signal?) throws(KernelError) {
        try system("set parent death signal") { ck_prctl(1, UInt(signal?.rawValue ?? 0), 0, 0, 0) }
    }

    /// The name in `/proc/self/comm`.
    ///
    /// - Parameter name: the first 15 bytes count.
    /// - Throws: `KernelError`.
    public static func setName(_ name: String) throws(KernelError) {
        try system("set process name", name) {
            unsafe name.withCString { ck_prctl(15, UInt(bitPattern: $0), 0, 0, 0) }
        }
    }

    /// Starts a new session and process group led by the calling process.
    ///
    /// - Throws: `KernelError`; errno is `.notPermitted` when it leads a group already.
    public static func startSession() throws(KernelError) { try system("start session") { setsid() } }

    /// Gives memory that is free, of the heap and of the main thread's stack, back to the kernel.
    ///
    /// For a long-lived small process when it has nothing to do; on other threads only the heap counts.
    public static func trimMemory() {
        _ = ck_mallopt_trim()
        ck_release_stack()
    }

    /// Has all threads allocate from so many heaps; without it there can be eight for each processor, each with holes of its own.
    ///
    /// Before the first thread: one that has a heap keeps it.
    ///
    /// - Parameter count: at least 1.
    public static func limitHeaps(_ count: Int32) {
        // What can be refused is only a number below 0.
        _ = ck_mallopt_arenas(count)
    }
}

/// The raw seccomp call, for filters made elsewhere.
public enum SeccompFilter {
    /// Loads a compiled filter for the calling thread, for ever (`SECCOMP_SET_MODE_FILTER`).
    ///
    /// - Parameters:
    ///   - program: `struct sock_filter` records, 8 bytes each.
    ///   - flags: `SECCOMP_FILTER_FLAG_*`.
    /// - Returns: the listener's number where a flag asks for one, else 0.
    /// - Throws: `KernelError`; needs no_new_privs or CAP_SYS_ADMIN.
    @discardableResult
    public static func load(_ program: [UInt64], flags: UInt32 = 0) throws(KernelError) -> Int32 {
        try system("load seccomp filter") {
            unsafe program.withUnsafeBufferPointer { records in
                // struct sock_fprog: a 16-bit count, padding, a pointer. The kernel only reads through it.
                var header = (UInt64(records.count), UInt64(UInt(bitPattern: records.baseAddress)))
                return unsafe ck_seccomp(1, flags, &header)
            }
        }
    }
    /// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`: a call whose question was taken is interrupted by death alone (Linux 5.19).
    public static let waitsKillable: UInt32 = 1 << 5

    /// Whether the kernel takes a flag for a filter with a listener; nothing is loaded.
    public static func knows(_ flag: UInt32) -> Bool {
        // With flags that it knows, the kernel comes to look at the filter that is not there.
        ck_seccomp(1, flag | 8, nil) == -1 && Errno.current.rawValue == EFAULT
    }

    /// Loads a filter that has a listener, and waits until somebody has taken the listener over.
    ///
    /// Between the two this process makes no system call, because the filter may hold any: it tells the listener's number
    /// in shared memory and spins.
    ///
    /// - Parameters:
    ///   - program: `struct sock_filter` records, 8 bytes each.
    ///   - flags: further `SECCOMP_FILTER_FLAG_*`.
    ///   - handover: shared with the process that takes the listener over; used once.
    /// - Throws: `KernelError`; errno is `.busy` when a filter with a listener is in force already.
    public static func load(
        _ program: [UInt64],
        flags: UInt32,
        handingOver handover: ListenerHandover
    ) throws(KernelError) {
        try system("load seccomp filter") {
            unsafe program.withUnsafeBufferPointer { records in
                // As above: the kernel only reads through the pointer.
                var header = (UInt64(records.count), UInt64(UInt(bitPattern: records.baseAddress)))
                return unsafe ck_seccomp_listen(flags, &header, handover.words)
            }
        }
    }
}

/// Shared memory through which a filtered process tells the number of its filter's listener.
///
/// The process makes it and passes `memory` to whoever takes the listener over.
@safe public final class ListenerHandover: @unchecked Sendable {
    // Guard: the words are only touched by atomic loads and stores.
    nonisolated(unsafe) let words: UnsafeMutablePointer<UInt32>
    /// A file of one page in memory.
    public let memory: SharedDescriptor

    /// Makes the memory.
    ///
    /// - Throws: `KernelError`, `resourceExhausted` without memory.
    public convenience init() throws(KernelError) {
        let memory = Descriptor(
            adopting: try system("make shared memory") { unsafe ck_memfd_create("handover", 1) }  // MFD_CLOEXEC
        )
        try memory.truncate(to: 4096)
        try self.init(sharing: SharedDescriptor(memory))
    }

    /// Maps the memory that the other process has made.
    ///
    /// - Parameter memory: what it has passed.
    /// - Throws: `KernelError`; errno is `.invalid` when that is no file of a page.
    public init(sharing memory: SharedDescriptor) throws(KernelError) {
        // A shorter file would end this process at the first load.
        guard try memory.status().size >= 4096 else { throw .failed("map shared memory", .invalid) }
        guard let words = unsafe ck_shared_words(memory.raw) else { throw .failed("map shared memory", .current) }
        unsafe self.words = words
        self.memory = memory
    }

    deinit { unsafe ck_shared_words_free(words) }

    /// Gives nothing back before the process executes another program: the filter may forbid the calls that this takes.
    public func keep() {
        _ = unsafe Unmanaged.passRetained(self)
    }

    /// The number of the listener in the process that loads the filter, nil before it has done so.
    public var listener: RawDescriptor? {
        let word = unsafe ck_shared_load(words)
        return word == 0 ? nil : RawDescriptor(word - 1)
    }

    /// Lets the process go on.
    public func acknowledge() { unsafe ck_shared_store(words + 1, 1) }
}
