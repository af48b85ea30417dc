import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging
import ShimProtocol

extension Container {
    /// What an earlier life left of this container is adopted, finished or undone; then its policy is applied.
    package func adopt() async {
        await exclusively { await adoptOnce() }
        adoption.resolve(.success(()))
        await perform(lifecycle.engineStarted(), exclusive: false)
        refreshView()
        await stillStuck()
        // An earlier life could not remove it.
        if record.configuration.autoRemove, lifecycle.phase == .dead { removalWanted = true }
        await removeIfWanted()
    }

    /// One look at what there is, and what follows from it.
    ///
    /// The caller holds ``exclusively(_:)``.
    package func adoptOnce() async {
        let finding = await look()
        let decision = Recovery.decide(lifecycle.phase, finding, now: .now)
        isUnseen = decision == .retry
        switch decision {
        case .leave: await perform(lifecycle.restarterLost(), exclusive: true)
        case .cleanUp:
            await endLeftShim()
            await perform(lifecycle.restarterLost(), exclusive: true)
        case .awaitRestart:
            shim?.hasTask = true
            (reachable, unsupervised) = (true, nil)
            lifecycle.adoptedAwaiting()
            if let shim { follow(shim, after: journaled) }
            // A stop was being made when the engine ended; the shim may not have heard of it.
            if lifecycle.stoppedByUser { await forbidLostRestart() }
        case .finishRemoval:
            await endLeftShim()
            do { try await removeNow(volumes: record.configuration.autoRemove) } catch {
                logger.error("removal was not finished", metadata: ["error": "\(error)"])
            }
        case .adopt(let pid, let paused, let startedAt):
            await adoptRunning(pid: pid, paused: paused, startedAt: startedAt)
        case .succeedShim:
            do { try await succeedShim() } catch {
                // Nothing was decided that could not be decided again.
                logger.warning("dead shim has no successor yet", metadata: ["error": "\(error)"])
                dropConnection()
                lookAgainLater()
            }
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
            if case .incompatible(let refusal) = finding { fellSilent(refusal) } else { fellSilent() }
            // While it lives: how it ended may be told by nobody else later.
            if initProcess == nil, lifecycle.isActive { await holdUnseenInit() }
            watchEnd()
            lookAgainLater()
        }
        refreshView()
    }

    /// Holds the init process of a container whose shim is not reached, unless descriptors are short.
    ///
    /// Those that are left then are for requests.
    private func holdUnseenInit() async {
        let spare = Self.spare
        guard (try? await node.pool.run { try SpareDescriptors.require(spare) }) != nil,
            let held = try? await heldInit()
        else { return }
        initProcess = held
        node.held.hold(held.pidfd, "init/pidfd", of: id)
    }

    private func adoptRunning(pid: Int32, paused: Bool, startedAt: Timestamp) async {
        shim?.hasTask = true
        (reachable, unsupervised) = (true, nil)
        let pid = believedNumber(pid, of: shim)
        if initProcess?.pid != pid { initProcess = HeldProcess(pid: pid) }
        if (try? ProcessFacts(pid))?.parent == Credentials.processID {
            // An earlier program of this process has inherited it from a shim that died.
            shim?.isAdopter = true
            node.adopters.insert(id)
        }
        await undoUnstartedExecs()
        await compareExecs()
        await perform(
            lifecycle.adopted(pid: pid, paused: paused, startedAt: startedAt),
            exclusive: true,
            at: startedAt
        )
        if let shim { follow(shim, after: journaled) }
    }

    /// A shim that was silent is asked again, for as long as its process is there; nothing else waits for it.
    func lookAgainLater() {
        silences += 1
        let pause = min(Duration.seconds(2) * silences, .seconds(30))
        node.supervisor.start { [weak self] in
            do { try await Task.sleep(for: pause) } catch { return }
            guard let self else { return }
            await self.exclusively { if await self.shim == nil { await self.adoptOnce() } }
        }
    }

    // Looking ---------------------------------------------------------------------------------------------------------

    /// What cannot be seen now is no finding: the container is as it was, and is looked at again.
    private func look() async -> Recovery.Finding {
        do { return try await find() } catch {
            dropConnection()
            logger.warning("it cannot be seen what became of the container", metadata: ["error": "\(error)"])
            return .silent
        }
    }

