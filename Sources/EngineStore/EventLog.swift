package import EngineModel
import GRDB
package import Kernel

/// An event that is not yet written: the database gives it its place.
package struct EventDraft: Sendable {
    package var time: Timestamp
    package var kind: EngineEvent.Kind
    package var action: String
    package var id: String
    package var attributes: [String: String]

    package init(
        time: Timestamp = .now,
        kind: EngineEvent.Kind,
        action: String,
        id: String,
        attributes: [String: String]
    ) {
        self.time = time
        self.kind = kind
        self.action = action
        self.id = id
        self.attributes = attributes
    }

    /// Appends the event; the sequence number is greater than any before, also of deleted rows.
    func insert(_ db: Database) throws -> EngineEvent {
        let text = try JSON.encode(attributes)
        let nanoseconds = Int64(time.nanoseconds)
        let check = Self.check(time.seconds, nanoseconds, kind.rawValue, action, id, text)
        try db.execute(
            sql: """
                INSERT INTO events (seconds, nanoseconds, kind, action, object, attributes, row_check)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [time.seconds, nanoseconds, kind.rawValue, action, id, text, check]
        )
        return EngineEvent(
            sequence: db.lastInsertedRowID,
            time: time,
            kind: kind,
            action: action,
            id: id,
            attributes: attributes
        )
    }

    fileprivate static func check(
        _ seconds: Int64,
        _ nanoseconds: Int64,
        _ kind: String,
        _ action: String,
        _ object: String,
        _ attributes: String
    ) -> Int64 {
        RowCheck.value("\(seconds).\(nanoseconds)", kind, action, object, attributes)
    }
}

extension EngineEvent {
    /// What is wrong with a row; nil when it is as it was written, or when that cannot be told.
    static func damage(of row: Row) -> String? {
        guard let check = (row["row_check"] as DatabaseValue?).flatMap(Int64.fromDatabaseValue) else {
            // An earlier version wrote it, of whose events this one knows all.
            return EngineEvent(row: row) == nil ? "it has no check value, and is no event" : nil
        }
        guard
            let seconds = Int64.fromDatabaseValue(row["seconds"]),
            let nanoseconds = Int64.fromDatabaseValue(row["nanoseconds"]),
            let kind = String.fromDatabaseValue(row["kind"]),
            let action = String.fromDatabaseValue(row["action"]),
            let object = String.fromDatabaseValue(row["object"]),
            let attributes = String.fromDatabaseValue(row["attributes"]),
            EventDraft.check(seconds, nanoseconds, kind, action, object, attributes) == check
        else { return "its check value is that of another event" }
        return nil
    }

    /// The event of a row, or nil for a row that says nothing that this version knows.
    init?(row: Row) {
        guard
            let sequence = Int64.fromDatabaseValue(row["sequence"]),
            let seconds = Int64.fromDatabaseValue(row["seconds"]),
            let nanoseconds = Int64.fromDatabaseValue(row["nanoseconds"]),
            let kind = String.fromDatabaseValue(row["kind"]).flatMap(Kind.init(rawValue:)),
            let action = String.fromDatabaseValue(row["action"]),
            let object = String.fromDatabaseValue(row["object"]),
            let text = String.fromDatabaseValue(row["attributes"]),
            let attributes = try? JSON.decode([String: String].self, text)  // a row that cannot be read is left out
        else { return nil }
        self.init(
            sequence: sequence,
            time: Timestamp(seconds: seconds, nanoseconds: UInt32(truncatingIfNeeded: nanoseconds)),
            kind: kind,
            action: action,
            id: object,
            attributes: attributes
        )
    }
}

extension Store {
    /// Events behind `cursor` in order, at most `limit`, and the cursor behind the last row that was looked at.
    package func events(after cursor: Int64, limit: Int) async throws -> (events: [EngineEvent], cursor: Int64) {
        let report = report
        return try await read { db in
            let rows = try Row.fetchAll(
                db,
                sql: "SELECT * FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?",
                arguments: [cursor, limit]
            )
            let last = rows.last.flatMap { Int64.fromDatabaseValue($0["sequence"]) }
            let events = rows.compactMap { row -> EngineEvent? in
                guard let reason = EngineEvent.damage(of: row) else { return EngineEvent(row: row) }
                report(
                    "event \(Int64.fromDatabaseValue(row["sequence"]) ?? 0) of the database",
                    "\(reason); it is left out"
                )
                return nil
            }
            return (events, last ?? cursor)
        }
    }

    /// Whether an event of this action and object was written at or after `time` that has `word` in its attributes.
    package func hasEvent(
        _ action: String,
        of object: String,
        naming word: String,
        since time: Timestamp
    ) async throws -> Bool {
        try await read { db in
            try Bool.fetchOne(
                db,
                sql: """
                    SELECT EXISTS (SELECT 1 FROM events
                    WHERE seconds >= ? AND action = ? AND object = ? AND instr(attributes, ?) > 0)
                    """,
                arguments: [time.seconds, action, object, word]
            ) ?? false
        }
    }

    package func lastEvent() async throws -> Int64 {
        try await read { try Int64.fetchOne($0, sql: "SELECT MAX(sequence) FROM events") ?? 0 }
    }

    /// The oldest event that is kept; nil when there is none.
    package func firstEvent() async throws -> Int64? {
        try await read { try Int64.fetchOne($0, sql: "SELECT MIN(sequence) FROM events") }
    }

    /// The cursor before the first event at or after `time`.
    package func eventCursor(since time: Timestamp) async throws -> Int64? {
        try await read { db in
            try Int64.fetchOne(
                db,
                sql: """
                    SELECT MIN(sequence) FROM events WHERE seconds > ?1 OR (seconds = ?1 AND nanoseconds >= ?2)
                    """,
                arguments: [time.seconds, Int64(time.nanoseconds)]
            ).map { $0 - 1 }
        }
    }

    /// Keeps the newest `count` events.
    package func trimEvents(keeping count: Int) async throws {
        try await write { db in
            try db.execute(
                sql: "DELETE FROM events WHERE sequence <= (SELECT MAX(sequence) FROM events) - ?",
                arguments: [count]
            )
        }
    }
}
