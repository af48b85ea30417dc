import EngineModel
import EngineShim
import EngineStore
import Kernel
import Logging
import ShimProtocol

extension Container {
    /// What an earlier life left of this container is adopted, finished or undone; then its policy is applied.
    func adopt() async {
        await exclusively { await adoptOnce() }
        adoption.resolve(.success(()))
        await perform(lifecycle.engineStarted(), exclusive: false)
        refreshView()
    }

    /// One look at what there is, and what follows from it.
    ///
    /// The caller holds ``exclusively(_:)``.
    func adoptOnce() async {
        let finding = await look()
        switch Recovery.decide(lifecycle.phase, finding, now: .now) {
        case .leave: break
        case .cleanUp: await endLeftShim()
        case .finishRemoval:
            await endLeftShim()
            do { try await removeNow(volumes: record.configuration.autoRemove) } catch {
                logger.error("removal was not finished", metadata: ["error": "\(error)"])
            }
        case .adopt(let pid, let paused, let startedAt):
            shim?.hasTask = true
            reachable = true
            await undoUnstartedExecs()
            await perform(
                lifecycle.adopted(pid: pid, paused: paused, startedAt: startedAt),
                exclusive: true,
                at: startedAt
            )
            if let shim { follow(shim, after: journaled) }
        case .recordExit(let exit):
            await endLeftShim(keepingBundle: true)
            await endLostExecs(at: exit.at)
            await perform(lifecycle.exited(exit), exclusive: true, at: exit.at)
        case .recordStartAndExit(let exit, let pid, let startedAt):
            await endLostExecs(at: exit.at)
            await perform(
                lifecycle.adoptedEnded(exit, startedAt: startedAt, pid: pid),
                exclusive: true,
                at: exit.at
            )
        case .retry:
            reachable = false
            lookAgainLater()
        }
        refreshView()
    }

    /// A shim that was silent is asked again, for as long as its process is there; nothing else waits for it.
    private func lookAgainLater() {
        node.supervisor.start { [weak self] in
            do { try await Task.sleep(for: .seconds(2)) } catch { return }
            guard let self else { return }
            await self.exclusively { if await self.shim == nil { await self.adoptOnce() } }
        }
    }

    // Looking ---------------------------------------------------------------------------------------------------------

    private func look() async -> Recovery.Finding {
        let paths = paths
        let known = record.state.shim
        let left = try? await node.pool.run {
            (
                hasBundle: File.exists(paths.bundle), process: ShimProcess.recorded(paths),
                token: ShimProcess.token(paths), exit: Self.exitRecord(paths)
            )
        }
        guard let left, left.hasBundle else { return .nothing(record: current(left?.exit ?? nil)) }
        await loadExecs()
        let pidfd = left.process?.open()
        guard let token = left.token else { return gone(pidfd, left.exit) }
        do {
            let connection = try await ShimConnection.connect(
                to: paths.shimSocket,
                token: token,
                deadline: node.deadlines.adoption,
                group: node.group
            )
            let shim = adoptConnection(connection, process: left.process, pidfd: pidfd)
            if known != left.process.map({ "\($0.pid):\($0.startTime)" }) { journaled = 0 }
            let finding = try await ask(shim, exit: left.exit)
            if finding == .silent { dropConnection() }
            return finding
        } catch {
            dropConnection()
            return gone(pidfd, left.exit)
        }
    }

    private func dropConnection() {
        shim?.client.connection.close()
        shim = nil
    }

    /// A socket that nobody serves: silence while the recorded process lives, else the end.
    private func gone(_ pidfd: SharedDescriptor?, _ exit: ExitRecord?) -> Recovery.Finding {
        pidfd == nil ? .shimGone(record: current(exit)) : .silent
    }

    /// The recorded exit, if it is that of the run that the database speaks of.
    private func current(_ record: ExitRecord?) -> Lifecycle.Exit? {
        guard let record else { return nil }
        if let started = lifecycle.startedAt, record.exit.at < started { return nil }
        return record.exit
    }

