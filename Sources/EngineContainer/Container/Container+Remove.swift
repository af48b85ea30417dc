import EngineModel
import EngineSpec
import EngineStore
import Kernel
import Logging

extension Container {
    /// Removes on a user's behalf.
    ///
    /// A second remove joins the first.
    package func remove(force: Bool, volumes: Bool) async throws {
        try await adopted()
        if let removal {
            return try await removal.value()
        }
        if force {
            lifecycle.lastRunRequested()
            if lifecycle.isActive || isStarting || lifecycle.awaitsRestart {
                do {
                    try await end(with: .kill, grace: .zero)
                } catch {
                    guard stuck != nil else { throw error }
                    await wantRemovalLater()
                    var failure = stuckError("removed")
                    failure.message += "; it is removed as soon as that has ended"
                    throw failure
                }
            }
        }
        try await exclusively {
            if lifecycle.phase == .removed { return }
            if !force { try requireSeen() }
            try await requireWritten()
            let actions: [Lifecycle.Action]
            do throws(Lifecycle.Refusal) {
                actions = try lifecycle.removeRequested(force: force)
            } catch {
                throw refusal(error, verb: "remove")
            }
            await perform(actions, exclusive: true)
            try await removeNow(volumes: volumes)
        }
    }

    /// Removes because the configuration says so; the caller holds ``exclusively(_:)``.
    func removeByItself() async {
        guard let actions = try? lifecycle.removeRequested(force: true) else { return }  // somebody else does it
        await perform(actions, exclusive: true)
        do {
            try await removeNow(volumes: true)
        } catch {
            logger.error("container was not removed", metadata: ["error": "\(error)"])
            removeAgainLater()
        }
    }

    /// Tries again what failed for want of space or descriptors, say: nobody asked for it, so nobody else would.
    private func removeAgainLater() {
        removalWanted = true
        failedRemovals += 1
        let pause = min(Duration.seconds(1) * (1 << min(failedRemovals, 6)), .seconds(60))
        node.supervisor.start { [weak self] in
            do { try await Task.sleep(for: pause) } catch { return }
            await self?.removeIfWanted()
        }
    }

    /// The steps of a removal, each of which may be repeated after a crash.
    func removeNow(volumes: Bool) async throws {
        let removal = Promise<Void>()
        self.removal = removal
        do {
            try await removeEverything(volumes: volumes)
            removal.resolve(.success(()))
        } catch {
            let failure = EngineError.wrap(error, "remove container \(id)")
            lifecycle.removeFailed(failure.message)
            self.removal = nil
            await commit([])
            releaseWaits([.notRunning, .nextExit], waitResult())
            releaseWaits(
                [.removed],
                WaitResult(exitCode: lifecycle.lastExit?.status.number ?? 0, error: failure.message)
            )
            removal.resolve(.failure(failure))
            throw failure
        }
    }

    /// What happened is told before the container goes, and with it the journal that is the record of it.
    private func requireWritten() async throws {
        guard await isWritten() else {
            throw EngineError(
                .resourceExhausted,
                "remove container \(id): what happened to it cannot be written to the database; make room and try again"
            )
        }
    }

    private func removeEverything(volumes: Bool) async throws {
        try await requireWritten()
        await commit([])
        node.faults.reached(.removeMarked)
        await tearDown()
        try await requireTornDown()
        node.faults.reached(.removeBundle)
        attaches = []
        let (node, id, paths) = (node, id, paths)
        let anonymous = volumes ? record.plan.mounts.filter(\.point.anonymous).compactMap(\.point.name) : []
        try await node.pool.run {
            try node.images.removeWritable(id)
            node.faults.reached(.removeSnapshot)
            for name in anonymous { _ = try File.removeTree("\(node.paths.volumes)/\(name)") }
            _ = try File.removeTree(paths.durable)
            node.faults.reached(.removeDirectories)
        }
        try await forget()
        node.faults.reached(.removeCommitted)
        lifecycle.removed()
        node.table.remove(id, name: record.name, execs: execs.keys)
        releaseWaits(
            [.removed, .notRunning, .nextExit],
            waitResult()
        )
    }

    /// A bundle that could not be removed is what its shim is found by: the container stays until it is gone, too.
    private func requireTornDown() async throws {
        let bundle = paths.bundle
        guard try await node.pool.run({ try File.isThere(bundle) }) else { return }
        let reason = removalObstacle.map { ": \($0)" } ?? ""
        throw EngineError(.unavailable, "remove container \(id): its bundle '\(bundle)' could not be removed\(reason)")
    }

    /// Deletes the row, and gives the ids back when nothing that could have them is left.
    private func forget() async throws {
        let deletion = ContainerRecord.deletion(id)
        let cgroup = node.cgroup(record).directory
        let isGone = try await node.pool.run { !CgroupCleaner.exists(cgroup) }
        if !isGone {
            logger.error("the cgroup is not removed: its ids stay held", metadata: ["cgroup": "\(cgroup)"])
        }
        let holder = isGone ? id : nil
        try await node.store.write(events: [event("destroy")]) { db in
            try deletion(db)
            if let holder { try IDRanges.release(holder, db) }
        }
        if isGone { node.namespaces.ids.forget(id) } else { node.namespaces.ids.abandon(id) }
        await node.releaseAbandonedIDs()
    }
}
