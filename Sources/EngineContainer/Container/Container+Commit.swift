import EngineModel
import EngineShim
import EngineStore
import Kernel
import Logging

extension Container {
    /// What has to be written, and what has been.
    struct Outbox {
        /// Events that are not in the database, in order.
        var events: [EventDraft] = []
        /// Further writes that belong to the state, in order.
        var changes: [Store.Body] = []
        /// Number of the newest state, and of the newest one that is in the database.
        var wanted: UInt64 = 0, written: UInt64 = 0
        /// Whether somebody writes now, and those who wait for him.
        var isWriting = false
        var waiting: [CheckedContinuation<Void, Never>] = []
        /// Whether a later attempt is on its way.
        var retries = false
        /// The longest pause between two attempts.
        static let longestPause = Duration.seconds(10)
    }

    /// Writes the state and `events` in one transaction; whoever comes meanwhile shares the next one.
    ///
    /// State and events are taken together without a pause, so no state is ever written without the events that led to it. What cannot be
    /// written is kept and tried again; until then the shim is not told that it may forget, and its journal has it all.
    /// - Returns: whether it is in the database.
    @discardableResult
    func commit(_ events: [EventDraft]) async -> Bool {
        refreshView()
        outbox.events += events
        outbox.wanted += 1
        let mine = outbox.wanted
        while outbox.written < mine {
            if outbox.isWriting {
                await withCheckedContinuation { outbox.waiting.append($0) }
            } else if await !writeOnce() {
                retryLater(after: .milliseconds(200))
                return false
            }
        }
        return true
    }

    /// Whether all that happened is in the database, after one more attempt if need be.
    ///
    /// Until it is, the journal is the only record of it, and stays.
    func isWritten() async -> Bool {
        guard outbox.written < outbox.wanted else { return true }
        return await commit([])
    }

    private func writeOnce() async -> Bool {
        let state = persistedState
        let run = run
        record.state = state
        let (events, changes, number) = (outbox.events, outbox.changes, outbox.wanted)
        (outbox.events, outbox.changes) = ([], [])
        outbox.isWriting = true
        var failure: (any Error)?
        do {
            let change = try ContainerRecord.stateChange(id, state)
            try await node.store.write(events: events) { db in
                for change in changes { try change(db) }
                try change(db)
            }
            outbox.written = max(outbox.written, number)
            // A number of an earlier run says nothing about the journal of this one.
            if run == self.run { durable = max(durable, state.journaled ?? 0) }
        } catch {
            (outbox.events, outbox.changes) = (events + outbox.events, changes + outbox.changes)
            failure = error
        }
        outbox.isWriting = false
        let waiting = outbox.waiting
        outbox.waiting = []
        for continuation in waiting { continuation.resume() }
        if let failure { logger.error("state was not written", metadata: ["error": "\(failure)"]) }
        return failure == nil
    }

    /// Tries again what could not be written, for as long as it takes.
    private func retryLater(after pause: Duration) {
        guard !outbox.retries else { return }
        outbox.retries = true
        node.supervisor.start { [weak self] in
            do { try await Task.sleep(for: pause) } catch { return }
            await self?.retry(pause)
        }
    }

    private func retry(_ pause: Duration) async {
        outbox.retries = false
        guard lifecycle.phase != .removed else { return }
        // Somebody else may have written it meanwhile; what waits for that is done here.
        if outbox.written < outbox.wanted {
            if outbox.isWriting { return retryLater(after: pause) }
            guard await writeOnce() else { return retryLater(after: min(pause * 2, Outbox.longestPause)) }
        }
        logger.notice("state is written at last")
        let deferred = afterCommit
        afterCommit = []
        await perform(deferred, exclusive: false)
        if let shim { await acknowledge(journaled, shim) }
    }

    /// The state as it is to be written now.
    ///
    /// An event that waits for something else, such as an exit for the answer to the start, is not yet behind the cursor.
    var persistedState: PersistedState {
        let cursor = overtaking.values.min().map { min(journaled, $0 - 1) } ?? journaled
        var state = PersistedState(
            lifecycle,
            journaled: cursor,
            shim: shim?.process.map { "\($0.pid):\($0.startTime)" } ?? record.state.shim
        )
        state.run = run
        state.counted = counted == 0 ? nil : counted
        // One that could not be held is still the one that it was.
        state.initStart = initProcess?.startTime ?? (record.state.pid == state.pid ? record.state.initStart : nil)
        state.stuckSince = stuck.map { StoredTime($0.since) }
        state.removalWanted = removalWanted ? true : nil
        state.health = health
        return state
    }

    /// Tells of something that changes no state.
    func publish(_ events: [EventDraft]) async {
        do {
            try await node.store.write(events: events)
        } catch {
            logger.error("event was not written", metadata: ["error": "\(error)"])
        }
    }
}
