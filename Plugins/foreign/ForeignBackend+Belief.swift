import HostBundle
import Kernel
import ShimKit

// What the foreign shim says of a process is not true until the kernel says so too.
extension ForeignBackend {
    /// A process that the foreign shim says it has made: one below it, and so below us, or in the container's group.
    ///
    /// The foreign shim of a predecessor is not below us.
    func process(
        _ pid: Int32,
        _ terminal: SharedDescriptor?,
        mayHaveEnded: Bool
    ) throws(BackendError) -> ContainerProcess {
        let shim = try existing("process")
        do throws(KernelError) {
            // One that is known and runs is no further one.
            let isKnown = try held[pid]?.poll(for: .readable, timeout: .zero).isEmpty == true
            guard pid > 1, pid != Credentials.processID, !isKnown else {
                throw .failed("find process", String(pid), .noChild)
            }
            let pidfd = SharedDescriptor(try Pidfd(pid: pid).intoDescriptor())
            // A helper of the runtime that has just ended may stand in between, and nothing announces a new parent. Of a process that has
            // ended only the shim knows.
            for _ in 0..<400 {
                let isOurs = isOurs(pid)
                let events = try isOurs ? [] : pidfd.poll(for: .readable, timeout: .milliseconds(5))
                if isOurs || mayHaveEnded && !events.isEmpty {
                    held[pid] = pidfd
                    return ContainerProcess(pid: pid, pidfd: pidfd, terminal: terminal)
                }
            }
            throw .failed("find process", String(pid), .noChild)
        } catch  where mayHaveEnded && [.noProcess, .noEntry].contains(error.errno) {
            return try Self.ended(pid, terminal)
        } catch {
            throw .refused(
                stage: "shim",
                operation: "find process",
                object: shim.program.path,
                code: .internal,
                detail: "process \(pid), which it names, is none that it has made: \(error)"
            )
        }
    }

    /// A process that has ended and was reaped already: what is always readable stands for its pidfd.
    private static func ended(_ pid: Int32, _ terminal: SharedDescriptor?) throws(BackendError) -> ContainerProcess {
        do throws(KernelError) {
            return ContainerProcess(pid: pid, pidfd: try Pipe().ends().reader, terminal: terminal)
        } catch {
            throw .failed(stage: "shim", error)
        }
    }

    /// Whether a process is the container's, as far as the kernel knows.
    func isOurs(_ pid: Int32) -> Bool { pid > 1 && ((try? Self.isBelow(pid)) == true || isInGroup(pid)) }

    private func isInGroup(_ pid: Int32) -> Bool {
        guard let group = record?.cgroup, let path = ContainerGroup.path(of: pid) else { return false }
        return path == group || path.hasPrefix(group + "/")
    }

    private static func isBelow(_ pid: Int32) throws(KernelError) -> Bool {
        var ancestor = pid
        for _ in 0..<64 where ancestor > 1 {
            ancestor = try ProcessFacts(ancestor).parent
            if ancestor == Credentials.processID { return true }
        }
        return false
    }
}
