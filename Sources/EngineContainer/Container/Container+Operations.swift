package import EngineModel
package import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging
import OCISpec
import ShimProtocol

extension Container {
    /// A refusal in the words of Docker's daemon.
    func refusal(_ refusal: Lifecycle.Refusal, verb: String) -> EngineError {
        switch refusal {
        case .alreadyRunning: .notModified("container \(id) is already running")
        case .notRunning where verb == "stop": .notModified("container \(id) is already stopped")
        case .notRunning: .conflict("container \(id) is not running")
        case .paused where verb == "start": .conflict("cannot start a paused container, try unpause instead")
        case .paused where verb == "remove":
            .conflict(
                "cannot remove container \"/\(record.name)\": container is paused and must be unpaused first"
            )
        case .paused: .conflict("Container \(id) is paused, unpause the container before \(verb)")
        case .alreadyPaused: .conflict("Container \(id) is already paused")
        case .notPaused: .conflict("Container \(id) is not paused")
        case .restarting where verb == "remove":
            .conflict(
                "cannot remove container \"/\(record.name)\": container is restarting: "
                    + "stop the container before removing or force remove"
            )
        case .restarting: .conflict("Container \(id) is restarting, wait until the container is running")
        case .removing where verb == "start":
            .conflict("container is marked for removal and cannot be started")
        case .removing: .conflict("removal of container \(id) is already in progress")
        case .starting: .conflict("container \(id) is being started")
        case .runs:
            .conflict(
                "cannot remove container \"/\(record.name)\": container is running: "
                    + "stop the container before removing or force remove"
            )
        case .dead: .conflict("container \(id) is dead and must be removed")
        }
    }

    /// The shim, for an operation on a running container.
    package func connected() throws -> ShimClient {
        guard let shim else { throw EngineError.unreachable(id, silence) }
        return shim.client
    }

    /// The same for what somebody waits for: a shim that is known to be silent is not waited for.
    package func answering() throws -> ShimClient {
        let client = try connected()
        guard reachable else { throw EngineError.unreachable(id, "it has been silent for a while") }
        return client
    }

    // Signals ---------------------------------------------------------------------------------------------------------

    package func kill(_ text: String) async throws {
        let signal = try ConfigurationCheck.signal(text)
        try await adopted()
        let stopSignal = try ConfigurationCheck.signal(record.plan.resolved.stopSignal)
        let ends = signal == .kill || signal == stopSignal
        let actions: [Lifecycle.Action]
        do {
            actions = try lifecycle.killRequested(endsContainer: ends)
        } catch {
            throw EngineError.conflict("cannot kill container: \(id): \(refusal(error, verb: "kill").message)")
        }
        guard actions.isEmpty else { return await perform(actions, exclusive: false) }
        // Between two runs there is nothing to signal.
        let isBetweenRuns = lifecycle.awaitsRestart
        if ends { await forbidRestarts() }
        if isBetweenRuns, !lifecycle.isActive { return }
        try await send(signal)
        if signal == .kill { await thawToEnd() }
    }

    /// Tells a shim that has the policy that the user ends the container, before anything is sent.
    ///
    /// A shim that does not answer is told no policy, and ended when it turns out to matter.
    private func forbidRestarts() async {
        guard shimRestarts, let shim, lifecycle.isActive || lifecycle.awaitsRestart else { return }
        guard reachable else { return tellPolicyLater(shim) }
        do {
            try await shim.client.setPolicy(stopped: true, deadline: Self.signalDeadline)
        } catch let error as RPCError where [.notFound, .unavailable].contains(error.status) {
            // There is no container any more that could be started again, or no shim.
        } catch {
            // Whatever it says instead of doing so: what has to end is ended without it.
            logger.warning("shim was not told that the container ends", metadata: ["error": "\(error)"])
            answered(shim, false)
        }
    }

    /// How long a shim that has answered so far may take for a signal before it is sent without it.
    static var signalDeadline: Duration { .seconds(3) }

    private func send(_ signal: Signal) async throws {
        do {
            if !(try await sendThroughShim(signal)) { try await sendDirectly(signal) }
        } catch let error as RPCError where error.status == .notFound {
            // It has just ended: the exit is on its way.
            throw EngineError.conflict("cannot kill container: \(id): container \(id) is not running")
        } catch {
            throw EngineError.shim(error, "kill", id)
        }
        await publish([event("kill", ["signal": String(signal.rawValue)])])
    }

    /// False when there is no shim that answers.
    private func sendThroughShim(_ signal: Signal) async throws -> Bool {
        guard let shim, reachable else { return false }
        do {
            try await shim.client.kill(signal: signal.rawValue, deadline: Self.signalDeadline)
            return true
        } catch let error as RPCError where error.status == .deadlineExceeded {
            answered(shim, false)
            return false
        } catch let error as RPCError where error.status == .unavailable {
            return false
        } catch  where signal == .kill && (error as? RPCError)?.status != .notFound {
            // Whatever it says instead: what has to end is ended without it.
            logger.warning("shim does not kill", metadata: ["error": "\(error)"])
            answered(shim, false)
            return false
        }
    }

