import EngineModel
import GRDB
import Kernel

/// Which programs read which databases.
///
/// The schema's version is the number of migrations. They only add, so a program reads a newer database too, unless a migration
/// said in `meta` (key `reads-from`) that programs from a later version on do.
package enum Schema {
    /// The version that this program makes.
    package static let version = Migrations.migrator.migrations.count
    /// The least version of a program that reads what this one writes.
    package static let readsFrom = 2

    /// What a database says of itself.
    package struct Facts: Sendable, Equatable {
        /// Its version; 0 for one that is empty.
        package var version: Int
        /// The least version of a program that reads it.
        package var readsFrom: Int
        /// Whether they are what no program writes.
        var isOdd = false
        /// Whether they contradict each other: what reads a database is never later than what made it.
        package var isDamaged: Bool { readsFrom > version || isOdd }

        package init(version: Int, readsFrom: Int) {
            (self.version, self.readsFrom) = (version, readsFrom)
        }

        /// What keeps this program from reading it; nil for nothing.
        package var problem: String? {
            guard readsFrom > Schema.version, !isDamaged else { return nil }
            return
                "it has schema version \(version), which programs from schema version \(readsFrom) on read, and this one has "
                + "\(Schema.version): take a newer berthd"
        }
    }

    /// Reads what a database says of itself.
    static func facts(_ db: Database) throws -> Facts {
        guard try db.tableExists("meta") else { return Facts(version: 0, readsFrom: 0) }
        func number(_ key: String) throws -> Int? {
            try DatabaseValue.fetchOne(db, sql: "SELECT value FROM meta WHERE key = ?", arguments: [key])
                .flatMap(String.fromDatabaseValue).flatMap { Int($0) }
        }
        let applied = try Migrations.migrator.appliedIdentifiers(db).count
        let said = try number("schema")
        var facts = Facts(version: said ?? applied, readsFrom: try number("reads-from") ?? 0)
        // Each version is one step more. A migration that was cut off has done more than it says.
        let isUnheardOf = facts.version > applied && facts.readsFrom == readsFrom
        if applied <= version, isUnheardOf || said == nil && applied == version {
            (facts.version, facts.isOdd) = (applied, true)
        }
        if facts.version == version, facts.readsFrom != readsFrom { facts.isOdd = true }
        return facts
    }

    /// Brings a database to this program's version, and leaves a newer one as it is.
    ///
    /// - Throws: `.failedPrecondition` for one that this program must not use; nothing is changed then.
    static func prepare(_ pool: DatabasePool, _ path: String, _ report: (String, String) -> Void = { _, _ in }) throws {
        try SchemaTexts.mend(pool, report)
        let found = try pool.read { try facts($0) }
        if let problem = found.problem { throw EngineError.newerDatabase(path, problem) }
        try Migrations.migrator.migrate(pool)
        if found.isDamaged {
            report("row 'schema' or 'reads-from' of the database", "it says \(found.version) and \(found.readsFrom)")
        }
        guard found.version < version || found.isDamaged else { return }
        try pool.write { db in
            for (key, value) in [("schema", version), ("reads-from", readsFrom)] {
                try db.execute(
                    sql: "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
                    arguments: [key, String(value)]
                )
            }
        }
    }
}

extension EngineError {
    static func newerDatabase(_ path: String, _ problem: String) -> EngineError {
        EngineError(.failedPrecondition, "database '\(path)' cannot be used: \(problem)")
    }
}

/// A database that is looked at and not changed, while another process may use it.
package enum StoreCheck {
    /// What was found.
    package struct Findings: Sendable {
        package var schema: Schema.Facts
        package var records: [ContainerRecord] = []
        package var unreadable: [UnreadableRow] = []
    }

    /// Looks at the database at `path`.
    ///
    /// Blocks.
    package static func look(at path: String) throws -> Findings {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(5)
        // Without it SQLite looks all the same, where there is space.
        let files = try? DatabaseFiles(path)
        defer { withExtendedLifetime(files) {} }
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? queue.close() }  // nothing was written, and the process ends soon
        return try queue.read { db in
            var findings = Findings(schema: try Schema.facts(db))
            guard findings.schema.problem == nil, findings.schema.version > 0 else { return findings }
            (findings.records, findings.unreadable) = try Store.containers(db)
            return findings
        }
    }
}
