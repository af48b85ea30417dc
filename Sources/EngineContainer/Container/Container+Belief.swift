import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging

// What a shim says of a process is not true until the kernel says so too: the number may be another container's, the host's
// first process's, or the engine's own.
extension Container {
    /// What the kernel says of a number that a shim has given for a process of its container.
    enum Belief {
        /// It is in the container's cgroup, or below the shim.
        case confirmed
        /// There is no such process (any more).
        case gone
        /// It is somebody else's.
        case denied
    }

    /// Holds the init process that a shim says it has made.
    ///
    /// - Throws: `.internal` for a process that is not there, or is somebody else's; nothing was done to it then.
    func believedInit(_ pid: Int32, of shim: Shim) throws -> HeldProcess {
        // The process waits, and is reaped by nobody before its shim knows of its end: while it is believed the number is its own.
        let held = HeldProcess(pid: pid)
        guard let held, belief(in: pid, of: shim) == .confirmed else {
            let what = held == nil ? "there is no such process" : "that process is not its own"
            throw EngineError.internalFailure(
                "backend '\(record.plan.backend)' says that process \(pid) is the container's, and \(what)"
            )
        }
        return held
    }

    /// Whether a process is the container's: one that is below its shim, or in its cgroup.
    func belief(in pid: Int32, of shim: Shim?) -> Belief {
        guard pid > 1, pid != Credentials.processID else { return .denied }
        if let top = shim?.process?.pid {
            switch Self.isBelow(pid, top) {
            case nil: return .gone
            case true?: return .confirmed
            case false?: break
            }
        }
        // One that has ended and waits to be reaped is in no group, and nobody's to be signalled.
        guard let facts = try? ProcessFacts(pid), facts.state != "Z", facts.state != "X" else { return .gone }
        // After an adoption, and with a runtime in between, it may be a child of anybody; it is in its group then.
        let tasks = CgroupTasks(path: node.cgroup(record).directory)
        if (try? tasks.living().contains(pid)) == true { return .confirmed }
        return Self.isEnding(pid) ? .gone : .denied
    }

    /// Whether a process ends just now: it has left its group a moment before anybody can see that it has ended.
    private static func isEnding(_ pid: Int32) -> Bool {
        do throws(KernelError) {
            let pidfd = SharedDescriptor(try Pidfd(pid: pid).intoDescriptor())
            return try !pidfd.poll(for: .readable, timeout: .milliseconds(100)).isEmpty
        } catch {
            return error.errno == .noProcess
        }
    }

    /// A number as the state keeps it: 0 for a process that is somebody else's, which nobody may ever take for the container's.
    func believedNumber(_ pid: Int32, of shim: Shim?) -> Int32 {
        guard pid != 0, belief(in: pid, of: shim) == .denied else { return pid }
        logger.error("the shim names a process that is not its own", metadata: ["pid": "\(pid)"])
        return 0
    }

    /// nil when there is no such process.
    private static func isBelow(_ pid: Int32, _ top: Int32) -> Bool? {
        // An ancestor may end while they are followed, and another take its place: then it is looked at anew.
        for _ in 0..<20 {
            var at = pid
            do throws(KernelError) {
                for _ in 0..<64 where at > 1 {
                    at = try ProcessFacts(at).parent
                    if at == top { return true }
                }
                return false
            } catch {
                if at == pid { return nil }
            }
        }
        return false
    }
}
