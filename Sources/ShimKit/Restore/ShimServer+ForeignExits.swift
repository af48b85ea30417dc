import ShimStreams
import Kernel
import ShimModel
import ShimProtocol
import SwiftProtobuf

// Ends of processes that are not the shim's children: those of a container that it has adopted.
extension ShimServer {
    /// A process that is not our child has ended, and was reaped already when the readiness holds a hang-up.
    ///
    /// Before it is reaped procfs knows its status; afterwards the pidfd does (Linux 6.15), or who has reaped it says so. What
    /// nobody has said in time is unknown.
    func foreignEnd(_ key: ProcessKey, _ handle: Handle, _ process: ContainerProcess, _ readiness: Readiness) {
        let zombie = ProcessFacts.exitBeforeReaping(process.pid, startTime: handle.startTime)
        // Older kernels do not answer, which leaves the others.
        if let status = zombie ?? (try? Pidfd.info(of: process.pidfd.raw))?.exit {
            return ended(key, .init(status))
        }
        // The pidfd stays readable; nothing more is learned from it.
        if let watch = handle.watch {
            loop.unwatch(watch)
            handle.watch = nil
        }
        awaitReport(key, handle, "process \(process.pid) ended after its shim")
    }

    /// Leaves time to say how a process ended to whoever may know it.
    func awaitReport(_ key: ProcessKey, _ handle: Handle, _ fact: String) {
        guard handle.patience == nil else {
            return
        }
        handle.patience = loop.after(ShimLimits.foreignExit) { [weak self] in
            handle.patience = nil
            self?.ended(key, .unknown("\(fact), and nobody said how within \(ShimLimits.foreignExit)"))
        }
    }

    /// Handles Supervisor.ReportExit.
    func reportExit(_ request: ShimReportExitRequest) throws(RPCError) {
        let key = ProcessKey(execID: request.execID)
        let record = try table.record(key)
        guard record.pid != 0, UInt32(record.pid) == request.pid else {
            throw .invalidArgument("process \(request.pid): this one is \(record.pid)")
        }
        guard record.phase.exit == nil, let handle = handles[key], let process = handle.process else {
            // It is known already.
            return
        }
        // A process that is still there, and one of ours that we reap ourselves, is nobody's to report.
        guard handle.patience != nil || (try? Pidfd.send(nil, to: process.pidfd.raw)) == false else {
            throw .failedPrecondition("process \(request.pid) has not been reaped")
        }
        guard let status = Int32(exactly: request.waitStatus) else {
            throw .invalidArgument("wait status \(request.waitStatus)")
        }
        ended(key, .init(ExitStatus(waitStatus: status)))
    }

    /// The end of a process is known, or it is nobody's business any more.
    func stopWatching(_ handle: Handle) {
        if let watch = handle.watch {
            loop.unwatch(watch)
            handle.watch = nil
        }
        if let patience = handle.patience {
            loop.cancel(patience)
            handle.patience = nil
        }
        if let timer = handle.timeoutTimer {
            loop.cancel(timer)
            handle.timeoutTimer = nil
        }
    }
}
