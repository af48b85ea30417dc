import DocumentTexts
import EngineModel
import GRDB
import Kernel
import Synchronization

/// How many transactions the database has, counted in it and in a small file beside it.
///
/// SQLite takes a log (`-wal`) for complete up to the first frame that is not as it was written: when its end is cut off, what was committed is
/// gone without a word. The file is written after each commit and before anybody is answered, in place and without being synced: so it may
/// be behind the database after the loss of power, and it is never ahead of it unless something was lost.
final class CommitCount: Sendable {
    private static let suffix = ".commits"
    /// A number in the table in which SQLite keeps those of events, which is written with nearly every commit anyway.
    private static let key = "commits"

    /// Nil where it cannot be made: on a full disk, say.
    private let file: SharedDescriptor?
    private let database: String
    private let count: Mutex<Int64>
    /// Transactions that the file knows of and the database does not.
    let missing: Int64

    /// Compares the two, and goes on behind the larger one.
    ///
    /// Blocks; the file is made when it is absent.
    init(beside path: String, of pool: DatabasePool, report: (String, String) -> Void) throws {
        let found = try pool.read { try Self.facts($0) }
        let place = path + Self.suffix
        // What cannot be read claims nothing.
        var known = try? Self.read(place)
        var identity = found.identity
        if let name = known?.database, name != identity {
            if RowCheck.isNearly(name, identity) || identity == nil && found.count > 0 {
                report("row 'identity' of the database", "it is another name than '\(name)', which '\(place)' has")
                identity = name
            } else {
                // A new database has a name of its own: what is counted beside it is another one's.
                known = nil
            }
        }
        missing = max(0, (known?.count ?? 0) - found.count)
        let next = max(known?.count ?? 0, found.count)
        let name = identity ?? HexIdentifier.random()
        if name != found.identity { try pool.write { try Self.set($0, found.count, name) } }
        database = name
        count = Mutex(next)
        if known == nil { try? File.writeAtomically(place, Self.document(next, name), durable: true) }
        file = try? SharedDescriptor(File.open(place, [.write, .noFollow]))
        if missing > 0 || known?.count != next { try? file?.writeAll(Self.document(next, name), at: 0) }
    }

    /// Has the database go on behind the file, as soon as what is left of its log is kept.
    func catchUp(_ pool: DatabasePool) throws {
        let next = count.withLock { $0 }
        try pool.write { try Self.set($0, next, database) }
    }

    /// Counts the transaction that `db` is in.
    static func increment(_ db: Database) throws {
        try db.cachedStatement(sql: "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = '\(key)'").execute()
    }

    /// The transaction is on disk.
    func committed() {
        count.withLock { count in
            count += 1
            // Behind, it claims nothing that is not so; the next commit writes it again.
            try? file?.writeAll(Self.document(count, database), at: 0)
        }
    }

    private static func facts(_ db: Database) throws -> (count: Int64, identity: String?) {
        let count = try DatabaseValue.fetchOne(db, sql: "SELECT seq FROM sqlite_sequence WHERE name = '\(key)'")
        let identity = try DatabaseValue.fetchOne(db, sql: "SELECT value FROM meta WHERE key = 'identity'")
        return (count.flatMap(Int64.fromDatabaseValue) ?? 0, identity.flatMap(String.fromDatabaseValue))
    }

    private static func set(_ db: Database, _ count: Int64, _ identity: String) throws {
        // Its name may be what has changed: a table without it counts nothing.
        try db.execute(sql: "DELETE FROM sqlite_sequence WHERE name = '\(key)'")
        try db.execute(sql: "INSERT INTO sqlite_sequence (name, seq) VALUES ('\(key)', ?)", arguments: [count])
        try db.execute(
            sql: "INSERT OR REPLACE INTO meta (key, value) VALUES ('identity', ?)",
            arguments: [identity]
        )
    }

    private struct Document: Codable {
        var commits: String
        var database: String
    }

    /// Always of the same length, so that it is written in place.
    private static func document(_ count: Int64, _ database: String) throws -> [UInt8] {
        let digits = String(count)
        let padded = String(repeating: "0", count: max(0, 19 - digits.utf8.count)) + digits
        return CheckedObject.sealed(try JSON.bytes(Document(commits: padded, database: database)))
    }

    /// What the file says; nil when it is absent, or of no use.
    private static func read(_ path: String) throws -> (count: Int64, database: String)? {
        guard try File.isThere(path) else { return nil }
        let bytes = try File.read(path, limit: 4096)
        guard CheckedObject.isSealed(bytes), let document = try? JSON.decode(Document.self, bytes) else { return nil }
        return Int64(document.commits).map { ($0, document.database) }
    }

    /// Why the file beside a database cannot be read; nil when it is absent or as it was written.
    static func damage(beside path: String) throws -> (file: String, reason: String)? {
        let place = path + suffix
        guard try File.isThere(place), try read(place) == nil else { return nil }
        return (place, "it is not the count of the database's transactions")
    }
}
