import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging
import ShimProtocol

// What is done away with when a container has ended, or was never begun.
extension Container {
    /// Ends whatever a shim left: the task, the shim itself, the bundle.
    ///
    /// Does nothing when there is nothing.
    ///
    /// Runs under ``exclusively(_:)``. An answer that does not come within its deadline is not waited for again: the exit is on
    /// record by then, so the process may be ended from outside.
    func tearDown() async {
        guard await isWritten() else { return afterCommit.append(.tearDown) }
        // A shim that was silent before is not waited for in full length again.
        let deadline: Duration? = reachable ? nil : .seconds(2)
        var isDeleted = false
        if let shim {
            do {
                _ = try await shim.client.delete(deadline: deadline)
                isDeleted = true
            } catch let error as RPCError where [.notFound, .unavailable].contains(error.status) {
                // No task, or no shim any more: nothing to delete.
                isDeleted = error.status == .notFound
            } catch {
                logger.warning("task was not deleted", metadata: ["error": "\(error)"])
            }
            node.faults.reached(.exitDeleted)
            var answered = true
            do {
                try await shim.client.shutdown(deadline: deadline)
            } catch {
                answered = false
                logger.warning("shim did not shut down", metadata: ["error": "\(error)"])
            }
            shim.client.connection.close()
            // One that talks on and listens to nobody hears of no end either.
            if shim.client.connection.isBroken { answered = false }
            if let pidfd = shim.pidfd {
                if answered { await leaveShim(pidfd) } else { await endShim(pidfd, alive: true) }
            }
            node.faults.reached(.exitShutDown)
            self.shim = nil
        } else {
            do {
                // Nobody talks to it, and what it is for goes.
                if let pidfd = try await leftShim() { await endShim(pidfd, alive: true) }
            } catch {
                // Its bundle is what it is found by: the next start or removal tries again.
                removalObstacle = "\(error)"
                return logger.error("bundle was not removed", metadata: ["error": "\(error)", "id": "\(id)"])
            }
        }
        letGo()
        if !isDeleted { await deleteByProgram() }
        await removeBundle()
    }

    /// How long a backend's `delete` may take: another's program, which it runs for a few seconds, included.
    private var deleteDeadline: Duration { min(.seconds(20), node.deadlines.start) }

    /// Has the backend's own program remove what a shim has left that did not do so itself, as containerd does.
    ///
    /// What it prints is not asked for: how the container ended is known by now, or nobody knows it.
    private func deleteByProgram() async {
        let (node, id, paths, run, name) = (node, id, paths, run ?? "", record.plan.backend)
        do {
            let started = try await node.pool.run { () -> (session: ProcessSession, pidfd: SharedDescriptor)? in
                guard try File.isThere(paths.bundle) else { return nil }
                let launch = ShimProcess.Launch(
                    backend: try node.backend(name),
                    id: id,
                    paths: paths,
                    run: run,
                    faults: node.faults
                )
                return try ShimProcess.startDelete(launch)
            }
            guard let started, await !ended(started.pidfd, within: deleteDeadline) else { return }
            logger.error("'delete' of the backend does not end", metadata: ["pid": "\(started.session.leader)"])
            _ = try await node.pool.run { started.session.kill(within: .seconds(1)) }
            _ = await ended(started.pidfd, within: .seconds(1))
        } catch {
            // What it would have removed is removed as far as that is possible without it.
            logger.error("'delete' of the backend was not run", metadata: ["error": "\(error)"])
        }
    }

    /// Waits for the end of a shim that is about to end.
    ///
    /// Clients that have not taken everything keep it for as long as they take something, and nobody else waits for those.
    private func leaveShim(_ pidfd: SharedDescriptor) async {
        if await ended(pidfd, within: .seconds(1)) { return }
        logger.info("shim stays for clients that have not read everything")
        node.supervisor.start { [weak self] in
            guard let self, await !self.ended(pidfd, within: .seconds(600)), !Task.isCancelled else { return }
            await self.endShim(pidfd, alive: true)
        }
    }

    /// Waits for a shim's end and reaps it; `alive` kills it first.
    func endShim(_ pidfd: SharedDescriptor, alive: Bool) async {
        if !alive, await ended(pidfd, within: .seconds(5)) { return }
        // It is ours, nothing of the container depends on it any more, and it does not go by itself.
        _ = try? Pidfd.send(.kill, to: pidfd.raw)
        if await !ended(pidfd, within: .seconds(5)) {
            logger.error("shim does not end", metadata: ["shim": "\(shim?.process?.pid ?? 0)"])
        }
    }

    func ended(_ pidfd: SharedDescriptor, within deadline: Duration) async -> Bool {
        let waiter = node.waiter
        let ended = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await waiter.readable(pidfd.raw) }
            group.addTask {
                // Cancelled as soon as the process has ended.
                try? await Task.sleep(for: deadline)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
        // A shim of an earlier life is somebody else's child: then there is nothing to reap.
        if ended { _ = try? Pidfd.reapIfEnded(pidfd.raw) }
        return ended
    }

    func removeBundle() async {
        let (paths, id, cgroup) = (paths, id, node.cgroup(record).directory)
        // There is nobody left who could be silent, and nobody who answers again.
        silence = nil
        (reachable, unsupervised) = (true, nil)
        refreshView()
        do {
            let isEmpty = try await node.pool.run {
                let isEmpty = try CgroupTasks(path: cgroup).kill(within: .seconds(1)).isEmpty
                try MountPoints.unmountAll(inside: paths.bundle)
                _ = try File.removeTree(paths.bundle)
                if isEmpty { try CgroupCleaner.remove(cgroup) }
                return isEmpty
            }
            removalObstacle = nil
            if !isEmpty { await becameStuck() }
        } catch {
            removalObstacle = "\(error)"
            logger.error("bundle was not removed", metadata: ["error": "\(error)", "id": "\(id)"])
        }
    }
}
