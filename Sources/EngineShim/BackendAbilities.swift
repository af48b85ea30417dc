import EngineModel
import Kernel
import NIOPosix
import ShimProtocol
import SwiftProtobuf
import Synchronization

/// What a backend's program says of itself.
package struct BackendFacts: Sendable, Equatable {
    /// Its version; empty for one that does not say.
    package var version = ""
    /// Words for what it can beyond the contract; none for another's shim.
    package var abilities: Set<String> = []
    /// Why it says nothing; nil when it has said what it is.
    package var silence: String?
}

/// What backends say of themselves, asked once of each program.
///
/// On threads of its own, and one for each program at most: a program that does not end keeps nobody waiting but who wants it.
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

    /// A question that is being answered: who asks for less patience does not wait with the others.
    private struct Question: Hashable {
        var path: String
        var patience: Duration
    }

    private typealias Waiting = CheckedContinuation<BackendFacts, any Error>

    private let known = Mutex<[Program: BackendFacts]>([:])
    private let asking = Mutex<[Question: [Waiting]]>([:])
    private let pool = NIOThreadPool(numberOfThreads: 16)
    private let patience: Duration

    /// - Parameter patience: how long a program may take, which does nothing but start and print.
    package init(patience: Duration = .seconds(20)) {
        self.patience = patience
        pool.start()
    }

    deinit { pool.shutdownGracefully { _ in } }

    /// The abilities of the backend at `path`; none for one that ends without saying any.
    ///
    /// - Throws: as ``facts(of:within:)``.
    package func abilities(of path: String) async throws -> Set<String> { try await facts(of: path).abilities }

    /// What the backend at `path` says; nothing for one that ends without saying it.
    ///
    /// No answer in time is none at all: to take it for "cannot" would give containers less isolation than they are promised, on a
    /// busy machine and until the next start.
    ///
    /// - Throws: `.unavailable` when the program cannot be asked or does not answer in time; the next call asks again.
    package func facts(of path: String, within patience: Duration? = nil) async throws -> BackendFacts {
        let question = Question(path: path, patience: patience ?? self.patience)
        return try await withCheckedThrowingContinuation { continuation in
            let isFirst = asking.withLock { asking in
                asking[question, default: []].append(continuation)
                return asking[question]?.count == 1
            }
            if isFirst { begin(question) }
        }
    }

    private func begin(_ question: Question) {
        pool.submit { [self] state in
            let result: Result<BackendFacts, any Error> =
                state == .active ? Result { try look(question) } : .failure(CancellationError())
            let waiting = asking.withLock { $0.removeValue(forKey: question) ?? [] }
            for continuation in waiting { continuation.resume(with: result) }
        }
    }

    private func look(_ question: Question) throws -> BackendFacts {
        let path = question.path
        // One that is not there: its start will say why.
        guard let status = try? File.status(path, follow: true) else { return BackendFacts() }
        let program = Program(path: path, inode: status.inode, modified: status.modified)
        if let found = known.withLock({ $0[program] }) { return found }
        let facts = try ask(path, question.patience)
        known.withLock { $0[program] = facts }
        return facts
    }

    /// `-info` is containerd's; the annotation is ours, and another's shim has none.
    private func ask(_ path: String, _ patience: Duration) throws -> BackendFacts {
        guard let bytes = try answer(of: path, patience) else {
            throw EngineError(.unavailable, "backend '\(path)' did not say within \(patience) what it can: try again")
        }
        // What is no such document is said by a shim that knows no `-info`, and has no ability of ours.
        guard let info = try? ContainerdRuntimeInfo(serializedBytes: bytes), !info.version.version.isEmpty else {
            return BackendFacts(silence: Self.stranger(path))
        }
        let text = info.annotations["io.berth.capabilities"] ?? ""
        return BackendFacts(
            version: info.version.version,
            abilities: Set(text.split(separator: ",").map(String.init))
        )
    }

    private static func stranger(_ path: String) -> String {
        "'\(path)' is no shim of Berth's: it answers '-info' with no version. Another's shim v2 program is named by 'shim', an OCI runtime by "
            + "'runtime', in place of 'program'"
    }

    /// What the program has printed when it ended or closed its output; nil when it did neither in time.
    private func answer(of path: String, _ patience: Duration) throws -> [UInt8]? {
        do throws(KernelError) {
            let output = try Pipe()
            var spawn = Spawn(arguments: [path, "-info"], environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
            spawn.descriptors = [1: output.writer.raw]
            let child = try spawn.start(path)
            let session = ProcessSession(of: child.pid)
            let (reader, _) = output.ends()
            let deadline = Clock.monotonic.now + patience
            var bytes: [UInt8] = []
            var isComplete = false
            while !isComplete, try !reader.poll(for: .readable, timeout: deadline - Clock.monotonic.now).isEmpty {
                let chunk = try reader.read(upTo: 1 << 16)
                bytes += chunk
                isComplete = chunk.isEmpty || bytes.count > 1 << 20
            }
            // Nothing of it is left, whatever it has started.
            session.kill(within: .seconds(1))
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
