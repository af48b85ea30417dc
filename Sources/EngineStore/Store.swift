package import EngineModel
import EngineSpec
package import GRDB
import Kernel
import Synchronization

/// The database of one engine.
///
/// Writes from everywhere are gathered: while one transaction is being synced to disk the next ones queue up and share the
/// following sync. A write is durable when its call returns. Events are written in the same transaction as the change that
/// they tell of, and handed to `publish` in order, after the commit.
package final class Store: Sendable {
    package typealias Body = @Sendable (Database) throws -> Void

    private struct Pending {
        var body: Body
        var events: [EventDraft]
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct Queue {
        var pending: [Pending] = []
        var flushing = false
    }

    private enum Phase {
        case open, closing
        /// Nothing is written any more: what the database's log held is in its file.
        case sealed
    }

    package let pool: DatabasePool
    private let files: DatabaseFiles
    private let queue = Mutex(Queue())
    private let phase = Mutex(Phase.open)
    private let publish: @Sendable ([EngineEvent]) -> Void
    /// Told of rows that are met and are not as they were written: which, and why.
    let report: @Sendable (String, String) -> Void
    private let commits: CommitCount
    /// Transactions that were on disk once and are no more: the end of the database's log is lost.
    package var missing: Int64 { commits.missing }

    /// Opens or makes the database at `path`.
    ///
    /// `publish` gets every committed event, in order, on the writer's thread; `report` is told of rows that are not as they were written.
    package init(
        path: String,
        report: @escaping @Sendable (String, String) -> Void = { _, _ in },
        publish: @escaping @Sendable ([EngineEvent]) -> Void
    ) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = 4
        if let versions = try DatabaseFiles.mendFormat(path) {
            report("version of the format of the database '\(path)'", "it is \(versions); put right")
        }
        files = try DatabaseFiles(path)
        pool = try DatabasePool(path: path, configuration: configuration)
        self.publish = publish
        self.report = report
        try pool.writeWithoutTransaction { db in
            // The pool sets NORMAL after any preparation of ours; a commit must survive a power cut.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            let level = try Int.fetchOne(db, sql: "PRAGMA synchronous")
            guard level == 2 else { throw EngineError.internalFailure("database: synchronous is not FULL") }
        }
        try Schema.prepare(pool, path, report)
        commits = try CommitCount(beside: path, of: pool, report: report)
    }

    /// Counts on behind the transactions that are ``missing``; what is left of the log is overwritten from here on.
    package func catchUp() throws { try commits.catchUp(pool) }

    /// Runs `body` and appends `events` in one transaction; returns when it is on disk.
    package func write(events: [EventDraft] = [], _ body: @escaping Body = { _ in }) async throws {
        guard phase.withLock({ $0 == .open }) else { throw EngineError.closed }
        try await withCheckedThrowingContinuation { continuation in
            let first = queue.withLock { queue in
                queue.pending.append(Pending(body: body, events: events, continuation: continuation))
                defer { queue.flushing = true }
                return !queue.flushing
            }
            guard first else { return }
            pool.asyncWriteWithoutTransaction { [self] db in flush(db) }
        }
    }

    /// Reads on one of the pool's reader threads.
    package func read<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        try await pool.read(body)
    }

    /// Ends every use, with all changes in the database file itself; its log keeps its space, and nothing is in it.
    package func close() throws {
        phase.withLock { $0 = .closing }
        // What stays in the log behind a reader, or on a full disk, is found there by whoever opens the database next.
        try? pool.writeWithoutTransaction { db in
            let (written, copied) = try db.checkpoint(.full)
            if written == copied { phase.withLock { $0 = .sealed } }
        }
        try pool.close()
        if phase.withLock({ $0 == .sealed }) { try files.voidLog() }
    }

    private func flush(_ db: Database) {
        while true {
            let batch = queue.withLock { queue -> [Pending] in
                defer { queue.pending = [] }
                if queue.pending.isEmpty { queue.flushing = false }
                return queue.pending
            }
            if batch.isEmpty { return }
            commit(batch, db)
        }
    }

    private func commit(_ batch: [Pending], _ db: Database) {
        var results: [Result<Void, any Error>] = []
        var committed: [EngineEvent] = []
        do {
            guard phase.withLock({ $0 != .sealed }) else { throw EngineError.closed }
            try db.inTransaction(.immediate) {
                try CommitCount.increment(db)
                for pending in batch {
                    results.append(Result { committed += try apply(pending, db) })
                }
                return .commit
            }
            // Before anybody hears of it: what was answered is not lost unseen.
            commits.committed()
            if !committed.isEmpty { publish(committed) }
        } catch {
            results = batch.map { _ in .failure(error) }
        }
        for (pending, result) in zip(batch, results) { pending.continuation.resume(with: result) }
    }

    private func apply(_ pending: Pending, _ db: Database) throws -> [EngineEvent] {
        var events: [EngineEvent] = []
        try db.inSavepoint {
            try pending.body(db)
            events = try pending.events.map { try $0.insert(db) }
            return .commit
        }
        return events
    }
}

extension EngineError {
    fileprivate static let closed = EngineError(.unavailable, "the database is closed: the engine is shutting down")
}
