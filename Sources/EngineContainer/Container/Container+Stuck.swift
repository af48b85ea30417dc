import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging

extension Container {
    /// Tasks are left after a kill: says so, and looks again until they are gone.
    func becameStuck() async {
        let isNew = stuck == nil
        await lookAtStuck()
        guard isNew, let stuck, let first = stuck.tasks.first else { return }
        logger.error("container cannot be killed", metadata: ["left": "\(stuck.summary)"])
        let attributes = ["pid": String(first.pid), "command": first.command, "waitChannel": first.waitChannel]
        await commit([event("stuck", attributes)])
        watchStuck()
    }

    /// What an earlier life found stuck is stuck still, or no longer.
    func stillStuck() async {
        guard let since = record.state.stuckSince, stuck == nil else { return }
        stuck = StuckState(since: since.timestamp, tasks: [])
        await lookAtStuck()
        if stuck != nil { watchStuck() }
    }

    private func lookAtStuck() async {
        let tasks = CgroupTasks(path: node.cgroup(record).directory)
        // What cannot be looked at is as it was.
        guard let left = try? await node.pool.run({ try tasks.stuck() }) else { return }
        guard !left.isEmpty else { return await noLongerStuck() }
        stuck = StuckState(since: stuck?.since ?? .now, tasks: left)
        refreshView()
    }

    private func watchStuck() {
        node.supervisor.start { [weak self] in
            var pause = Duration.milliseconds(250)
            while !Task.isCancelled {
                do { try await Task.sleep(for: pause) } catch { return }
                guard let self, await self.stuck != nil else { return }
                await self.lookAtStuck()
                // A wait of the kernel has no end that could be waited for.
                pause = min(pause * 2, .seconds(10))
            }
        }
    }

    private func noLongerStuck() async {
        guard let was = stuck else { return }
        stuck = nil
        logger.notice("container is no longer stuck", metadata: ["since": "\(was.since)"])
        await commit([event("unstuck")])
        await removeIfWanted()
    }

    /// What a client is told.
    func stuckError(_ verb: String) -> EngineError {
        EngineError(
            .failedPrecondition,
            "container \(id) cannot be \(verb): \(stuck?.summary ?? "a process") remains after SIGKILL",
            reason: .conflict
        )
    }

    // Removal that waits ----------------------------------------------------------------------------------------------

    /// Somebody wants it removed and it cannot be killed: it goes when it has ended, and its name is free by policy.
    func wantRemovalLater() async {
        removalWanted = true
        if (record.configuration.stuckPolicy ?? .release) == .release { await releaseName() }
        await commit([])
    }

    /// Gives the name to whoever wants it; the container keeps one that tells where it comes from.
    private func releaseName() async {
        let (old, new) = (record.name, "\(record.name)_stuck_\(id.short)")
        guard !old.hasSuffix("_stuck_\(id.short)") else { return }
        do {
            try await rename(to: new)
        } catch {
            logger.error("name was not released", metadata: ["name": "\(old)", "error": "\(error)"])
        }
    }

    /// Removes a container that has ended at last; in a job of its own, for its caller may hold the container.
    func wantRemoval() {
        node.supervisor.start { [weak self] in await self?.removeIfWanted() }
    }

    func removeIfWanted() async {
        guard removalWanted, stuck == nil else { return }
        await exclusively {
            guard removalWanted, [.created, .exited, .dead].contains(lifecycle.phase) else { return }
            await removeByItself()
        }
    }
}