    private func ask(_ shim: Shim, exit: ExitRecord?) async throws -> Recovery.Finding {
        do {
            let deadline = node.deadlines.adoption
            let events = try await shim.client.events(after: 0, wait: .zero).events
            // Before anybody is told of a session: the note of one may be older than its start.
            for event in events where event.topic == EventTopic.execStarted { execStarted(event) }
            let started = events.last { $0.topic == EventTopic.start }.map { Timestamp($0.time) }
            let startedAt = started ?? exit?.startedAt ?? lifecycle.startedAt ?? .now
            let ended = events.last { $0.topic == EventTopic.exit && $0.execID.isEmpty }
            if let ended {
                await replay(events.filter { $0.seq < ended.seq })
                journaled = max(journaled, ended.seq)
                let end = Lifecycle.Exit(how: ContainerExit(ended.exit), at: Timestamp(ended.exit.exitedAt))
                return .stopped(end, pid: Int32(truncatingIfNeeded: ended.pid), startedAt: startedAt)
            }
            let state = try await shim.client.state(deadline: deadline)
            let pid = Int32(truncatingIfNeeded: state.pid)
            switch state.status {
            case .created: return .created
            case .running: return .running(pid: pid, paused: false, startedAt: startedAt)
            case .paused, .pausing: return .running(pid: pid, paused: true, startedAt: startedAt)
            case .stopped:
                let fallback = Lifecycle.Exit(
                    how: ContainerExit(status: .code(UInt8(truncatingIfNeeded: state.exitStatus))),
                    at: Timestamp(state.exitedAt)
                )
                return .stopped(exit?.exit ?? fallback, pid: pid, startedAt: startedAt)
            default: return .silent
            }
        } catch let error as RPCError where error.status == .notFound {
            if let exit = current(exit), lifecycle.isActive {
                return .stopped(exit, pid: lifecycle.pid ?? 0, startedAt: lifecycle.startedAt ?? exit.at)
            }
            return .noTask
        } catch let error as RPCError where error.status == .deadlineExceeded {
            return .silent
        }
    }

    /// Events before the exit that the database does not have yet.
    private func replay(_ events: [ShimEvent]) async {
        guard let shim else { return }
        for event in events where event.seq > journaled { await received(event, from: shim) }
    }

    private static func exitRecord(_ paths: ContainerPaths) -> ExitRecord? {
        guard let bytes = try? File.read(paths.exitRecord, limit: 65536) else { return nil }  // not ended
        return try? ExitRecord(parsing: bytes)  // what cannot be read is not a record; the exit is then unknown
    }

    // Exec sessions ---------------------------------------------------------------------------------------------------

    /// Reads the exec sessions that an earlier life noted, before the shim's journal says what became of them.
    ///
    /// One that was being started when the engine ended is known by its process, or not at all.
    private func loadExecs() async {
        guard execs.isEmpty, let noted = try? await node.pool.run({ [paths] in Self.noted(paths) }) else { return }
        for var exec in noted {
            if exec.phase == .starting { exec.phase = .running(pid: 0) }
            execs[exec.id] = exec
            node.table.insert(exec.id, of: id)
        }
    }

    /// Undoes the sessions that the shim was told of and that were not started, which also lets go of clients that wait for them.
    ///
    /// One that runs is not deleted by this, and the journal says that it runs.
    private func undoUnstartedExecs() async {
        for exec in execs.values where exec.phase == .created { _ = try? await shim?.client.delete(exec: exec.id) }
    }

    /// The container has ended, and with it every session: of those that are left nobody knows how.
    private func endLostExecs(at time: Timestamp) async {
        for exec in execs.values {
            let code = ContainerExit(status: .unknown("the shim did not report it")).status.number
            switch exec.phase {
            case .running(let pid): await ended(exec.id, Exec.End(code: code, pid: pid, at: StoredTime(time)))
            case .created, .starting, .ended: break
            }
        }
    }

    // Undoing ---------------------------------------------------------------------------------------------------------

    /// Ends a shim that was left, found by its connection or by its recorded process, and removes the bundle.
    private func endLeftShim(keepingBundle: Bool = false) async {
        if shim != nil, !keepingBundle { return await tearDown() }
        if shim == nil, let process = ShimProcess.recorded(paths), let pidfd = process.open() {
            await endShim(pidfd, alive: true)
        }
        if !keepingBundle { await tearDown() }
    }
}