    private func find() async throws -> Recovery.Finding {
        let paths = paths
        let (damage, id) = (node.damage, id)
        let left = try await node.pool.run { () -> (shim: ShimProcess.Found, token: String?, run: String?)? in
            guard try File.isThere(paths.bundle) else { return nil }
            // What it takes it keeps; those who call the API must not find everything taken.
            try SpareDescriptors.require(Self.spare)
            if try ShimProcess.hasDamagedRecord(paths) {
                damage.setAside(paths.shimPid, "it does not name a process", container: id)
            }
            return (try ShimProcess.find(paths), try ShimProcess.token(paths), try ShimProcess.run(paths))
        }
        guard let left else { return .nothing(record: try await recordedExit()?.exit, damage: recordDamage) }
        try await learnRun(left.run)
        try await loadExecs()
        switch left.shim {
        case .gone: return try await gone()
        case .alive(_, let pidfd, _) where Self.hasEnded(pidfd): return try await gone()
        case .alive(let process, let pidfd, true): return try await meet(process, pidfd, left.token)
        case .alive(let process, let pidfd, false):
            let finding = try await meet(process, pidfd, left.token, isSuccessor: true)
            if shim != nil { try await node.pool.run { try ShimProcess.record(process, paths) } }
            return finding
        case .unsaid: return try await meet(nil, nil, left.token)
        }
    }

    /// Takes the name of the run from its file, unless that is damaged: then the shim's state or the database has it.
    private func learnRun(_ written: String?) async throws {
        guard let written, written != run else { return }
        let (paths, known, damage, id) = (paths, run, node.damage, id)
        let found = try await node.pool.run { () -> String? in
            let stated = try ShimStateFile.read(paths).state.flatMap(ShimStateFile.run)
            let isName = written.utf8.count == 16 && HexIdentifier.isHex(written)
            // Without a state nothing has been created; a name that is nearly the known one is no other run's.
            let isLike = zip(written.utf8, (known ?? "").utf8).count { $0 == $1 } >= 12
            guard stated.map({ $0 != written }) ?? (!isName || isLike) else { return written }
            damage.setAside(paths.run, "it is not the name of its run", container: id)
            if let truth = stated ?? known {
                try File.writeAtomically(paths.run, Array(truth.utf8), mode: 0o600, durable: false)
            }
            return stated ?? known
        }
        guard found != run else { return }
        // A run of which the database knows nothing: its journal begins at its beginning.
        (run, journaled, durable, counted, overtaking) = (found, 0, 0, 0, [:])
    }

    /// There is no shim any more: what it wrote down before its end.
    func gone() async throws -> Recovery.Finding {
        let (paths, cursor, damage, id) = (paths, journaled, node.damage, id)
        let (events, announced) = try await node.pool.run { () -> ([ShimEvent], [ShimEvent]) in
            let written = try ShimStateFile.read(paths)
            if let problem = written.damage { damage.setAside(paths.shimState, problem, container: id) }
            do {
                let found = try JournalFile.content(paths.journal, after: cursor, written: written.state?.journal)
                // It stays where it is: a shim that takes over makes it anew, and else nobody writes to it any more.
                if let problem = found.damage { damage.tell("'\(paths.journal)'", problem, container: id) }
                return (found.events, written.state?.journal.announced ?? [])
            } catch let error as KernelError where !error.isShortage {
                damage.tell("'\(paths.journal)'", "\(error)", container: id)
                return ([], [])
            }
        }
        if let end = await takeIn(events) { return end }
        if let end = try await unfinishedStart(announced) { return end }
        return .shimGone(record: try await recordedExit()?.exit)
    }

