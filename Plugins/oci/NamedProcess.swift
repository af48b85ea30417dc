import Kernel
import ShimKit

/// A process that a runtime says it has made, as far as that is true.
struct NamedProcess {
    /// How long the runtime's own helpers may stand between the process and this shim.
    private static let patience = Duration.seconds(2)

    let pid: Int32
    let pidfd: SharedDescriptor

    /// Reads a file that a runtime has written (`--pid-file`) and finds the process.
    ///
    /// The runtime has ended, and this shim inherits orphans: what it has made is a child here, or becomes one soon.
    ///
    /// - Parameters:
    ///   - file: The number, as text.
    ///   - program: The runtime, for the error.
    ///   - known: Processes that it cannot be.
    /// - Returns: The process, which this shim can reap.
    /// - Throws: `internal` for a number that is none, or another process's.
    static func find(_ file: String, by program: String, besides known: Set<Int32>) throws(BackendError) -> NamedProcess
    {
        let text = (try? File.readText(file, limit: 64)) ?? ""
        guard let pid = Int32(text.prefix { $0.isNumber }), pid > 1, !known.contains(pid) else {
            throw lie(program, "its pid file says '\(text)'")
        }
        do throws(KernelError) {
            let pidfd = SharedDescriptor(try Pidfd(pid: pid).intoDescriptor())
            let deadline = Clock.monotonic.now + patience
            while try ProcessFacts(pid).parent != Credentials.processID {
                guard Clock.monotonic.now < deadline else {
                    throw .failed("find process", String(pid), .noChild, detail: "not a child of the shim")
                }
                // Nothing announces a new parent.
                guard try pidfd.poll(for: .readable, timeout: .milliseconds(2)).isEmpty else { break }
            }
            guard try ProcessFacts(pid).parent == Credentials.processID else {
                throw .failed("find process", String(pid), .noChild, detail: "not a child of the shim")
            }
            return NamedProcess(pid: pid, pidfd: pidfd)
        } catch {
            throw lie(program, "process \(pid), which its pid file names, is not the container's: \(error)")
        }
    }

    private static func lie(_ program: String, _ reason: String) -> BackendError {
        .refused(stage: "runtime", operation: "find process", object: program, code: .internal, detail: reason)
    }

    /// Kills those of some processes that are children of this shim.
    static func killChildren(of known: Set<Int32>) {
        for pid in (try? ProcessFacts.children(of: Credentials.processID)) ?? [] where known.contains(pid) {
            // As below.
            try? Signals.send(.kill, toChild: pid)
        }
    }

    /// Kills what a runtime that failed has left: every child of this shim but the known ones.
    static func killStrayChildren(besides known: Set<Int32>) {
        for pid in (try? ProcessFacts.children(of: Credentials.processID)) ?? [] where !known.contains(pid) {
            // A child's number stays its own until we have reaped it.
            try? Signals.send(.kill, toChild: pid)
        }
    }
}
