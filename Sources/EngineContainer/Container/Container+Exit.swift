import EngineModel
import EngineShim
import EngineSpec
import EngineStore
package import Kernel
import Logging
import ShimProtocol
package import SwiftProtobuf

extension Container {
    // Performing ------------------------------------------------------------------------------------------------------

    /// Performs what the state machine asks for, in order.
    ///
    /// `exclusive`: the caller holds ``exclusively(_:)``.
    func perform(
        _ actions: [Lifecycle.Action],
        exclusive: Bool,
        _ extra: [String: String] = [:],
        at time: Timestamp = .now
    ) async {
        // One transaction: the state is that after all of them, so it is not written without their events.
        let names = actions.compactMap { if case .commit(let name) = $0 { name } else { nil } }
        var isWritten = true
        if let last = names.last(where: { $0 == "start" || $0 == "die" }) { resetHealth(isRunning: last == "start") }
        if !names.isEmpty {
            isWritten = await commit(
                names.filter { !$0.isEmpty }.map { event($0, at: time, attributes(of: $0, extra)) }
            )
            if names.contains("die"), isWritten { node.faults.reached(.exitCommitted) }
        }
        for action in actions {
            switch action {
            case .commit: break
            case .releaseExitWaits(let code):
                releaseWaits([.notRunning, .nextExit], waitResult(code))
            case .tearDown where !isWritten:
                // The journal is the only record of the end until it is written.
                afterCommit.append(action)
            case .tearDown:
                if exclusive { await tearDown() } else { await exclusively { await tearDownIfEnded() } }
            case .scheduleRestart(let delay):
                scheduleRestart(after: delay)
            case .cancelRestart:
                break  // The delayed job asks the state machine, which by then says no.
            case .remove where !isWritten:
                afterCommit.append(action)
            case .remove:
                if exclusive {
                    await removeByItself()
                } else {
                    await exclusively { await removeByItself() }
                }
            }
        }
        if names.contains("die"), removalWanted { wantRemoval() }
    }

    /// A start may have come first and have torn down what was to be torn down.
    private func tearDownIfEnded() async {
        guard !lifecycle.isActive, !isStarting, !lifecycle.awaitsRestart else { return }
        await tearDown()
    }

    var isStarting: Bool {
        if case .starting = lifecycle.phase { return true }
        return false
    }

    private func attributes(of name: String, _ extra: [String: String]) -> [String: String] {
        guard name == "die" else { return extra }
        let ran = lifecycle.startedAt.flatMap { start in lifecycle.finishedAt.map { $0 - start } } ?? .zero
        var facts = [
            "exitCode": String(lifecycle.lastExit?.status.number ?? 0),
            "execDuration": String(max(0, ran.components.seconds)),
        ]
        if let owner = lifecycle.lastExit?.oomOwner, !owner.isEmpty { facts["oomOwner"] = owner }
        if case .unknown(let reason)? = lifecycle.lastExit?.status { facts["unknown"] = reason }
        return extra.merging(facts) { old, _ in old }
    }

    func scheduleRestart(after delay: Duration) {
        node.supervisor.start { [weak self] in
            do { try await Task.sleep(for: delay) } catch { return }
            await self?.restartByPolicy()
        }
    }

    // Following a shim ------------------------------------------------------------------------------------------------

    /// How long one poll waits inside the shim.
    static var pollWait: Duration { .seconds(60) }

    /// How late the answer to a poll may be before the shim is in doubt.
    private static var overdue: Duration { .seconds(2) }

    /// How long the first poll waits while an acknowledgement is owed; each further one waits twice as long.
    private static var owedWait: Duration { .milliseconds(200) }

