package import EngineModel
import EngineShim
import EngineStore
import Kernel

// Exec sessions as a list, and clients that come to them later.
extension Container {
    /// How long, and how many, sessions that have ended stay known.
    private static var endedSessionLife: Duration { .seconds(600) }
    private static var endedSessionCount: Int { 256 }
    /// How long one stays known that nobody starts.
    private static var unusedSessionLife: Duration { .seconds(3600) }

    /// All sessions, those that were begun first at the beginning.
    package func sessions() -> [ExecSnapshot] {
        forgetSessions()
        return execs.values.map(snapshot).sorted {
            ($0.startedAt ?? .now, $0.id.description) < ($1.startedAt ?? .now, $1.id.description)
        }
    }

    private func gotClient(_ id: ExecID) {
        if case .running = execs[id]?.phase, execEnds[id] == nil { execEnds[id] = Promise() }
    }

    /// Forgets sessions that ended long ago.
    func forgetSessions() {
        let ended = execs.values.compactMap { exec in exec.endedAt.map { (exec.id, $0.timestamp) } }.sorted {
            $0.1 > $1.1
        }
        let now = Timestamp.now
        let old = ended.enumerated().filter { index, exec in
            index >= Self.endedSessionCount || now - exec.1 > Self.endedSessionLife
        }.map(\.element.0)
        // Their clients were cut off before they could start them.
        let forgotten = execs.values.filter { exec in
            exec.phase == .created && exec.createdAt.map { now - $0.timestamp > Self.unusedSessionLife } ?? false
        }.map(\.id)
        for id in old + forgotten {
            execs[id] = nil
            node.table.forget(id)
            let path = "\(paths.execs)/\(id)"
            node.supervisor.start { [pool = node.pool] in
                // The note of a session goes with its container in any case.
                _ = try? await pool.run { try File.remove(path) }
            }
        }
    }

    /// Accepts a client of a session that runs: it gets what the session's ring has, then what comes.
    package func attachExec(_ id: ExecID, _ options: AttachOptions) async throws -> ExecSession {
        try await adopted()
        guard let exec = execs[id] else { throw EngineError.noSuchExec(id.description) }
        switch exec.phase {
        case .running: break
        case .ended(let code, _): throw EngineError.conflict("exec \(id) has ended with code \(code)")
        case .created, .starting: throw EngineError.conflict("exec \(id) does not run yet")
        }
        if let keys = options.detachKeys { try Self.check(detachKeys: keys) }
        let isTerminal = exec.configuration.terminal
        return ExecSession(isTerminal: isTerminal && !options.isFramed) { connection in
            guard let connection else { return }
            await self.gotClient(id)
            try await self.pass(connection, options, exec: id, terminal: isTerminal, closesStdin: false, replay: true)
        }
    }
}
