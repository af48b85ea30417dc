internal import CKernel
internal import Glibc

/// A process that this one has made.
public struct Child: ~Copyable, Sendable {
    /// Its number; this process's until `pidfd.wait()` or `reapIfEnded()` has reaped it.
    public let pid: Int32
    /// The process itself.
    public var pidfd: Pidfd

    /// Takes over a process that another one has made for this one.
    ///
    /// - Parameters:
    ///   - pid: its number in the caller's PID namespace.
    ///   - pidfd: the process.
    public init(pid: Int32, pidfd: consuming Pidfd) {
        self.pid = pid
        self.pidfd = pidfd
    }

    /// Gives the process up as an object that several holders can share.
    ///
    /// - Returns: the pidfd; closed when its last holder lets go.
    public consuming func sharedPidfd() -> SharedDescriptor { SharedDescriptor(pidfd.intoDescriptor()) }
}

/// Copies of the calling process.
public enum Clone {
    /// Copies the process (`clone3(2)` without shared memory) and returns in both.
    ///
    /// Only for single-threaded processes: in the copy of a process with threads, locks that other threads held stay held for ever,
    /// the allocator's among them. Use `Spawn` there.
    ///
    /// - Parameters:
    ///   - namespaces: what the child gets of its own.
    ///   - cgroup: an open cgroup v2 directory that the child is born in; nil for the parent's.
    ///   - exitSignal: what the parent gets when the child ends; nil for nothing (a pidfd still tells).
    ///   - clearingHandlers: whether signals with a handler get their default action in the child.
    ///   - asSibling: whether the new process becomes a child of the caller's parent, which gets the caller's own exit signal
    ///     for it and reaps it (`CLONE_PARENT`); `exitSignal` does not count then.
    /// - Returns: the child; **nil in the child itself**.
    /// - Throws: `KernelError` in the parent, `resourceExhausted` when the limit of processes or namespaces is reached.
    public static func fork(
        _ namespaces: Namespace.Kinds = [],
        intoCgroup cgroup: RawDescriptor? = nil,
        exitSignal: Signal? = .child,
        clearingHandlers: Bool = false,
        asSibling: Bool = false
    ) throws(KernelError) -> Child? {
        var pidfd: Int32 = -1
        let flags =
            UInt64(namespaces.rawValue) | (clearingHandlers ? 0x1_0000_0000 : 0) | (asSibling ? 0x8000 : 0)
        let signal = asSibling ? 0 : exitSignal?.rawValue ?? 0
        let pid = unsafe ck_clone3(flags, signal, cgroup ?? -1, &pidfd)
        if pid == -1 { throw .failed("clone process", .current) }
        return pid == 0 ? nil : Child(pid: pid, pidfd: Pidfd(Descriptor(adopting: pidfd)))
    }

    /// Ends the calling process at once, without exit handlers and flushing.
    ///
    /// The only right way to end a forked child.
    ///
    /// - Parameter code: the exit code.
    public static func exit(_ code: Int32) -> Never { _exit(code) }
}