    /// Reads the shim's events from now on, in a job of its own.
    func follow(_ shim: Shim, after sequence: UInt64) {
        node.supervisor.start { [weak self] in
            var cursor = sequence
            var budget = EventBudget()
            var isFlooded = false
            // Nil while nothing is owed. A shim with a guard tells nothing more while it is.
            var owed: Duration?
            while !Task.isCancelled, let self {
                do {
                    let generation = await self.wantedGeneration(of: shim)
                    let wait = owed ?? Self.pollWait
                    let answer = try await shim.client.events(
                        after: cursor,
                        generation: generation,
                        knownProbes: await self.knownProbes,
                        wait: wait,
                        deadline: wait + Self.overdue
                    )
                    await self.answered(shim, true)
                    if answer.descriptorsGeneration != generation {
                        await self.hold(shim, generation: answer.descriptorsGeneration)
                    }
                    for event in try await self.withoutGap(answer, after: cursor) where event.seq > cursor {
                        await self.received(event, from: shim)
                        cursor = event.seq
                    }
                    if answer.hasHealth { await self.takeHealth(answer.health) }
                    // What is in neither the memory nor the file is lost; it is not waited for.
                    if answer.lastSeq > cursor { cursor = answer.lastSeq }
                    if !answer.events.isEmpty || owed != nil {
                        let next = min(answer.events.isEmpty ? (owed ?? .zero) * 2 : Self.owedWait, Self.pollWait)
                        owed = await self.acknowledge(cursor, shim) ? nil : next
                    }
                    if let pause = budget.took(answer.events.count, at: Clock.monotonic.now) {
                        if !isFlooded { await self.flooded(shim) }
                        isFlooded = true
                        try await Task.sleep(for: pause)
                    }
                } catch let error as RPCError where error.status == .deadlineExceeded {
                    await self.doubt(shim)
                } catch {
                    if !Task.isCancelled { await self.lost(shim, "connection: \(error)") }
                    return
                }
            }
        }
    }

    /// Says once for a connection that a shim tells more than can be meant.
    private func flooded(_ shim: Shim) {
        guard self.shim?.generation == shim.generation else { return }
        logger.warning(
            "shim floods events: they are taken in slowly",
            metadata: ["perSecond": "\(EventBudget.perSecond)"]
        )
    }

    /// The shim's events behind `sequence`, those that it only has in its file included.
    func events(of shim: Shim, after sequence: UInt64) async throws -> [ShimEvent] {
        try await withoutGap(try await shim.client.events(after: sequence, wait: .zero), after: sequence)
    }

    private func withoutGap(_ answer: ShimEventsResponse, after sequence: UInt64) async throws -> [ShimEvent] {
        let first = answer.events.first?.seq ?? answer.lastSeq + 1
        guard first > sequence + 1 else { return answer.events }
        let path = paths.journal
        let journal = try await node.pool.run { try JournalFile.content(path, after: sequence) }
        if let problem = journal.damage { node.damage.tell("'\(path)'", problem, container: id) }
        let older = journal.events.filter { $0.seq < first }
        if older.count < Int(clamping: first - sequence - 1) {
            logger.error("events of the shim are lost", metadata: ["after": "\(sequence)", "before": "\(first)"])
            node.supervisor.start { [weak self] in await self?.compareExecs() }
        }
        return older + answer.events
    }

    /// Lets the shim forget what is in the database; not while something is known in memory alone.
    ///
    /// - Returns: False when it has to be tried again.
    @discardableResult
    func acknowledge(_ sequence: UInt64, _ shim: Shim) async -> Bool {
        guard self.shim?.generation == shim.generation, lifecycle.isActive || lifecycle.awaitsRestart else {
            return true
        }
        guard durable >= sequence, !execs.values.contains(where: { $0.phase == .starting }) else { return false }
        // A shim that did not hear it keeps a little more until the next time.
        try? await shim.client.acknowledge(sequence)
        return true
    }

    /// One event of the shim's journal, as the shim tells it.
    func received(_ event: ShimEvent, from shim: Shim) async {
        guard self.shim?.generation == shim.generation, event.seq > journaled else { return }
        await take(event, exclusive: false)
    }

