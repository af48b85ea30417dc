package import EngineModel
import EngineSpec
import GRDB

extension Store {
    /// Whether an error means that the database itself is damaged, and not that something around it fails.
    package static func isDamage(_ error: any Error) -> Bool {
        // What is of another type than every program writes.
        if error is RowDecodingError { return true }
        guard let error = error as? DatabaseError else { return false }
        switch error.resultCode.primaryResultCode {
        case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_PERM, .SQLITE_READONLY, .SQLITE_IOERR, .SQLITE_FULL,
            .SQLITE_CANTOPEN, .SQLITE_NOMEM, .SQLITE_INTERRUPT, .SQLITE_AUTH:
            // A file that ends too early is read short; nothing else that the disk says is the database's fault.
            return error.extendedResultCode == .SQLITE_IOERR_SHORT_READ
        default: return true
        }
    }

    /// Reads everything that an engine needs, and has SQLite look at the rest.
    ///
    /// - Throws: What is wrong with the database.
    package func examine() throws {
        let verdict = try pool.read { db in
            _ = try Row.fetchAll(db, sql: "SELECT * FROM containers")
            _ = try Row.fetchAll(db, sql: "SELECT * FROM id_ranges JOIN id_range_holders USING (first)")
            _ = try Row.fetchAll(db, sql: "SELECT key, value FROM meta")
            _ = try Row.fetchAll(db, sql: "SELECT * FROM events ORDER BY sequence DESC LIMIT 1")
            try SchemaTexts.check(db)
            return try String.fetchOne(db, sql: "PRAGMA quick_check(1)")
        }
        guard verdict == "ok" else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: verdict ?? "no verdict")
        }
    }

    /// Has the indexes of containers and of their ids say what the tables do.
    ///
    /// A row that has changed beneath its index can be neither replaced nor removed, so this comes before everything that is corrected.
    /// Where two rows have one name by now there is no index of both: ``UnreadableRow/replacement(_:)`` does it then.
    ///
    /// Blocks.
    /// - Returns: what was wrong.
    /// - Throws: What is wrong with the database when indexes cannot be made anew in it.
    package func mendIndexes() throws -> [String] {
        try ["containers", "id_range_holders"].flatMap { table in
            func verdicts() throws -> [String] {
                try pool.read { try String.fetchAll($0, sql: "PRAGMA integrity_check(\(table))") }.filter { $0 != "ok" }
            }
            let problems = try verdicts()
            if problems.isEmpty { return problems }
            do { try pool.write { try $0.execute(sql: "REINDEX \(table)") } } catch {
                guard (error as? DatabaseError)?.resultCode != .SQLITE_CORRUPT else { throw error }
                return problems + ["indexes of \(table) are not made anew: \(error)"]
            }
            return problems + (try verdicts()).map { "after its indexes were made anew: \($0)" }
        }
    }

    /// Whether no container was ever made in it.
    package func isUnused() throws -> Bool {
        try pool.read { db in
            let containers = try Int.fetchOne(db, sql: "SELECT count(*) FROM containers") ?? 0
            return try containers == 0 && Int64.fetchOne(db, sql: "SELECT MAX(sequence) FROM events") == nil
        }
    }

    /// Has the next event come behind everything that an earlier database may have told.
    package func continueEvents(after sequence: Int64) async throws {
        try await write { db in
            try db.execute(sql: "DELETE FROM sqlite_sequence WHERE name = 'events'")
            try db.execute(sql: "INSERT INTO sqlite_sequence (name, seq) VALUES ('events', ?)", arguments: [sequence])
        }
    }

    /// Why the count beside the database at `path` cannot be read; nil when it can, or is absent.
    ///
    /// Blocks.
    package static func damageOfCount(beside path: String) throws -> (file: String, reason: String)? {
        try CommitCount.damage(beside: path)
    }

    /// Looks at what an opening leaves out: every event, and whether the indexes say what the tables do.
    ///
    /// Indexes that do not are made anew.
    ///
    /// - Returns: what was wrong beyond single events, which are reported as they are met.
    package func examineRest() async throws -> [String] {
        do { try await examineEvents() } catch  where Self.isDamage(error) {
            return try await remade(after: ["\(error)"])
        }
        let problems = try await verdicts()
        return problems.isEmpty ? [] : try await remade(after: problems)
    }

    private func examineEvents() async throws {
        var cursor: Int64 = 0
        while true {
            try Task.checkCancellation()
            let page = try await events(after: cursor, limit: 1000)
            if page.cursor == cursor { break }
            cursor = page.cursor
        }
    }

    /// What SQLite says of tables and indexes; some damage ends its look.
    private func verdicts() async throws -> [String] {
        do {
            return try await read { try String.fetchAll($0, sql: "PRAGMA integrity_check(10)") }.filter { $0 != "ok" }
        } catch  where Self.isDamage(error) { return ["\(error)"] }
    }

    private func remade(after problems: [String]) async throws -> [String] {
        do { try await write { try $0.execute(sql: "REINDEX") } } catch  where Self.isDamage(error) {
            return problems + ["its indexes are not made anew: \(error)"]
        }
        return problems + (try await verdicts()).map { "after its indexes were made anew: \($0)" }
    }

    /// Corrects who holds which ids: each container's own plan says which it was given.
    ///
    /// - Returns: what was another.
    package func correctIDs(_ records: [ContainerRecord]) async throws -> [ContainerID: String] {
        let held = try await read { db in
            let sql = "SELECT container, first, size, cgroup FROM id_range_holders LEFT JOIN id_ranges USING (first)"
            return try Row.fetchAll(db, sql: sql).map { row in
                (
                    String.fromDatabaseValue(row["container"]) ?? "", Int64.fromDatabaseValue(row["first"]),
                    Int64.fromDatabaseValue(row["size"]), String.fromDatabaseValue(row["cgroup"])
                )
            }
        }
        let byContainer = Dictionary(held.map { ($0.0, $0) }) { first, _ in first }
        var wrong: [ContainerID: String] = [:]
        var bodies: [Body] = []
        for record in records {
            guard let range = record.plan.userNamespace?.range else { continue }
            let cgroup = CgroupPlace(text: record.plan.cgroupsPath ?? "").directory
            let found = byContainer[record.id.description]
            if let found, found.1 == Int64(range.first), found.2 == Int64(range.size), found.3 == cgroup { continue }
            wrong[record.id] = "it says other ids than were given: \(range.first) to \(range.end - 1)"
            bodies.append { db in
                try db.execute(sql: "PRAGMA defer_foreign_keys = ON")
                // A group is one container's: another holder in it is this one under a name that has changed.
                try db.execute(
                    sql: "DELETE FROM id_range_holders WHERE cgroup = ? AND container <> ?",
                    arguments: [cgroup, record.id.description]
                )
                try db.execute(
                    sql: "INSERT OR REPLACE INTO id_range_holders (container, first, cgroup) VALUES (?, ?, ?)",
                    arguments: [record.id.description, Int64(range.first), cgroup]
                )
                try db.execute(sql: "DELETE FROM id_ranges WHERE first NOT IN (SELECT first FROM id_range_holders)")
                try db.execute(sql: "DELETE FROM id_ranges WHERE first = ?", arguments: [Int64(range.first)])
                try db.execute(
                    sql: "INSERT INTO id_ranges (first, size) VALUES (?, ?)",
                    arguments: [Int64(range.first), Int64(range.size)]
                )
            }
        }
        for body in bodies { try await write(body) }
        return wrong
    }
}
