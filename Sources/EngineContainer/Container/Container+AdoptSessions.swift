import EngineModel
import EngineShim
import EngineStore
import Kernel
import Logging
import ShimProtocol

// Exec sessions of an earlier life of the engine.
extension Container {
    /// Reads the exec sessions that an earlier life noted, before the shim's journal says what became of them.
    ///
    /// One that was being started when the engine ended is known by its process, or not at all.
    func loadExecs() async throws {
        guard execs.isEmpty else { return }
        let (paths, damage, id) = (paths, node.damage, id)
        for var exec in try await node.pool.run({ try Self.noted(paths, damage, id) }) {
            if exec.phase == .starting { exec.phase = .running(pid: 0) }
            execs[exec.id] = exec
            awaitEnd(exec)
            node.table.insert(exec.id, of: id)
        }
    }

    /// Undoes the sessions that the shim was told of and that were not started, which also lets go of clients that wait for them.
    ///
    /// One that runs is not deleted by this, and the journal says that it runs.
    func undoUnstartedExecs() async {
        for exec in execs.values where exec.phase == .created { _ = try? await shim?.client.delete(exec: exec.id) }
    }

    /// Asks what became of the sessions that should run: what no event tells is seen by comparing.
    func compareExecs() async {
        for exec in execs.values {
            guard let client = shim?.client, case .running = exec.phase else { continue }
            do {
                let state = try await client.state(exec: exec.id, deadline: node.deadlines.adoption)
                guard case .running(let pid) = execs[exec.id]?.phase else { continue }
                switch state.status {
                case .stopped:
                    let at = StoredTime(Timestamp(state.exitedAt))
                    let told = ProcessExit(told: state.exitStatus, byOurs: isOurs)
                    comparedEnds.insert(exec.id)
                    await foundEnded(exec.id, Exec.End(told, pid: pid, at: at))
                case .created where pid == 0: await neverStarted(exec.id, "the manager ended before it was started")
                default: await isRunning(exec.id, Int32(truncatingIfNeeded: state.pid))
                }
            } catch let error as RPCError where error.status == .notFound {
                guard case .running(let pid) = execs[exec.id]?.phase else { continue }
                if pid == 0 {
                    await neverStarted(exec.id, "the manager ended before its shim knew of it")
                    continue
                }
                let end = Exec.End(.unknown("the shim does not know it"), pid: pid, at: StoredTime(.now))
                await foundEnded(exec.id, end)
            } catch {
                return  // No answer says nothing; the next connection asks again.
            }
        }
    }

    /// How a session ended of which its shim does not tell, where the kernel does.
    func heldEnd(of exec: ExecID, _ pid: Int32) -> ExitStatus? {
        if let seen = seenEnds[.exec(exec)] { return seen }
        guard pid > 0, let pidfd = node.held[id]["exec/\(exec)/pidfd"] else { return nil }
        // One that was reaped has no number any more, and its start no meaning.
        let start = (try? Pidfd.number(of: pidfd.raw)) == pid ? try? ProcessFacts.startTime(of: pid) : nil
        return HeldProcess(pid: pid, startTime: start ?? 0, pidfd: pidfd).status(node.orphans)
            ?? node.orphans?.status(of: pid)
    }

    /// The container has ended, and with it every session: of those that are left nobody knows how.
    func endLostExecs(at time: Timestamp) async {
        for exec in execs.values {
            switch exec.phase {
            case .running(let pid):
                let status = heldEnd(of: exec.id, pid).map(ProcessExit.init)
                let end = status ?? .unknown("the shim did not report it")
                await foundEnded(exec.id, Exec.End(end, pid: pid, at: StoredTime(time)))
            case .created, .starting, .ended: break
            }
        }
    }

    /// Records an end that is seen by comparing, of which an earlier life may have told that had no room to note it.
    private func foundEnded(_ id: ExecID, _ end: Exec.End) async {
        let began = execs[id]?.startedAt?.timestamp ?? Timestamp(seconds: 0)
        // Where that cannot be known now, it is rather told twice than never.
        let isTold = try? await node.store.hasEvent(
            "exec_die",
            of: self.id.description,
            naming: id.description,
            since: began
        )
        guard case .running = execs[id]?.phase else { return }
        await ended(id, end, isTold: isTold ?? false)
    }

    /// The shim says that a session runs of whose start nobody was told.
    private func isRunning(_ id: ExecID, _ pid: Int32) async {
        guard execs[id]?.phase == .running(pid: 0) else { return }
        execs[id]?.phase = .running(pid: pid)
        await keep(id)
    }

    /// A session has no process and gets none; clients that wait for one are let go of.
    private func neverStarted(_ id: ExecID, _ reason: String) async {
        guard execs[id]?.phase == .running(pid: 0) else { return }
        logger.warning("exec session was not started", metadata: ["exec": "\(id)", "reason": "\(reason)"])
        execs[id]?.phase = .ended(code: Self.notStartedCode, pid: nil)
        execs[id]?.endedAt = StoredTime(.now)
        execs[id]?.problem = reason
        execEnds.removeValue(forKey: id)?.resolve(.success(()))
        await keep(id)
        _ = try? await shim?.client.delete(exec: id)  // one that it does not know is what is wanted
    }

    /// As for a start that failed.
    private static var notStartedCode: Int { 126 }
}
