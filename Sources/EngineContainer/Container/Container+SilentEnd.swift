import EngineModel
import EngineShim
import EngineStore
import Kernel
import Logging

/// How and when a first process ended of which its shim does not tell.
struct SilentEnd: Sendable {
    let process: HeldProcess
    /// When it was seen, which is at once or at the next look.
    let at: Timestamp
    /// Nil where nobody tells: the shim has reaped it.
    let status: ExitStatus?
    /// How often the shim was looked at since, and was silent without a break.
    var looks = 0

    func isOf(_ other: HeldProcess) -> Bool {
        process.pid == other.pid && process.startTime == other.startTime
    }
}

// The end of a container under a shim that is silent: nobody waits for such a shim without end.
//
// The shim is ended when both are seen: the first process has ended, and the shim has not said so for several looks in a row. What follows is
// what follows a shim's death at any moment, so one that goes on in that very moment does no harm: what it has written down is read after its
// end, and a successor does the rest.
extension Container {
    /// How often a silent shim is looked at before it is ended; nil when it is not.
    private func patience(_ silence: SilentShim) -> Int? {
        // It says what has become of its container, and may start it again: only nobody here understands it.
        if self.silence?.refusal != nil { return nil }
        // It ends no sooner than it would answer.
        if silence.state.hasPrefix("D") { return nil }
        // It may be slow, or unheard. Looks and not time: while this process stands still itself nobody has waited for an answer.
        guard silence.isStill else { return 15 }
        // One that nobody can tell that the user has ended its container would start it again.
        return shim == nil && lifecycle.stoppedByUser ? 0 : 3
    }

    /// One more look at a silent shim: whether the first process has ended, which a shim that stays silent does not tell.
    func lookAtEnd() {
        watchEnd()
        guard noteEnd() else { return }
        silentEnd?.looks += 1
        endSilentShimIfDue()
    }

    /// Notes the end when it comes, in a job of its own: what nobody else tells is to be seen before somebody reaps the process.
    func watchEnd() {
        guard silence != nil, let held = initProcess, watchedStart != held.startTime else { return }
        watchedStart = held.startTime
        node.supervisor.start { [weak self, waiter = node.waiter] in
            guard await waiter.readable(held.pidfd.raw), let self, await self.noteEnd() else { return }
            await self.endSilentShimIfDue()
        }
    }

    /// - Returns: whether the first process has ended under a silent shim.
    private func noteEnd() -> Bool {
        guard silence != nil, lifecycle.isActive, let held = initProcess else { return false }
        if let silentEnd, silentEnd.isOf(held) { return true }
        let status = held.status(node.orphans)
        guard status != nil || held.hasEnded else { return false }
        silentEnd = SilentEnd(process: held, at: .now, status: status)
        return true
    }

    /// Whether the first process has ended and the shim has been silent about it for long enough, by what that does now.
    ///
    /// `isForced`: it is not waited for, unless it may be slow.
    private func isDue(isForced: Bool = false) -> Bool {
        guard noteEnd(), let silence, let end = silentEnd, unsupervised == nil, stuck == nil, !isUpgradingShim else {
            return false
        }
        let now = SilentShim.look(silence.pid, silence.startTime, since: silence.since)
        guard let patience = patience(now) else { return false }
        return end.looks >= patience || isForced && now.isStill
    }

    private func endSilentShimIfDue() {
        guard isDue() else { return }
        node.supervisor.start { [weak self] in
            guard let self else { return }
            await self.exclusively { _ = await self.endSilentShim() }
            await self.removeIfWanted()
        }
    }

    /// Ends the shim that does not tell of the end of its container; who follows it tells.
    ///
    /// The caller holds ``exclusively(_:)``. `isForced`: at a user's wish, who does not wait.
    /// - Returns: whether it was ended.
    @discardableResult
    func endSilentShim(isForced: Bool = false) async -> Bool {
        guard isDue(isForced: isForced) else { return false }
        await seeEnds()
        defer { seenEnds = [:] }
        // Without its process there is nobody to end: `stop` does without it.
        var pidfd = shim?.pidfd
        if pidfd == nil { pidfd = try? await leftShim() }
        guard let pidfd else { return false }
        await holdOutputs(of: pidfd)
        // It may have gone on meanwhile.
        guard isDue(isForced: isForced) else { return false }
        logger.warning("container has ended and its shim does not say so: the shim is ended")
        await endShim(pidfd, alive: true)
        dropConnection()
        await adoptOnce()
        return true
    }

    /// Holds what a shim has not read yet that was silent before it could give it away: nobody else has it open.
    private func holdOutputs(of pidfd: SharedDescriptor) async {
        let (paths, held) = (paths, Set(node.held[id].keys))
        // What cannot be had is lost with the shim.
        let found = try? await node.pool.run { () throws(KernelError) -> [String: SharedDescriptor] in
            guard let state = try ShimStateFile.read(paths).state else { return [:] }
            return try ShimStateFile.outputs(state, of: try Pidfd.number(of: pidfd.raw), except: held)
        }
        for (name, descriptor) in found ?? [:] { node.held.hold(descriptor, name, of: id) }
    }

    /// How a process ended, by whoever has seen it.
    func end(of held: HeldProcess) -> ExitStatus? {
        if let silentEnd, silentEnd.isOf(held), let status = silentEnd.status { return status }
        return held.status(node.orphans)
    }

    /// The time of an end that was seen before a shim tells of it that was silent, or its successor.
    func trueTime(_ exit: Lifecycle.Exit) -> Lifecycle.Exit {
        guard let silentEnd, silentEnd.process.pid == lifecycle.pid, silentEnd.at < exit.at else { return exit }
        return Lifecycle.Exit(how: exit.how, at: silentEnd.at)
    }

    // Restarts --------------------------------------------------------------------------------------------------------

    /// Tells a shim what its record says of restarts, in a job of its own: a call that it did not answer may have told it something else.
    ///
    /// What one that stands still is told waits in its socket, behind that call, and is the first thing that it hears.
    func tellPolicyLater(_ shim: Shim) {
        node.supervisor.start { [weak self] in await self?.tellPolicy(shim) }
    }

    private func tellPolicy(_ shim: Shim) async {
        guard self.shim?.generation == shim.generation, shimRestarts, lifecycle.isActive || lifecycle.awaitsRestart
        else { return }
        let isStopped = lifecycle.stoppedByUser
        do {
            try await shim.client.setPolicy(
                isStopped ? nil : shimPolicy(record.configuration.restartPolicy),
                stopped: isStopped,
                deadline: Self.signalDeadline
            )
        } catch {
            logger.info("shim was not told its restart policy", metadata: ["error": "\(error)"])
        }
    }

    /// Writes into a dead shim's state what the record says of restarts, before another one goes on with it.
    func correctPolicyOfTheDead() async throws {
        // Where the configuration is lost the shim knows better.
        let policy = damage == nil && !joinsAnother ? shimPolicy(record.configuration.restartPolicy) : nil
        let (paths, isStopped) = (paths, lifecycle.stoppedByUser)
        try await node.pool.run { try ShimStateFile.correct(paths, policy: policy, isStopped: isStopped) }
    }
}
