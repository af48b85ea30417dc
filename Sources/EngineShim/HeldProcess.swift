package import Kernel

/// A process of a container, held by pidfd from outside of its shim: nobody else is ever taken for it.
package struct HeldProcess: Sendable {
    /// Its number, for people and for the kernel's files.
    package let pid: Int32
    /// With the number its name for ever.
    package let startTime: UInt64
    /// Readable when it has ended.
    package let pidfd: SharedDescriptor

    /// Holds what has this number now.
    ///
    /// Only for a number that cannot be somebody else's meanwhile, such as that of a process that a living shim has not reaped.
    /// - Returns: nil when there is no such process.
    package init?(pid: Int32) {
        guard pid > 0, let pidfd = try? Pidfd(pid: pid), let startTime = try? ProcessFacts.startTime(of: pid),
            // The pidfd was opened first: if it still is there now, the start time that was read is its own.
            (try? pidfd.send(nil)) == true
        else { return nil }
        self.init(pid: pid, startTime: startTime, pidfd: SharedDescriptor(pidfd.intoDescriptor()))
    }

    package init(pid: Int32, startTime: UInt64, pidfd: SharedDescriptor) {
        (self.pid, self.startTime, self.pidfd) = (pid, startTime, pidfd)
    }

    /// Whether it has ended.
    package var hasEnded: Bool { (try? pidfd.poll(for: .readable, timeout: .zero))?.isEmpty == false }

    /// How it ended, whoever has reaped it or has not; nil while it runs, and where nobody tells.
    ///
    /// - Parameter orphans: who may have reaped it here.
    /// - Returns: its end.
    package func status(_ orphans: OrphanReaper?) -> ExitStatus? {
        // Before its pidfd is readable: what is left of it may be kept there by a parent that is stopped.
        if let end = ProcessFacts.exitBeforeReaping(pid, startTime: startTime) { return end }
        guard hasEnded else { return nil }
        return orphans?.status(of: pid, startTime: startTime)
            // Before Linux 6.15 the kernel has no answer.
            ?? (try? Pidfd.info(of: pidfd.raw))?.exit
    }
}