    /// Takes one event of the present run in, from the shim or from the file that it has left.
    ///
    /// `exclusive`: the caller holds ``exclusively(_:)``.
    func take(_ event: ShimEvent, exclusive: Bool) async {
        journaled = event.seq
        switch event.topic {
        case EventTopic.start:
            await takeStart(event, exclusive: exclusive)
        case EventTopic.exit where event.execID.isEmpty:
            node.faults.reached(.exitReceived)
            let exit = trueTime(Lifecycle.Exit(how: ContainerExit(event.exit), at: Timestamp(event.exit.exitedAt)))
            let next = Lifecycle.Next(event, shimDecides: shimRestarts)
            if isStarting, overtaking[.initial] == nil { overtaking[.initial] = event.seq }
            await perform(lifecycle.reported(.exited(exit, next: next)), exclusive: exclusive, at: exit.at)
        case EventTopic.restartCancelled:
            await perform(lifecycle.reported(.restartCancelled), exclusive: exclusive, at: Timestamp(event.time))
        case EventTopic.health:
            await healthChanged(event)
        case EventTopic.exit:
            await execEnded(event)
        case EventTopic.oom:
            await commit([self.event("oom", at: Timestamp(event.time))])
        case EventTopic.execStarted:
            execStarted(event)
        case EventTopic.learned:
            await takeLearned(event)
        case EventTopic.denials:
            await takeDenials(event)
        case EventTopic.paused:
            await perform(lifecycle.paused(), exclusive: exclusive, at: Timestamp(event.time))
        case EventTopic.resumed:
            await perform(lifecycle.resumed(), exclusive: exclusive, at: Timestamp(event.time))
        default:
            break
        }
    }

    /// Init runs: again, or as an earlier life of the engine did not live to write down.
    private func takeStart(_ event: ShimEvent, exclusive: Bool) async {
        let (named, at) = (Int32(truncatingIfNeeded: event.pid), Timestamp(event.time))
        // While it is being started its process is known already, and believed.
        let known = isStarting ? initProcess?.pid : nil
        let pid = known ?? believedNumber(named, of: shim)
        if isStarting, overtaking[.initial] == nil { overtaking[.initial] = event.seq }
        let actions = lifecycle.reported(.started(pid: pid, at: at))
        // What is told later may be gone by now, and its number another's: it is looked for when all is known.
        if !actions.isEmpty { (initProcess, silentEnd) = (exclusive ? nil : HeldProcess(pid: pid), nil) }
        await perform(actions, exclusive: exclusive, at: at)
    }

    /// The shim or the connection to it is gone.
    ///
    /// With the shim alive the connection is made again; without, what it has left decides.
    func lost(_ shim: Shim, _ what: String) async {
        guard isSupervised(by: shim) else { return }
        // A program that is replaced takes its connections with it.
        if !isUpgradingShim { logger.warning("shim is lost", metadata: ["reason": "\(what)"]) }
        await exclusively {
            guard isSupervised(by: shim) else { return }
            shim.client.connection.close()
            self.shim = nil
            // Usually the shim itself has ended: it is reaped here. If not, the connection is made again.
            if let pidfd = shim.pidfd { _ = await ended(pidfd, within: .milliseconds(200)) }
            await adoptOnce()
        }
        await removeIfWanted()
    }

    private func isSupervised(by shim: Shim) -> Bool {
        guard self.shim?.generation == shim.generation else { return false }
        return lifecycle.isActive || lifecycle.awaitsRestart
    }

    /// Notices the death of a shim at once, in a job of its own.
    func watch(_ shim: Shim) {
        guard let pidfd = shim.pidfd else { return }
        node.supervisor.start { [weak self, waiter = node.waiter] in
            guard await waiter.readable(pidfd.raw) else { return }
            // A shim of an earlier life is somebody else's child: then there is nothing to reap.
            _ = try? Pidfd.reapIfEnded(pidfd.raw)
            // Its listening socket may be held open here, so nothing else would end the calls that wait for it.
            shim.client.connection.close()
            await self?.lost(shim, "its process has ended")
        }
    }
}

extension Lifecycle.Next {
    /// What follows the end that `event` tells of; `shimDecides` when the shim has the policy.
    init(_ event: ShimEvent, shimDecides: Bool) {
        if event.hasRestart {
            self = .shim(restart: Int(event.restart.count))
        } else {
            self = shimDecides ? .shim(restart: nil) : .policy
        }
    }
}

extension ContainerExit {
    init(_ exit: ShimExitStatus) {
        let status: ProcessExit =
            switch exit.status {
            case .code(let code): .code(UInt8(truncatingIfNeeded: code))
            case .signal(let signal): .signal(Int32(truncatingIfNeeded: signal))
            case .unknown(let reason): .unknown(reason)
            case nil: .unknown("the shim gave no status")
            }
        self.init(status: status, oomKilled: exit.oomKilled, oomOwner: exit.oomOwner)
    }
}

extension Timestamp {
    package init(_ time: Google_Protobuf_Timestamp) {
        self.init(seconds: time.seconds, nanoseconds: UInt32(max(0, time.nanos)))
    }
}
