import EngineModel
import EngineShim
import EngineStore
import Kernel
import Logging
import ShimProtocol
import SwiftProtobuf

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
        for action in actions {
            switch action {
            case .commit(let name):
                let events = name.isEmpty ? [] : [event(name, at: time, attributes(of: name, extra))]
                await commit(events)
                if name == "die" { node.faults.reached(.exitCommitted) }
            case .releaseExitWaits(let code):
                releaseWaits([.notRunning, .nextExit], WaitResult(exitCode: code))
            case .tearDown:
                if exclusive { await tearDown() } else { await exclusively { await tearDownIfEnded() } }
            case .scheduleRestart(let delay):
                scheduleRestart(after: delay)
            case .cancelRestart:
                break  // The delayed job asks the state machine, which by then says no.
            case .remove:
                if exclusive {
                    await removeByItself()
                } else {
                    await exclusively { await removeByItself() }
                }
            }
        }
    }

    /// A start may have come first and have torn down what was to be torn down.
    private func tearDownIfEnded() async {
        guard !lifecycle.isActive, !isStarting else { return }
        await tearDown()
    }

    var isStarting: Bool {
        if case .starting = lifecycle.phase { return true }
        return false
    }

    private func attributes(of name: String, _ extra: [String: String]) -> [String: String] {
        guard name == "die" else { return extra }
        let ran = lifecycle.startedAt.flatMap { start in lifecycle.finishedAt.map { $0 - start } } ?? .zero
        return extra.merging([
            "exitCode": String(lifecycle.lastExit?.status.number ?? 0),
            "execDuration": String(max(0, ran.components.seconds)),
        ]) { old, _ in old }
    }

    private func scheduleRestart(after delay: Duration) {
        node.supervisor.start { [weak self] in
            do { try await Task.sleep(for: delay) } catch { return }
            await self?.restartByPolicy()
        }
    }

    // Following a shim ------------------------------------------------------------------------------------------------

    /// How long one poll waits inside the shim.
    static var pollWait: Duration { .seconds(60) }

    /// Reads the shim's events from now on, in a job of its own.
    func follow(_ shim: Shim, after sequence: UInt64) {
        node.supervisor.start { [weak self] in
            var cursor = sequence
            while !Task.isCancelled, let self {
                do {
                    let answer = try await shim.client.events(after: cursor, wait: Self.pollWait)
                    await self.answered(shim, true)
                    for event in answer.events where event.seq > cursor {
                        await self.received(event, from: shim)
                        cursor = event.seq
                    }
                    if !answer.events.isEmpty { await self.acknowledge(cursor, shim) }
                } catch let error as RPCError where error.status == .deadlineExceeded {
                    await self.answered(shim, false)
                } catch {
                    if !Task.isCancelled { await self.lost(shim, error) }
                    return
                }
            }
        }
    }

    /// Lets the shim forget what is in the database; not while something is known in memory alone.
    private func acknowledge(_ sequence: UInt64, _ shim: Shim) async {
        guard self.shim?.generation == shim.generation, lifecycle.isActive, journaled >= sequence else { return }
        // Only what is in the database: a write for the sake of this alone is not worth its price.
        guard record.state.journaled == sequence else { return }
        guard !execs.values.contains(where: { $0.phase == .starting }) else { return }
        // A shim that did not hear it keeps a little more until the next time.
        try? await shim.client.acknowledge(sequence)
    }

    private func answered(_ shim: Shim, _ answered: Bool) {
        guard self.shim?.generation == shim.generation, reachable != answered else { return }
        reachable = answered
        refreshView()
        logger.warning("shim \(answered ? "answers again" : "does not answer")")
    }

    /// One event of the shim's journal.
    func received(_ event: ShimEvent, from shim: Shim) async {
        guard self.shim?.generation == shim.generation else { return }
        if event.seq <= journaled { return }
        journaled = event.seq
        switch event.topic {
        case EventTopic.exit where event.execID.isEmpty:
            node.faults.reached(.exitReceived)
            let exit = Lifecycle.Exit(how: ContainerExit(event.exit), at: Timestamp(event.exit.exitedAt))
            await perform(lifecycle.exited(exit), exclusive: false, at: exit.at)
        case EventTopic.exit:
            await execEnded(event)
        case EventTopic.oom:
            await commit([self.event("oom", at: Timestamp(event.time))])
        case EventTopic.execStarted:
            execStarted(event)
        case EventTopic.paused:
            await perform(lifecycle.paused(), exclusive: false, at: Timestamp(event.time))
        case EventTopic.resumed:
            await perform(lifecycle.resumed(), exclusive: false, at: Timestamp(event.time))
        default:
            break
        }
    }

    /// The connection is gone.
    ///
    /// With the shim alive it is made again; without, the exit record decides.
    private func lost(_ shim: Shim, _ error: any Error) async {
        guard self.shim?.generation == shim.generation, lifecycle.isActive || isStarting else { return }
        guard lifecycle.isActive else { return }
        logger.warning("connection to the shim is lost", metadata: ["error": "\(error)"])
        await exclusively {
            guard self.shim?.generation == shim.generation, lifecycle.isActive else { return }
            shim.client.connection.close()
            self.shim = nil
            // Usually the shim itself has ended: it is reaped here. If not, the connection is made again.
            if let pidfd = shim.pidfd { _ = await ended(pidfd, within: .milliseconds(200)) }
            await adoptOnce()
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
    init(_ time: Google_Protobuf_Timestamp) {
        self.init(seconds: time.seconds, nanoseconds: UInt32(max(0, time.nanos)))
    }
}
