internal import CKernel
internal import Glibc

/// A process by descriptor: never another process, even when its number is used again.
public struct Pidfd: ~Copyable, DescriptorHolder, Sendable {
    private let descriptor: Descriptor

    /// The number; readable when the process has ended, hung up when it was reaped (Linux 6.13).
    public var raw: RawDescriptor { descriptor.raw }

    /// Takes over a pidfd.
    ///
    /// - Parameter descriptor: from clone3, SCM_RIGHTS or another pidfd.
    public init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// Opens a process by number.
    ///
    /// The number may have been reused: compare `ProcessFacts.startTime` after opening when it comes from elsewhere.
    ///
    /// - Parameter pid: a process (thread group leader).
    /// - Throws: `KernelError`; errno is `.noProcess` when there is none.
    public init(pid: Int32) throws(KernelError) {
        descriptor = Descriptor(adopting: try system("open process", String(pid)) { ck_pidfd_open(pid, 0) })
    }

    /// The number of a process that was not reaped, in the PID namespace of the procfs at `/proc`.
    ///
    /// - Parameter pidfd: the process.
    /// - Returns: its number, which stays its own until it is reaped.
    /// - Throws: `KernelError`; errno is `.noProcess` when it was reaped, or is in a PID namespace that is not below.
    public static func number(of pidfd: RawDescriptor) throws(KernelError) -> Int32 {
        for line in try File.readText("/proc/self/fdinfo/\(pidfd)", limit: 4096).split(separator: "\n")
        where line.hasPrefix("Pid:") {
            if let number = Int32(line.dropFirst(4).drop { $0 == "\t" || $0 == " " }), number > 0 { return number }
        }
        throw .failed("find number of process", .noProcess)
    }

    /// A process that has ended and was reaped, for who needs to hold one in place of a process that cannot be had any more.
    ///
    /// - Returns: its pidfd; signals find nobody.
    /// - Throws: `KernelError`.
    public static func ofEndedProcess() throws(KernelError) -> SharedDescriptor {
        guard let child = try Clone.fork(exitSignal: nil) else { Clone.exit(0) }
        let pidfd = child.sharedPidfd()
        try waitForEnd(pidfd.raw)
        return pidfd
    }

    /// Gives up ownership as a plain descriptor.
    ///
    /// - Returns: the descriptor.
    public consuming func intoDescriptor() -> Descriptor { descriptor }

    /// Sends a signal.
    ///
    /// - Parameter signal: which; nil only asks whether one could be sent.
    /// - Returns: false when the process has ended and was reaped.
    /// - Throws: `KernelError` for anything else.
    @discardableResult
    public func send(_ signal: Signal?) throws(KernelError) -> Bool {
        try Pidfd.send(signal, to: raw)
    }

    /// Sends a signal through a borrowed pidfd.
    ///
    /// - Parameters:
    ///   - signal: which; nil only asks whether one could be sent.
    ///   - pidfd: whom.
    /// - Returns: false when the process has ended and was reaped.
    /// - Throws: `KernelError` for anything else.
    @discardableResult
    public static func send(_ signal: Signal?, to pidfd: RawDescriptor) throws(KernelError) -> Bool {
        do throws(KernelError) {
            try system("signal process") { ck_pidfd_send_signal(pidfd, signal?.rawValue ?? 0) }
        } catch  where error.errno == .noProcess {
            return false
        }
        return true
    }

    /// Reaps a child that has ended.
    ///
    /// - Returns: how it ended; nil while it runs.
    /// - Throws: `KernelError`; errno is `.noChild` when the process is not this one's child or was reaped.
    public func reapIfEnded() throws(KernelError) -> ExitStatus? { try Pidfd.reap(raw, options: WNOHANG) }

    /// Waits for a child to end and reaps it.
    ///
    /// - Returns: how it ended.
    /// - Throws: `KernelError`; errno is `.noChild` when the process is not this one's child or was reaped.
    @discardableResult
    public func wait() throws(KernelError) -> ExitStatus {
        guard let status = try Pidfd.reap(raw, options: 0) else { throw .failed("wait for process", .noChild) }
        return status
    }

