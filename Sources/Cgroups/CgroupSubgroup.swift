public import Kernel
internal import Synchronization

/// A group of its own for one additional process of a container, with all that the process starts.
public struct CgroupSubgroup: Sendable {
    let member: CgroupMember
    /// The way in.
    public let entrance: CgroupEntrance

    /// Path below the root of its hierarchy.
    public var path: String { "/" + member.components.joined(separator: "/") }

    /// The processes inside.
    ///
    /// - Returns: their numbers; none when the group is gone.
    /// - Throws: `CgroupError`.
    public func processes() throws(CgroupError) -> [Int32] {
        try attempt("list processes of") { () throws(KernelError) in try member.allProcesses() }
    }

    /// Sends a signal to every process inside; `kill` waits for them to go.
    ///
    /// - Parameters:
    ///   - signal: which.
    ///   - timeout: how long to wait after `kill`.
    /// - Returns: who is left after `kill` when the time is up; none for other signals.
    /// - Throws: `CgroupError`.
    @discardableResult
    public func signalAll(_ signal: Signal, timeout: Duration) throws(CgroupError) -> [Int32] {
        try attempt("signal") { () throws(KernelError) in
            if signal == .kill { return try member.killAll(timeout: timeout) }
            for pid in try member.allProcesses() {
                // Opened before it is looked at again: a number that was reused names no process of the group.
                guard let target = try? Pidfd(pid: pid), try member.allProcesses().contains(pid) else { continue }
                try target.send(signal)
            }
            return []
        }
    }

    /// Removes the group if nobody is inside.
    ///
    /// - Returns: whether it is gone; one that is not goes with the container's group.
    /// - Throws: `CgroupError`.
    public func removeIfEmpty() throws(CgroupError) -> Bool {
        do throws(KernelError) {
            try member.remove()
            return true
        } catch  where error.errno == .busy || error.errno == .notEmpty {
            return false
        } catch  where error.code == .notFound {
            return true
        } catch {
            throw .failed("remove cgroup '\(path)'", error)
        }
    }

    private func attempt(
        _ operation: String,
        _ body: () throws(KernelError) -> [Int32]
    ) throws(CgroupError) -> [Int32] {
        do throws(KernelError) { return try body() } catch  where error.code == .notFound {
            return []
        } catch {
            throw .failed("\(operation) cgroup '\(path)'", error)
        }
    }
}

/// Where the search for a free name starts, so that it hits at once in a shim with many sessions.
enum SubgroupNumber {
    private static let last = Mutex(0)

    static func next() -> Int {
        last.withLock { last in
            last += 1
            return last
        }
    }
}
