import ShimStreams
import Kernel
import ShimModel
import ShimProtocol
import SwiftProtobuf

// Task.Delete and Task.Shutdown.
extension ShimServer {
    /// Handles Task.Delete.
    func delete(_ request: TaskDeleteRequest) throws(RPCError) -> TaskDeleteResponse {
        try check(request.id)
        let key = ProcessKey(execID: request.execID)
        if try table.checkDelete(key) {
            try killCreated(key)
        }
        if key == .initial {
            try backendCall { () throws(BackendError) in try backend.delete() }
        }
        let (pid, exit, effects) = try table.deleted(key, at: .now)
        if key == .initial {
            forgetExitRecord()
            handles.values.forEach(close)
            handles = [:]
        } else if let handle = handles.removeValue(forKey: key) {
            close(handle)
        }
        perform(effects)
        return TaskDeleteResponse.with { response in
            response.pid = UInt32(pid)
            response.exitStatus = exit.number
            response.exitedAt = exit.exitedAt.message
        }
    }

    /// Ends an init process that was never started, so that what holds it can be removed.
    func killCreated(_ key: ProcessKey) throws(RPCError) {
        guard let handle = handles[key], let process = handle.process else {
            return
        }
        try backendCall { () throws(BackendError) in try backend.kill(process, signal: .kill) }
        stopWatching(handle)
        do throws(KernelError) {
            _ = try process.pidfd.poll(for: .readable, timeout: ShimLimits.death)
            if backend.exitStatus(of: process) == nil, try Pidfd.reapIfEnded(process.pidfd.raw) == nil {
                throw .failed("reap process", String(process.pid), .busy)
            }
        } catch  where error.errno == .noChild {
            // Somebody else's child, of an adopted container: it has ended, and who that is reaps it.
        } catch {
            throw .failed(error.code, "reap process \(process.pid): \(error)")
        }
    }

    func close(_ handle: Handle) {
        stopWatching(handle)
        linger(handle.io)
    }

    /// Handles Task.Shutdown.
    func shutdown(_ request: TaskShutdownRequest, _ waiter: WaiterID) throws(RPCError) {
        guard table.isEmpty else {
            // A shim with a container stays, whoever asks.
            return
        }
        loop.soon { [weak self] in self?.shutDown() }
    }
}