    /// The end of a start of which the shim has only written that it was about to make it: its program may have run, as it may not.
    ///
    /// What is left of it is killed.
    /// - Throws: when it cannot be seen what is left.
    private func unfinishedStart(_ announced: [ShimEvent]) async throws -> Recovery.Finding? {
        let start = announced.first { $0.topic == EventTopic.start && $0.execID.isEmpty && $0.seq > journaled }
        guard let start, !lifecycle.isActive else { return nil }
        let tasks = CgroupTasks(path: node.cgroup(record).directory)
        let (wasAlive, left) = try await node.pool.run { (try !tasks.isIdle(), try tasks.kill(within: .seconds(1))) }
        guard left.isEmpty else { throw EngineError.internalFailure("process \(left[0]) of its start is left") }
        // It is told once, however often the bundle is found again.
        journaled = max(journaled, start.seq)
        let fate = wasAlive ? "what was left of it was killed" : "nobody saw how its first process ended"
        let unknown = ContainerExit(status: .unknown("manager and shim died while it was started, and \(fate)"))
        return .stopped(
            try await recordedExit()?.exit ?? Lifecycle.Exit(how: unknown, at: .now),
            pid: Int32(truncatingIfNeeded: start.pid),
            startedAt: Timestamp(start.time)
        )
    }

    /// The exit that the shim, or the engine in its place, has recorded of the present run.
    ///
    /// - Throws: what says nothing about the record.
    func recordedExit() async throws -> ExitRecord? {
        guard let run else { return nil }
        let (path, damage, id) = (paths.exitRecord(run), node.damage, id)
        let (record, problem) = try await node.pool.run { () -> (ExitRecord?, String?) in
            // What is not there is no end; what cannot be read is no record, and the exit is unknown then.
            guard try File.isThere(path) else { return (nil, nil) }
            do { return (try ExitRecord(parsing: try File.read(path, limit: 65536)), nil) } catch {
                if ShimConnection.isShortage(error) { throw error }
                damage.setAside(path, "\(error)", container: id)
                return (nil, "its exit record is damaged: \(error)")
            }
        }
        if let problem { recordDamage = problem }
        // The shim itself starts a container again in the same run: then the record is of the process before.
        guard let record, lifecycle.pid == nil || lifecycle.pid == 0 || record.pid == lifecycle.pid else { return nil }
        return record
    }

    private func forbidLostRestart() async {
        do { try await shim?.client.setPolicy(stopped: true) } catch {
            logger.warning("restart was not forbidden", metadata: ["error": "\(error)"])
        }
    }

    /// Events that the database does not have, oldest first, up to the end of init that is the last of the run.
    ///
    /// - Returns: that end, which is not yet taken in; nil without one.
    func takeIn(_ events: [ShimEvent]) async -> Recovery.Finding? {
        let fresh = events.filter { $0.seq > journaled }
        // Before anybody is told of a session: the note of one may be older than its start.
        for event in fresh where event.topic == EventTopic.execStarted { execStarted(event) }
        let ended = fresh.last { [EventTopic.exit, EventTopic.start].contains($0.topic) && $0.execID.isEmpty }
        guard let ended, ended.topic == EventTopic.exit, !ended.hasRestart else {
            for event in fresh { await take(event, exclusive: true) }
            return nil
        }
        let started = fresh.last { $0.topic == EventTopic.start }.map { Timestamp($0.time) }
        for event in fresh where event.seq < ended.seq { await take(event, exclusive: true) }
        if shimRestarts, lifecycle.isActive || lifecycle.status == .restarting {
            // The shim's last word, after which nothing follows.
            await endLostExecs(at: Timestamp(ended.exit.exitedAt))
            await take(ended, exclusive: true)
            return .settled
        }
        journaled = max(journaled, ended.seq)
        // What never began has not ended: its start is undone.
        guard lifecycle.isActive else { return .finished }
        let end = Lifecycle.Exit(how: ContainerExit(ended.exit), at: Timestamp(ended.exit.exitedAt))
        return .stopped(
            end,
            pid: Int32(truncatingIfNeeded: ended.pid),
            startedAt: started ?? lifecycle.startedAt ?? end.at
        )
    }

    // Undoing ---------------------------------------------------------------------------------------------------------

    /// Ends a shim that was left, found by its connection or by its recorded process, and removes the bundle.
    func endLeftShim(keepingBundle: Bool = false) async {
        guard keepingBundle else { return await tearDown() }
        guard shim == nil else { return }
        do { if let pidfd = try await leftShim() { await endShim(pidfd, alive: true) } } catch {
            logger.error("shim that is left was not ended", metadata: ["error": "\(error)"])
        }
    }

    /// The shim that lives and has no connection.
    func leftShim() async throws -> SharedDescriptor? {
        try await node.pool.run { [paths] in try ShimProcess.living(paths) }
    }
}
