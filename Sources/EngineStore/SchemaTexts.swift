import GRDB

/// The texts by which SQLite knows the tables: one in which a byte has changed may be read as well as the one that was written, and
/// is that of another column, type or rule.
///
/// All databases of one version have the same, so one that is made anew in memory says what they have to be.
enum SchemaTexts {
    /// Type, name, table and text of one thing in the schema.
    private typealias Entry = [String?]

    private static func name(_ entry: Entry) -> String {
        "text of \(entry[0] ?? "?") '\(entry[1] ?? "?")' in the schema of the database"
    }

    /// Puts right what differs by a byte or two, before anybody relies on it.
    ///
    /// Blocks.
    static func mend(_ pool: DatabasePool, _ report: (String, String) -> Void) throws {
        let (expected, applied) = try made()
        let found = try pool.read { try entries($0) }
        var changes: [(row: Int64, found: Entry, expected: Entry)] = []
        for entry in expected where !found.values.contains(entry) {
            let other = found.first { !expected.contains($0.value) && isNearly($0.value, entry) }
            // Of another version, or damaged beyond a byte or two: whoever needs it finds out.
            guard let other, found.count == expected.count else { return }
            changes.append((other.key, other.value, entry))
        }
        if !changes.isEmpty {
            try pool.writeWithoutTransaction { try put(changes.map { ($0.row, $0.expected) }, $0) }
            pool.invalidateReadOnlyConnections()
        }
        for change in changes { report(name(change.expected), "it is '\(change.found)'; put right") }
        if found.count >= expected.count { try mendSteps(applied, pool, report) }
    }

    /// Puts right which steps have been applied: one that seems not to have been would be applied again.
    private static func mendSteps(_ known: Set<String>, _ pool: DatabasePool, _ report: (String, String) -> Void) throws
    {
        // The index is what is read otherwise.
        let (rows, indexed) = try pool.read { db in
            (
                try Row.fetchAll(db, sql: "SELECT rowid, identifier FROM grdb_migrations NOT INDEXED")
                    .map { (row: $0[0] as Int64, name: String.fromDatabaseValue($0[1])) },
                Set(
                    try DatabaseValue.fetchAll(db, sql: "SELECT identifier FROM grdb_migrations").map(
                        String.fromDatabaseValue
                    )
                )
            )
        }
        let unknown = rows.filter { $0.name.map { !known.contains($0) } ?? true }
        let missing = known.subtracting(rows.compactMap(\.name))
        let changed = missing.count == 1 && unknown.count == 1 ? unknown.first : nil
        guard changed != nil || indexed != Set(rows.map(\.name)) else { return }
        try pool.writeWithoutTransaction { db in
            // In this mode SQLite does not mind an index that says something else.
            try db.execute(sql: "PRAGMA writable_schema = ON")
            defer { try? db.execute(sql: "PRAGMA writable_schema = OFF") }  // a flag, which cannot fail
            try db.inTransaction(.immediate) {
                if let changed {
                    let sql = "UPDATE grdb_migrations SET identifier = ? WHERE rowid = ?"
                    try db.execute(sql: sql, arguments: [missing.first, changed.row])
                }
                try db.execute(sql: "REINDEX grdb_migrations")
                return .commit
            }
        }
        report(
            "row '\(missing.first ?? "?")' of applied steps of the database",
            "it or its index is another one; put right"
        )
    }

    private static func isNearly(_ entry: Entry, _ other: Entry) -> Bool {
        zip(entry, other).allSatisfy { RowCheck.isNearly($0, $1) }
    }

    /// Looks whether a database of this program's version has its schema.
    ///
    /// - Throws: `SQLITE_CORRUPT` that names what it has not.
    static func check(_ db: Database) throws {
        guard try Schema.facts(db).version == Schema.version else { return }
        let (expected, _) = try made()
        let found = try entries(db).values
        guard let wrong = expected.first(where: { !found.contains($0) }) else { return }
        throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "\(name(wrong)) is another one")
    }

    private static func made() throws -> ([Entry], Set<String>) {
        let fresh = try DatabaseQueue()
        defer { try? fresh.close() }  // it was in memory
        try Migrations.migrator.migrate(fresh)
        return try fresh.read { (Array(try entries($0).values), try Migrations.migrator.appliedIdentifiers($0)) }
    }

    /// By the numbers of their rows.
    private static func entries(_ db: Database) throws -> [Int64: Entry] {
        var entries: [Int64: Entry] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT rowid, type, name, tbl_name, sql FROM sqlite_schema") {
            entries[row[0]] = (1...4).map { String.fromDatabaseValue(row[$0]) }
        }
        return entries
    }

    private static func put(_ entries: [(row: Int64, texts: Entry)], _ db: Database) throws {
        try db.execute(sql: "PRAGMA writable_schema = ON")
        defer { try? db.execute(sql: "PRAGMA writable_schema = OFF") }  // a flag, which cannot fail
        try db.inTransaction(.immediate) {
            for entry in entries {
                try db.execute(
                    sql: "UPDATE sqlite_schema SET type = ?, name = ?, tbl_name = ?, sql = ? WHERE rowid = ?",
                    arguments: StatementArguments(entry.texts) + [entry.row]
                )
            }
            // Every connection reads it again.
            let version = try Int64.fetchOne(db, sql: "PRAGMA schema_version") ?? 0
            try db.execute(sql: "PRAGMA schema_version = \((version + 1) % 0x7fff_ffff)")
            return .commit
        }
        try db.execute(sql: "PRAGMA writable_schema = RESET")
        db.clearSchemaCache()
    }
}
