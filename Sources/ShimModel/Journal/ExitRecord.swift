import DocumentTexts
package import Kernel

/// The file that says how a container ended; on disk before anybody is told.
package enum ExitRecord {
    /// The document for one end.
    static func document(id: String, pid: Int32, exit: ProcessExit) -> [UInt8] {
        var status = JSONText()
        switch exit.status {
        case .code(let code): status.add("code", code)
        case .signal(let signal): status.add("signal", signal)
        case .unknown(let reason): status.add("unknown", reason)
        }
        var record = JSONText()
        record.add("version", 1)
        record.add("id", id)
        record.add("pid", pid)
        record.add("status", status)
        if let startedAt = exit.startedAt {
            record.add("startedAt", startedAt.description)
        }
        record.add("exitedAt", exit.exitedAt.description)
        record.add("oomKilled", exit.oomKilled)
        record.add("oomOwner", exit.oomOwner)
        record.add("restartCount", exit.restartCount)
        return CheckedObject.sealed(record.bytes)
    }

    /// Replaces the file, durably.
    package static func write(_ path: String, id: String, pid: Int32, exit: ProcessExit) throws(KernelError) {
        try File.writeAtomically(path, document(id: id, pid: pid, exit: exit) + [0x0a], durable: true)
    }
}
