import DocumentTexts
import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

// Files of the bundle that are not as they were.
extension ShimServer {
    /// Handles Supervisor.CheckFiles: what is damaged is said, set aside and written anew from what the shim knows.
    func checkFiles() -> ShimCheckFilesResponse {
        checkToken()
        checkState()
        checkJournal()
        checkRecords()
        defer { damages = [] }
        return ShimCheckFilesResponse.with { $0.damages = damages }
    }

    /// Says so in the log, and to the manager as soon as it asks.
    func tell(_ damage: ShimFileDamage) {
        ShimLog.write(
            "file is damaged",
            ("path", damage.path),
            ("reason", damage.reason),
            ("setAside", damage.setAside)
        )
        damages.append(damage)
    }

    /// Looks at the token's file, also when somebody has shown another token: whoever may do that reads it there.
    func checkToken() {
        guard configuration.hasJournal, let token = configuration.token else { return }
        let path = configuration.context.bundle + "/token"
        // Absent and unreadable are both another one.
        let found = try? File.read(path, limit: 4096)
        guard found != token, found != token + [0x0a] else { return }
        renew(path, "it is not the token") { () throws(KernelError) in
            try File.writeAtomically(path, token, mode: 0o600, durable: false)
        }
    }

    private func checkState() {
        guard configuration.hasJournal, type(of: backend).isRestorable, !table.isEmpty else { return }
        let path = configuration.context.bundle + "/" + StateFile.name
        guard let bytes = try? File.read(path, limit: StateDocument.maximumByteCount) else {
            return renew(path, "it cannot be read") { saveState() }
        }
        guard let reason = CheckedFrame.content(bytes, mark: CheckedFrame.shimState).problem else { return }
        renew(path, reason) { saveState() }
    }

    private func checkJournal() {
        guard configuration.hasJournal else { return }
        let path = configuration.context.bundle + "/journal"
        do throws(KernelError) {
            if let damage = try journal.check(path: path) { tell(damage) }
        } catch {
            tell(.with { ($0.path, $0.reason) = (path, "it cannot be read or written anew: \(error)") })
        }
    }

    private func checkRecords() {
        guard configuration.hasJournal else { return }
        for (name, bytes) in backend.records {
            let path = configuration.context.bundle + "/" + name
            // Absent and unreadable are both another one.
            if let found = try? File.read(path, limit: bytes.count + 1), found == bytes { continue }
            renew(path, "it is not as its backend has written it") { () throws(KernelError) in
                try File.writeAtomically(path, bytes, durable: false)
            }
        }
    }

    private func renew(_ path: String, _ reason: String, _ body: () throws(KernelError) -> Void) {
        var damage = ShimFileDamage()
        (damage.path, damage.reason) = (path, reason)
        do throws(KernelError) {
            if File.exists(path) { damage.setAside = try DamagedFile.moveAside(path) }
            try body()
        } catch {
            damage.reason += "; not written anew: \(error)"
        }
        tell(damage)
    }
}
