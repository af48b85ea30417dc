import EngineModel
import Kernel
import ShimProtocol
import SwiftProtobuf
import Synchronization

/// What backends say of themselves, asked once of each program.
package final class BackendAbilities: Sendable {
    /// The name of the ability to map the owners of mounts by the word `idmap`.
    package static let mapsOwners = "idmap"
    /// The name of the ability to take a compiled filter from the bundle.
    package static let takesPrograms = "seccomp-program"

    private struct Program: Hashable {
        var path: String
        var inode: UInt64
        var modified: Timestamp
    }

    private let known = Mutex<[Program: Set<String>]>([:])

    private let patience: Duration

    /// - Parameter patience: how long a program may take, which does nothing but start and print.
    package init(patience: Duration = .seconds(20)) { self.patience = patience }

    /// The abilities of the backend at `path`; none for one that ends without saying any.
    ///
    /// Blocks, at the first time for as long as the program runs. No answer in time is none at all: to take it for "cannot" would give
    /// containers less isolation than they are promised, on a busy machine and until the next start.
    ///
    /// - Throws: `.unavailable` when the program cannot be asked or does not answer in time; the next call asks again.
    package func abilities(of path: String) throws -> Set<String> {
        guard let status = try? File.status(path, follow: true) else { return [] }  // its start will say why
        let program = Program(path: path, inode: status.inode, modified: status.modified)
        if let found = known.withLock({ $0[program] }) { return found }
        let abilities = try ask(path)
        known.withLock { $0[program] = abilities }
        return abilities
    }

    /// `-info` is containerd's; the annotation is ours, and another's shim has none.
    private func ask(_ path: String) throws -> Set<String> {
        guard let bytes = try answer(of: path) else {
            throw EngineError(.unavailable, "backend '\(path)' did not say within \(patience) what it can: try again")
        }
        // What is no such document is said by a shim that knows no `-info`, and has no ability of ours.
        guard let info = try? ContainerdRuntimeInfo(serializedBytes: bytes) else { return [] }
        let text = info.annotations["io.berth.capabilities"] ?? ""
        return Set(text.split(separator: ",").map(String.init))
    }

    /// What the program has printed when it ended or closed its output; nil when it did neither in time.
    private func answer(of path: String) throws -> [UInt8]? {
        do throws(KernelError) {
            let output = try Pipe()
            var spawn = Spawn(arguments: [path, "-info"], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            spawn.descriptors = [1: output.writer.raw]
            let child = try spawn.start(path)
            let (reader, _) = output.ends()
            let deadline = Clock.monotonic.now + patience
            var bytes: [UInt8] = []
            var isComplete = false
            while !isComplete, try !reader.poll(for: .readable, timeout: deadline - Clock.monotonic.now).isEmpty {
                let chunk = try reader.read(upTo: 1 << 16)
                bytes += chunk
                isComplete = chunk.isEmpty || bytes.count > 1 << 20
            }
            _ = try child.pidfd.send(.kill)
            do throws(KernelError) { _ = try child.pidfd.wait() } catch {
                // The reaper of the manager's children came first; how the program ended says nothing.
                guard error.errno == .noChild else { throw error }
            }
            return isComplete ? bytes : nil
        } catch {
            throw EngineError(.unavailable, "ask backend '\(path)' what it can: \(error)")
        }
    }
}
