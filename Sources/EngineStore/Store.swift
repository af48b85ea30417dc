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

    /// Opens or makes the database at `path`; `publish` gets every committed event, in order, on the writer's thread.
    package init(path: String, publish: @escaping @Sendable ([EngineEvent]) -> Void) throws {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = 4
        files = try DatabaseFiles(path)
        pool = try DatabasePool(path: path, configuration: configuration)
        self.publish = publish
        try pool.writeWithoutTransaction { db in
            // The pool sets NORMAL after any preparation of ours; a commit must survive a power cut.
            try db.execute(sql: "PRAGMA synchronous = FULL")
            let level = try Int.fetchOne(db, sql: "PRAGMA synchronous")
            guard level == 2 else { throw EngineError.internalFailure("database: synchronous is not FULL") }
        }
        try Schema.prepare(pool, path)
    }

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
                for pending in batch {
                    results.append(Result { committed += try apply(pending, db) })
                }
                return .commit
            }
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

extension Store {
    /// Rows of `containers`, those that cannot be read apart.
    package func loadContainers() async throws -> (records: [ContainerRecord], unreadable: [UnreadableRow]) {
        let rows = try await read { try Row.fetchAll($0, sql: "SELECT * FROM containers").map(StoredContainer.init) }
        // Most of a start's time is this decoding, and no row needs another one.
        return await withTaskGroup { group in
            for start in stride(from: 0, to: rows.count, by: 64) {
                let part = rows[start..<min(start + 64, rows.count)]
                group.addTask { Self.decode(part) }
            }
            var (records, unreadable): ([ContainerRecord], [UnreadableRow]) = ([], [])
            for await part in group {
                records += part.0
                unreadable += part.1
            }
            return (records, unreadable)
        }
    }

    static func containers(_ db: Database) throws -> ([ContainerRecord], [UnreadableRow]) {
        decode(try Row.fetchAll(db, sql: "SELECT * FROM containers").map(StoredContainer.init)[...])
    }

    private static func decode(_ rows: ArraySlice<StoredContainer>) -> ([ContainerRecord], [UnreadableRow]) {
        var records: [ContainerRecord] = []
        var unreadable: [UnreadableRow] = []
        for row in rows {
            do {
                records.append(try ContainerRecord(row))
            } catch {
                let reason = String(describing: error)
                unreadable.append(UnreadableRow(id: row.id ?? "?", name: row.name, reason: reason))
            }
        }
        return (records, unreadable)
    }

    /// A random text that stays with the root.
    package func identity() async throws -> String {
        let fresh = HexIdentifier.random()
        try await write { db in
            try db.execute(sql: "INSERT OR IGNORE INTO meta (key, value) VALUES ('identity', ?)", arguments: [fresh])
        }
        let stored = try await read { try String.fetchOne($0, sql: "SELECT value FROM meta WHERE key = 'identity'") }
        return stored ?? fresh
    }
}

/// The columns of a row of `containers`; nil for what is no text.
private struct StoredContainer: Sendable {
    var id: String?, name: String?, created: String?, configuration: String?, plan: String?, state: String?

    init(_ row: Row) {
        id = String.fromDatabaseValue(row["id"])
        name = String.fromDatabaseValue(row["name"])
        created = String.fromDatabaseValue(row["created"])
        configuration = String.fromDatabaseValue(row["configuration"])
        plan = String.fromDatabaseValue(row["plan"])
        state = String.fromDatabaseValue(row["state"])
    }
}

extension ContainerRecord {
    fileprivate init(_ row: StoredContainer) throws {
        guard
            let text = row.id, let id = ContainerID(text), let name = row.name,
            let time = row.created, let created = Timestamp(time),
            let configuration = row.configuration, let plan = row.plan, let state = row.state
        else { throw EngineError.internalFailure("a column is missing or of the wrong type") }
        self.init(
            id: id,
            name: name,
            created: created,
            configuration: try JSON.decode(ContainerConfiguration.self, configuration),
            plan: try JSON.decode(ContainerPlan.self, plan),
            state: try JSON.decode(PersistedState.self, state)
        )
    }

    /// A write that makes the container a holder of its ids.
    private var idInsertion: Store.Body {
        guard let setting = plan.userNamespace, let range = setting.range else { return { _ in } }
        let cgroup = CgroupPlace(text: plan.cgroupsPath ?? "").directory
        return range.insertion(for: id, cgroup: cgroup, isShared: setting.sharedWith != nil)
    }

    /// A write that adds the row; a name or ids that are taken fail it.
    package var insertion: Store.Body {
        get throws {
            let configuration = try JSON.encode(configuration)
            let plan = try JSON.encode(plan)
            let state = try JSON.encode(state)
            let (id, name, created) = (id.description, name, created.description)
            let ids = self.idInsertion
            return { db in
                try ids(db)
                try db.execute(
                    sql: """
                        INSERT INTO containers (id, name, created, configuration, plan, state) VALUES (?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [id, name, created, configuration, plan, state]
                )
            }
        }
    }

    package static func stateChange(_ id: ContainerID, _ state: PersistedState) throws -> Store.Body {
        let state = try JSON.encode(state)
        return { db in
            try db.execute(
                sql: "UPDATE containers SET state = ? WHERE id = ?",
                arguments: [state, id.description]
            )
        }
    }

    package static func configurationChange(
        _ id: ContainerID,
        _ configuration: ContainerConfiguration
    ) throws -> Store.Body {
        let text = try JSON.encode(configuration)
        return { db in
            try db.execute(
                sql: "UPDATE containers SET configuration = ? WHERE id = ?",
                arguments: [text, id.description]
            )
        }
    }

    package static func nameChange(_ id: ContainerID, _ name: String) -> Store.Body {
        { db in
            try db.execute(sql: "UPDATE containers SET name = ? WHERE id = ?", arguments: [name, id.description])
        }
    }

    package static func deletion(_ id: ContainerID) -> Store.Body {
        { db in try db.execute(sql: "DELETE FROM containers WHERE id = ?", arguments: [id.description]) }
    }
}

extension EngineError {
    fileprivate static let closed = EngineError(.unavailable, "the database is closed: the engine is shutting down")
}
