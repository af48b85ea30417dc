import Kernel
import ShimProtocol
import SwiftProtobuf
import Synchronization

/// What backends say of themselves, asked once of each program.
package final class BackendAbilities: Sendable {
    /// The name of the ability to map the owners of mounts by the word `idmap`.
    package static let mapsOwners = "idmap"

    private struct Program: Hashable {
        var path: String
        var inode: UInt64
        var modified: Timestamp
    }

    private let known = Mutex<[Program: Set<String>]>([:])

    package init() {}

    /// The abilities of the backend at `path`; none for one that does not say.
    ///
    /// Blocks, at the first time for as long as the program runs.
    package func abilities(of path: String) -> Set<String> {
        guard let status = try? File.status(path, follow: true) else { return [] }  // its start will say why
        let program = Program(path: path, inode: status.inode, modified: status.modified)
        if let found = known.withLock({ $0[program] }) { return found }
        // One that gave no answer is asked again the next time.
        guard let abilities = Self.ask(path) else { return [] }
        known.withLock { $0[program] = abilities }
        return abilities
    }

    /// `-info` is containerd's; the annotation is ours, and another's shim has none.
    private static func ask(_ path: String) -> Set<String>? {
        do {
            let output = try Pipe()
            var spawn = Spawn(arguments: [path, "-info"], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            spawn.descriptors = [1: output.writer.raw]
            let child = try spawn.start(path)
            let (reader, _) = output.ends()
            let deadline = Clock.monotonic.now + .seconds(2)
            var bytes: [UInt8] = []
            while try !reader.poll(for: .readable, timeout: deadline - Clock.monotonic.now).isEmpty {
                let chunk = try reader.read(upTo: 1 << 16)
                bytes += chunk
                if chunk.isEmpty || bytes.count > 1 << 20 { break }
            }
            _ = try child.pidfd.send(.kill)
            _ = try child.pidfd.wait()
            guard !bytes.isEmpty else { return nil }
            let info = try ContainerdRuntimeInfo(serializedBytes: bytes)
            let text = info.annotations["io.berth.capabilities"] ?? ""
            return Set(text.split(separator: ",").map(String.init))
        } catch {
            return nil
        }
    }
}