    /// Through the pidfd of init, or the cgroup for SIGKILL: no shim is needed for that.
    private func sendDirectly(_ signal: Signal) async throws {
        // While it lives: how it ended is known to who holds it.
        if initProcess == nil { initProcess = try await heldInit() }
        if signal == .kill {
            let tasks = CgroupTasks(path: node.cgroup(record).directory)
            _ = try await node.pool.run { try tasks.kill(within: .milliseconds(500)) }
            return
        }
        guard let initProcess else { throw EngineError.unreachable(id, "its first process is not known") }
        guard try Pidfd.send(signal, to: initProcess.pidfd.raw) else {
            throw EngineError.conflict("cannot kill container: \(id): container \(id) is not running")
        }
    }

    /// A frozen process gets its signal when it is thawed.
    private func thawToEnd() async {
        guard case .paused = lifecycle.phase, reachable else { return }
        do {
            try await connected().resume(deadline: Self.signalDeadline)
        } catch {
            logger.warning("frozen container was not thawed", metadata: ["error": "\(error)"])
        }
    }

    /// Stop signal, grace, kill; returns when the exit is recorded.
    package func stop(signal text: String?, timeout: Int?) async throws {
        try ConfigurationCheck.stopTimeout(timeout)
        try await adopted()
        let signal = try ConfigurationCheck.signal(text ?? record.plan.resolved.stopSignal)
        let actions: [Lifecycle.Action]
        do {
            actions = try lifecycle.stopRequested()
        } catch {
            throw refusal(error, verb: "stop")
        }
        guard actions.isEmpty else { return await perform(actions, exclusive: false) }
        let grace = timeout ?? record.configuration.stopTimeout ?? node.configuration.defaultStopTimeout
        try await end(with: signal, grace: grace < 0 ? nil : .seconds(grace))
        await publish([event("stop")])
    }

    /// Sends `signal`, waits for the exit, kills what does not go.
    func end(with signal: Signal, grace: Duration?) async throws {
        if isStarting { await exclusively {} }
        await forbidRestarts()
        guard lifecycle.isActive || lifecycle.awaitsRestart else { return }
        var (signal, grace) = (signal, grace)
        // Nobody knows who would take another one.
        if unsupervised != nil, initProcess == nil, lifecycle.isActive { signal = .kill }
        do { try await send(signal) } catch let error as EngineError where error.reason == .conflict {
            // A run that has just ended, or a restart that was taken back: what is left is to hear of it.
            grace = min(grace ?? .seconds(10), .seconds(10))
        }
        await thawToEnd()
        node.faults.reached(.stopSignalled)
        if signal != .kill {
            if try await comesToRest(within: grace) { return }
            do { try await send(.kill) } catch let error as EngineError where error.reason == .conflict {}
        }
        node.faults.reached(.stopKilled)
        if try await comesToRest(within: reachable && stuck == nil ? .seconds(10) : .seconds(1)) { return }
        try await endByForce()
    }

    /// Whether nothing runs any more within `limit`; nil waits without end, as the client asked.
    private func comesToRest(within limit: Duration?) async throws -> Bool {
        let deadline = limit.map { Clock.monotonic.now + $0 }
        while !lifecycle.isAtRest {
            let left = deadline.map { max(.zero, $0 - Clock.monotonic.now) }
            guard try await wait(.notRunning).result(within: left) else { return lifecycle.isAtRest }
        }
        return true
    }

    /// SIGKILL was sent, and no exit was reported: either something is left, or the shim does not say what it should.
    private func endByForce() async throws {
        let tasks = CgroupTasks(path: node.cgroup(record).directory)
        let left = try await node.pool.run { try tasks.kill(within: .seconds(1)) }
        if !left.isEmpty {
            await becameStuck()
            throw stuckError("killed")
        }
        guard !lifecycle.isAtRest else { return }
        // What a silent shim has not read is not lost with it.
        let hasSuccessor = await exclusively { await endSilentShim(isForced: true) }
        if hasSuccessor, try await comesToRest(within: .seconds(5)) { return }
        try await exclusively {
            guard lifecycle.isActive || lifecycle.awaitsRestart else { return }
            await seeEnds()
            defer { seenEnds = [:] }
            await endLeftShim(keepingBundle: true)
            if let pidfd = shim?.pidfd { await endShim(pidfd, alive: true) }
            dropConnection()
            // A shim that would have started the container again does so no more.
            await perform(lifecycle.restarterLost(), exclusive: true)
            do { try await killUnsupervised(why: "its shim did not answer") } catch {
                lookAgainLater()
                throw error
            }
        }
        if try await comesToRest(within: .seconds(1)) { return }
        throw EngineError.internalFailure("container \(id) could not be killed: its exit was not reported")
    }

    package func restart(signal: String?, timeout: Int?) async throws {
        try requireUndamaged()
        // What could not be started again is not stopped.
        try await requireStartable()
        do {
            try await stop(signal: signal, timeout: timeout)
        } catch let error as EngineError where error.reason == .notModified {}
        try await start()
        await publish([event("restart")])
    }

    // Freezing --------------------------------------------------------------------------------------------------------

