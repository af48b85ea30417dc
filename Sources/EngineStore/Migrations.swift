import GRDB

/// The schema, step by step.
///
/// A step is never changed once released: the next one adds.
enum Migrations {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 containers, events, meta") { db in
            try db.execute(
                sql: """
                    CREATE TABLE containers (
                        id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL,
                        configuration TEXT NOT NULL, plan TEXT NOT NULL, state TEXT NOT NULL
                    ) WITHOUT ROWID;
                    CREATE TABLE events (
                        sequence INTEGER PRIMARY KEY AUTOINCREMENT, seconds INTEGER NOT NULL, nanoseconds INTEGER NOT NULL,
                        kind TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, attributes TEXT NOT NULL
                    );
                    CREATE INDEX events_time ON events (seconds, nanoseconds);
                    CREATE TABLE images (
                        name TEXT PRIMARY KEY NOT NULL, digest TEXT NOT NULL, tagged TEXT NOT NULL
                    ) WITHOUT ROWID;
                    CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
                    """
            )
        }
        registerUserNamespaces(&migrator)
        registerSystemCalls(&migrator)
        registerChecks(&migrator)
        return migrator
    }

    /// Ids of the host that containers hold, also of containers that are gone and left something.
    ///
    /// No two ranges meet; several containers hold one when they share a user namespace.
    private static func registerUserNamespaces(_ migrator: inout DatabaseMigrator) {
        migrator.registerMigration("2 ids of user namespaces") { db in
            try db.execute(
                sql: """
                    CREATE TABLE id_ranges (
                        first INTEGER PRIMARY KEY NOT NULL, size INTEGER NOT NULL CHECK (size > 0)
                    );
                    CREATE TRIGGER id_ranges_are_apart BEFORE INSERT ON id_ranges
                    WHEN EXISTS (
                        SELECT 1 FROM id_ranges WHERE first < NEW.first + NEW.size AND NEW.first < first + size
                    )
                    BEGIN SELECT RAISE(ABORT, 'ids are held by another container'); END;
                    CREATE TABLE id_range_holders (
                        container TEXT PRIMARY KEY NOT NULL, first INTEGER NOT NULL REFERENCES id_ranges (first),
                        cgroup TEXT NOT NULL
                    ) WITHOUT ROWID;
                    CREATE INDEX id_range_holders_first ON id_range_holders (first);
                    """
            )
        }
    }

    /// What shims have counted: `learned` until it is merged into a profile, `denials` summed up.
    private static func registerSystemCalls(_ migrator: inout DatabaseMigrator) {
        migrator.registerMigration("3 system calls") { db in
            try db.execute(
                sql: """
                    CREATE TABLE learned (
                        sequence INTEGER PRIMARY KEY AUTOINCREMENT, profile TEXT NOT NULL, document TEXT NOT NULL
                    );
                    CREATE INDEX learned_profile ON learned (profile, sequence);
                    CREATE TABLE denials (
                        id INTEGER PRIMARY KEY AUTOINCREMENT, profile TEXT NOT NULL, container TEXT NOT NULL,
                        name TEXT NOT NULL, mode TEXT NOT NULL, exec TEXT NOT NULL, command TEXT NOT NULL,
                        architecture INTEGER NOT NULL, number INTEGER NOT NULL, argument TEXT NOT NULL,
                        answer TEXT NOT NULL, pid INTEGER NOT NULL, count INTEGER NOT NULL, first TEXT NOT NULL,
                        last TEXT NOT NULL,
                        UNIQUE (profile, container, mode, exec, command, architecture, number, argument, answer)
                    );
                    CREATE INDEX denials_last ON denials (last);
                    """
            )
        }
    }

    /// Check values of rows, and the number of transactions.
    ///
    /// A program that does not know of them changes a text and not its value: that is taken away then, and given anew by one that does.
    private static func registerChecks(_ migrator: inout DatabaseMigrator) {
        migrator.registerMigration("4 check values") { db in
            try db.execute(
                sql: """
                    ALTER TABLE containers ADD COLUMN name_check INTEGER;
                    ALTER TABLE containers ADD COLUMN configuration_check INTEGER;
                    ALTER TABLE containers ADD COLUMN plan_check INTEGER;
                    ALTER TABLE containers ADD COLUMN state_check INTEGER;
                    ALTER TABLE events ADD COLUMN row_check INTEGER;
                    ALTER TABLE learned ADD COLUMN row_check INTEGER;
                    """
            )
            for column in ["name", "configuration", "state"] {
                try db.execute(
                    sql: """
                        CREATE TRIGGER containers_\(column)_unchecked AFTER UPDATE OF \(column) ON containers
                        WHEN NEW.\(column)_check IS OLD.\(column)_check AND NEW.\(column) IS NOT OLD.\(column)
                        BEGIN UPDATE containers SET \(column)_check = NULL WHERE id = NEW.id; END;
                        """
                )
            }
            try db.execute(sql: "INSERT INTO sqlite_sequence (name, seq) VALUES ('commits', 0)")
        }
    }
}
