import GRDB

extension Store {
    /// Whether an error means that the database itself is damaged, and not that something around it fails.
    package static func isDamage(_ error: any Error) -> Bool {
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
            _ = try Store.containers(db)
            _ = try Row.fetchAll(db, sql: "SELECT * FROM id_ranges JOIN id_range_holders USING (first)")
            _ = try Row.fetchAll(db, sql: "SELECT key, value FROM meta")
            _ = try Row.fetchAll(db, sql: "SELECT * FROM events ORDER BY sequence DESC LIMIT 1")
            return try String.fetchOne(db, sql: "PRAGMA quick_check(1)")
        }
        guard verdict == "ok" else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: verdict ?? "no verdict")
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
}