    package func pause() async throws {
        try await adopted()
        do { try lifecycle.pauseRequested() } catch { throw refusal(error, verb: "pause") }
        do { try await answering().pause() } catch { throw EngineError.shim(error, "pause", id) }
        await perform(lifecycle.paused(), exclusive: false)
    }

    package func unpause() async throws {
        try await adopted()
        do { try lifecycle.unpauseRequested() } catch { throw refusal(error, verb: "unpause") }
        do { try await answering().resume() } catch { throw EngineError.shim(error, "unpause", id) }
        await perform(lifecycle.resumed(), exclusive: false)
    }

    // Changing --------------------------------------------------------------------------------------------------------

    package func rename(to name: String) async throws {
        try await adopted()
        try requireUndamaged()
        let (old, new) = (record.name, try Names.validated(name))
        guard old != new else {
            throw EngineError.invalid("Renaming a container with the same name as its current name")
        }
        if lifecycle.phase == .removing || lifecycle.phase == .removed { throw refusal(.removing, verb: "rename") }
        try node.table.reserve(new, for: id)
        record.name = new
        do {
            try await node.store.write(
                events: [event("rename", ["oldName": "/\(old)"])],
                ContainerRecord.nameChange(id, new)
            )
        } catch {
            record.name = old
            node.table.release(new, of: id)
            throw EngineError.wrap(error, "rename container \(id)")
        }
        node.table.release(old, of: id)
        refreshView()
        renewCopy()
    }

    package func update(_ update: ContainerUpdate) async throws -> [String] {
        try await adopted()
        try requireUndamaged()
        if lifecycle.phase == .removing || lifecycle.phase == .removed { throw refusal(.removing, verb: "update") }
        var changed = record.configuration
        if let limits = update.resources {
            changed.resources.merge(limits)
            try ConfigurationCheck.resources(changed.resources, cpus: SystemFacts.cpus)
        }
        if let policy = update.restartPolicy {
            if changed.autoRemove, policy != .no {
                throw EngineError.invalid(
                    "Restart policy cannot be updated because AutoRemove is enabled for the container"
                )
            }
            changed.restartPolicy = policy
        }
        if let limits = update.resources, lifecycle.isActive {
            let resources = try JSON.bytes(SpecBuilder.resources(limits))
            do { try await answering().update(resources: resources) } catch {
                throw EngineError.shim(error, "update", id)
            }
        }
        if let policy = update.restartPolicy, shimRestarts, lifecycle.isActive || lifecycle.awaitsRestart {
            let client = try answering()
            do { try await client.setPolicy(shimPolicy(policy)) } catch {
                // It may have heard it, or hear it later.
                if let shim { tellPolicyLater(shim) }
                throw EngineError.shim(error, "update restart policy", id)
            }
        }
        try await node.store.write(
            events: [event("update")],
            try ContainerRecord.configurationChange(id, changed)
        )
        record.configuration = changed
        lifecycle.policy = changed.restartPolicy
        refreshView()
        renewCopy()
        return []
    }

    package func resize(to size: TerminalSize) async throws {
        try await adopted()
        guard lifecycle.isActive else { throw refusal(.notRunning, verb: "resize") }
        do { try await answering().resize(exec: nil, to: size) } catch { throw EngineError.shim(error, "resize", id) }
        await publish([event("resize", ["height": String(size.height), "width": String(size.width)])])
    }

    package func pids() async throws -> [Int32] {
        try await adopted()
        guard lifecycle.isActive else { throw refusal(.notRunning, verb: "top") }
        do { return try await answering().pids() } catch { throw EngineError.shim(error, "list processes", id) }
    }
}

extension ContainerWait {
    /// Whether the condition came within `limit`; nil waits without end, as the client asked.
    fileprivate func result(within limit: Duration?) async throws -> Bool {
        guard let limit else {
            _ = try await result()
            return true
        }
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                _ = try await self.result()
                return true
            }
            group.addTask {
                try await Task.sleep(for: limit)
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
    }
}

extension ResourceLimits {
    /// Takes every limit that `other` sets.
    mutating func merge(_ other: ResourceLimits) {
        memoryInBytes = other.memoryInBytes ?? memoryInBytes
        memorySwapInBytes = other.memorySwapInBytes ?? memorySwapInBytes
        memoryReservationInBytes = other.memoryReservationInBytes ?? memoryReservationInBytes
        memorySwappiness = other.memorySwappiness ?? memorySwappiness
        oomKillDisable = other.oomKillDisable ?? oomKillDisable
        nanoCPUs = other.nanoCPUs ?? nanoCPUs
        cpuShares = other.cpuShares ?? cpuShares
        cpuQuotaInMicroseconds = other.cpuQuotaInMicroseconds ?? cpuQuotaInMicroseconds
        cpuPeriodInMicroseconds = other.cpuPeriodInMicroseconds ?? cpuPeriodInMicroseconds
        cpusetCPUs = other.cpusetCPUs ?? cpusetCPUs
        cpusetMemories = other.cpusetMemories ?? cpusetMemories
        pids = other.pids ?? pids
        blockIOWeight = other.blockIOWeight ?? blockIOWeight
    }
}
