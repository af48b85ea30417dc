import EngineModel
import EngineShim
import EngineStore
import Kernel
import Logging
import ShimProtocol

// A shim that does not answer is a state: which process it is, what that does, and since when.
extension Container {
    /// How long a shim whose process stands still may take for an answer before it is known to be silent.
    private static var stillDeadline: Duration { .seconds(1) }
    /// How long one question waits in a silent shim: its answer is what tells that the shim goes on.
    private static var silenceDeadline: Duration { .seconds(60) }

    /// What the shim says, or does not say, decides whether it is reachable.
    func answered(_ shim: Shim, _ answered: Bool) {
        guard self.shim?.generation == shim.generation, reachable != answered else { return }
        if answered {
            reachable = true
            refreshView()
        } else {
            fellSilent()
            listen(to: shim)
        }
    }

    /// Nobody reaches the shim, or speaks with it for `refusal`: said once, and shown until somebody does.
    func fellSilent(_ refusal: OtherProtocol? = nil) {
        reachable = false
        defer { refreshView() }
        guard silence == nil || refusal != silence?.refusal else { return }
        // Without a record nobody knows which process it is.
        let process = shim?.process ?? (try? ShimProcess.recorded(paths))
        var found = SilentShim.look(process?.pid, process?.startTime, since: silence?.since ?? .now)
        found.refusal = refusal
        silence = found
        silentEnd?.looks = 0
        watchEnd()
        var facts = ["shim": String(found.pid ?? 0), "state": found.state, "waitChannel": found.waitChannel]
        facts["reason"] = refusal?.description
        logger.warning(
            refusal == nil ? "shim does not answer" : "shim is not spoken with",
            metadata: facts.mapValues { "\($0)" }
        )
        tellLater("unreachable", facts)
    }

    /// The end of a silence; the container's own end is none.
    func silenceIsOver(_ was: SilentShim) {
        silence = nil
        logger.warning("shim answers again", metadata: ["since": "\(was.since)"])
        tellLater("reachable", [:])
        if let shim { tellPolicyLater(shim) }
    }

    private func tellLater(_ action: String, _ facts: [String: String]) {
        let event = event(action, facts)
        node.supervisor.start { [weak self] in await self?.publish([event]) }
    }

    // Doubt -----------------------------------------------------------------------------------------------------------

    /// A call had no answer in time; `isSure` unless it is one that may take its time in a shim that works.
    func calledInVain(_ generation: UInt64, isSure: Bool) {
        guard let shim, shim.generation == generation else { return }
        if isSure { answered(shim, false) } else { doubt(shim) }
    }

    /// Something says that the shim may not answer any more: it is asked what any shim answers at once.
    func doubt(_ shim: Shim, within deadline: Duration = ShimClient.shortestTelling) {
        let generation = shim.generation
        guard self.shim?.generation == generation, reachable, !isUpgradingShim, doubted != generation else { return }
        doubted = generation
        node.supervisor.start { [weak self] in
            let spoke = await shim.client.speaks(within: deadline)
            await self?.doubtIsOver(shim, isSilent: spoke == false)
        }
    }

    private func doubtIsOver(_ shim: Shim, isSilent: Bool) {
        if doubted == shim.generation { doubted = 0 }
        if isSilent, !isUpgradingShim { answered(shim, false) }
    }

    /// Notices that a silent shim goes on, in a job of its own: one question at a time waits in it for that.
    private func listen(to shim: Shim) {
        node.supervisor.start { [weak self] in
            while !Task.isCancelled, await self?.isSilent(shim) == true {
                switch await shim.client.speaks(within: Self.silenceDeadline) {
                case true?: await self?.answered(shim, true)
                case false?: break
                // Who watches the connection decides what follows.
                case nil: return
                }
            }
        }
    }

    private func isSilent(_ shim: Shim) -> Bool {
        self.shim?.generation == shim.generation && !reachable
    }

    // Looking ---------------------------------------------------------------------------------------------------------

    /// Looks at the shim's process, which wakes nobody: one that stands still is asked whether it answers.
    ///
    /// Nothing else tells before the poll that waits in it is overdue.
    package func lookAtShim() {
        if let silence {
            lookAgain(silence)
            return lookAtEnd()
        }
        guard let shim, reachable, let process = shim.process else { return }
        if SilentShim.look(process.pid, process.startTime, since: .now).isStill {
            doubt(shim, within: Self.stillDeadline)
        }
    }

    private func lookAgain(_ old: SilentShim) {
        var now = SilentShim.look(old.pid, old.startTime, since: old.since)
        now.refusal = old.refusal
        guard now != old else { return }
        silence = now
        refreshView()
        // One that could not be met when the engine started is met as soon as it goes on.
        guard shim == nil, old.isStill, !now.isStill else { return }
        node.supervisor.start { [weak self] in
            guard let self else { return }
            await self.exclusively { if await self.shim == nil, await self.silence != nil { await self.adoptOnce() } }
        }
    }
}

extension SilentShim {
    /// What the process of a shim does now; without a process nothing is known of it.
    static func look(_ pid: Int32?, _ startTime: UInt64?, since: Timestamp) -> SilentShim {
        var result = SilentShim(since: since)
        (result.pid, result.startTime) = (pid, startTime)
        // One that is gone has no state.
        guard let pid, let facts = try? ProcessFacts(pid), facts.startTime == startTime else { return result }
        result.state = Self.stateText(facts.state)
        guard result.isStill else { return result }
        let channel = (try? File.readText("/proc/\(pid)/wchan", limit: 256)) ?? ""  // hidden from some
        result.waitChannel = channel == "0" ? "" : channel
        return result
    }
}