    /// Reaps a child through a borrowed pidfd.
    ///
    /// - Parameter pidfd: the child.
    /// - Returns: how it ended; nil while it runs.
    /// - Throws: `KernelError`; errno is `.noChild` when the process is not this one's child or was reaped.
    public static func reapIfEnded(_ pidfd: RawDescriptor) throws(KernelError) -> ExitStatus? {
        try reap(pidfd, options: WNOHANG)
    }

    /// Waits until a child has ended and reaps it.
    ///
    /// - Parameter pidfd: the child.
    /// - Returns: how it ended.
    /// - Throws: `KernelError`; errno is `.noChild` when it is not ours or was reaped.
    @discardableResult
    public static func waitForEnd(_ pidfd: RawDescriptor) throws(KernelError) -> ExitStatus {
        guard let status = try reap(pidfd, options: 0) else { throw .failed("wait for process", .noChild) }
        return status
    }

    /// Waits for a child to end, but not for ever, and reaps it.
    ///
    /// - Parameters:
    ///   - pidfd: the child.
    ///   - time: the longest to wait.
    /// - Returns: how it ended; nil when it has not.
    /// - Throws: `KernelError`; errno is `.noChild` when it is not ours or was reaped.
    @discardableResult
    public static func waitForEnd(_ pidfd: RawDescriptor, within time: Duration) throws(KernelError) -> ExitStatus? {
        if try BorrowedDescriptor(pidfd).poll(for: .readable, timeout: time).isEmpty { return nil }
        return try reapIfEnded(pidfd)
    }

    /// Kills a child and reaps it.
    ///
    /// - Parameters:
    ///   - pidfd: the child.
    ///   - time: the longest to wait for its end.
    /// - Returns: false when the kernel holds it longer than that; it is still to be reaped then. True also when there is no such child.
    @discardableResult
    public static func end(_ pidfd: RawDescriptor, within time: Duration) -> Bool {
        // A process that is gone already is what is wanted.
        _ = try? send(.kill, to: pidfd)
        do throws(KernelError) { return try waitForEnd(pidfd, within: time) != nil } catch { return true }
    }

    private static func reap(_ pidfd: RawDescriptor, options: Int32) throws(KernelError) -> ExitStatus? {
        var status: Int32 = 0
        let found = try system("wait for process") { unsafe ck_waitid_pidfd(pidfd, options, &status) }
        return found == 1 ? ExitStatus(waitStatus: status) : nil
    }

    /// Copies a descriptor of the process (`pidfd_getfd(2)`); needs ptrace rights.
    ///
    /// - Parameter number: the descriptor's number there.
    /// - Returns: the copy.
    /// - Throws: `KernelError`.
    public func copyDescriptor(_ number: RawDescriptor) throws(KernelError) -> Descriptor {
        Descriptor(adopting: try system("copy descriptor of process") { ck_pidfd_getfd(raw, number) })
    }

    /// What the kernel tells about the process (`PIDFD_GET_INFO`).
    public struct Info: Hashable, Sendable {
        /// The process id; nil after it was reaped.
        public let pid: Int32?
        /// The id of its cgroup in the v2 hierarchy (the cgroup directory's inode); nil when not told.
        public let cgroupID: UInt64?
        /// How it ended, known to everybody once the parent has reaped it; nil before.
        public let exit: ExitStatus?
    }

    /// Asks about the process, its exit code included, even when it is somebody else's child.
    ///
    /// - Returns: what is known.
    /// - Throws: `KernelError`, `unsupported` before Linux 6.15.
    public func info() throws(KernelError) -> Info { try Pidfd.info(of: raw) }

    /// Asks about a process through a borrowed pidfd.
    ///
    /// - Parameter pidfd: the process.
    /// - Returns: what is known.
    /// - Throws: `KernelError`, `unsupported` before Linux 6.15.
    public static func info(of pidfd: RawDescriptor) throws(KernelError) -> Info {
        var info = ck_pidfd_info()
        do throws(KernelError) {
            try system("ask about process") { unsafe ck_pidfd_info(pidfd, &info) }
        } catch  where error.errno == .noProcess {
            return Info(pid: nil, cgroupID: nil, exit: nil)
        }
        return Info(
            pid: info.mask & 1 != 0 && info.pid != 0 ? Int32(bitPattern: info.pid) : nil,
            cgroupID: info.mask & 4 != 0 ? info.cgroup_id : nil,
            exit: info.mask & 8 != 0 ? ExitStatus(waitStatus: info.exit_code) : nil
        )
    }
}
