import EngineModel
import EngineSpec
import EngineStore
import Foundation
import GRDB
import Kernel
import Synchronization
import Testing

/// Damage within the database that SQLite cannot tell of.
struct StoreDamageTests {
    typealias Directory = StoreTests.Directory
    private let tests = StoreTests()

    /// A database with one container, and nobody who has it open.
    private func written() async throws -> (directory: Directory, record: ContainerRecord, file: URL) {
        let directory = try Directory()
        let record = try tests.record("one")
        let store = try directory.open()
        try await store.write(try record.insertion)
        try store.close()
        return (directory, record, URL(fileURLWithPath: directory.path + "/berth.db"))
    }

    private func change(_ directory: Directory, _ sql: String, _ arguments: StatementArguments = []) throws {
        let queue = try DatabaseQueue(path: directory.path + "/berth.db")
        try queue.write { try $0.execute(sql: sql, arguments: arguments) }
        try queue.close()
    }

    /// Without the triggers, by which a program of before is known.
    private func damage(_ directory: Directory, _ sql: String, _ arguments: StatementArguments = []) throws {
        let triggers = ["name", "configuration", "state"].map { "DROP TRIGGER IF EXISTS containers_\($0)_unchecked;" }
        try change(directory, triggers.joined())
        try change(directory, sql, arguments)
    }

    @Test(arguments: ["id", "name", "created", "configuration", "plan", "state"])
    func anyChangedByteOfARowIsNoticed(_ column: String) async throws {
        let (directory, record, file) = try await written()
        let queue = try DatabaseQueue(path: file.path)
        let sql = "SELECT \(column) FROM containers"
        let text = try #require(try await queue.read { try String.fetchOne($0, sql: sql) })
        try queue.close()
        let bytes = Array(text.utf8)
        for place in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 12)) {
            var changed = bytes
            // Another letter or digit: it decodes as before.
            changed[place] ^= 0x01
            let other = String(decoding: changed, as: UTF8.self)
            try damage(directory, "UPDATE containers SET \(column) = ?", [other])
            let store = try directory.open()
            let found = try await store.loadContainers()
            #expect(found.records.isEmpty && found.unreadable.count == 1, "\(column) \(place): \(other)")
            let row = try #require(found.unreadable.first)
            #expect(row.belongs(to: record.id), "\(column) \(place)")
            let parts = row.parts(for: record.id)
            // All else is as it was.
            #expect(parts.name == (column == "name" ? nil : record.name))
            #expect(parts.configuration == (column == "configuration" ? nil : record.configuration))
            #expect(parts.plan == (["plan", "created"].contains(column) ? nil : record.plan))
            #expect(parts.state == (column == "state" ? nil : record.state))
            try await store.write(try row.replacement(record))
            #expect(try await store.loadContainers().records == [record])
            try store.close()
        }
    }

    /// A program of the version before changes texts and knows of no check values.
    @Test func whatAnEarlierVersionWritesIsNoDamage() async throws {
        let directory = try Directory()
        let (one, two) = (try tests.record("one"), try tests.record("two"))
        var store = try directory.open()
        try await store.write(try one.insertion)
        try store.close()
        try change(directory, "UPDATE containers SET name = 'other'")
        try change(
            directory,
            """
            INSERT INTO containers (id, name, created, configuration, plan, state)
            SELECT ?, 'two', created, configuration, plan, state FROM containers
            """,
            [two.id.description]
        )
        store = try directory.open()
        let found = try await store.loadContainers()
        #expect(Set(found.records.map(\.name)) == ["other", "two"] && found.unreadable.isEmpty)
        try store.close()
        // From now on it is checked.
        try damage(directory, "UPDATE containers SET name = 'othex' WHERE name = 'other'")
        store = try directory.open()
        #expect(try await store.loadContainers().unreadable.map(\.name) == ["othex"])
    }

    private static let changedEvents = [
        "UPDATE events SET action = 'stark' WHERE action = 'start'",
        // As where one byte of a row's head has moved all columns.
        "UPDATE events SET row_check = NULL, kind = char(9) || kind WHERE action = 'start'",
        "UPDATE events SET row_check = NULL, attributes = '{' WHERE action = 'start'",
    ]

    @Test(arguments: changedEvents) func changedEventIsReportedAndLeftOut(_ sql: String) async throws {
        let directory = try Directory()
        let reports = Mutex<[String]>([])
        var store = try directory.open()
        try await store.write(events: [tests.draft("create"), tests.draft("start"), tests.draft("die")])
        try store.close()
        try change(directory, sql)
        store = try Store(
            path: directory.path + "/berth.db",
            report: { object, _ in reports.withLock { $0.append(object) } },
            publish: { _ in }
        )
        let found = try await store.events(after: 0, limit: 10)
        #expect(found.events.map(\.action) == ["create", "die"] && found.cursor == 3)
        #expect(reports.withLock { $0 } == ["event 2 of the database"])
        #expect(try await store.examineRest().isEmpty)
    }

    /// SQLite itself says nothing of a log whose end is gone.
    @Test(arguments: ["cut", "flipped", "gone"]) func endOfTheLogThatIsLostIsNoticed(_ how: String) async throws {
        let directory = try Directory()
        let path = directory.path + "/berth.db"
        let store = try directory.open()
        for index in 0..<20 { try await store.write(events: [tests.draft("event-\(index)")]) }
        // As a manager that is killed leaves it; the open one keeps it from being taken in.
        let other = try Directory()
        for suffix in ["", "-wal", ".commits"] {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: other.path + "/berth.db" + suffix)
        }
        let log = URL(fileURLWithPath: other.path + "/berth.db-wal")
        var bytes = try Data(contentsOf: log)
        switch how {
        case "cut": bytes = bytes.prefix(bytes.count * 3 / 4)
        case "flipped": bytes[bytes.count * 3 / 4] ^= 1
        default: bytes = Data()
        }
        let whole = try Directory()
        for suffix in ["", "-wal", ".commits"] {
            try FileManager.default.copyItem(atPath: path + suffix, toPath: whole.path + "/berth.db" + suffix)
        }
        #expect(try whole.open().missing == 0)
        try bytes.write(to: log)
        guard how != "gone" else {
            // Not even the tables are in the file: it is a new database, which the engine sees by its containers.
            return #expect(try other.open().missing == 0)
        }
        let damaged = try other.open()
        let left = try await damaged.events(after: 0, limit: 100).events.count
        #expect(left < 20 && damaged.missing == Int64(20 - left), "\(damaged.missing) of \(20 - left)")
        try damaged.catchUp()
        try await damaged.write(events: [tests.draft("more")])
        try damaged.close()
        #expect(try other.open().missing == 0)
    }

    @Test func countThatIsDamagedIsNamedAndMadeAgain() async throws {
        let directory = try Directory()
        let path = directory.path + "/berth.db"
        var store = try directory.open()
        try await store.write(events: [tests.draft("one")])
        try store.close()
        let file = URL(fileURLWithPath: path + ".commits")
        let whole = try Data(contentsOf: file)
        #expect(try Store.damageOfCount(beside: path) == nil)
        for place in whole.indices {
            var changed = whole
            changed[place] ^= 0x04
            try changed.write(to: file)
            #expect(try Store.damageOfCount(beside: path)?.file == file.path, "\(place)")
            try whole.prefix(place).write(to: file)
            #expect(try Store.damageOfCount(beside: path)?.file == file.path, "cut to \(place)")
        }
        try FileManager.default.removeItem(at: file)
        store = try directory.open()
        #expect(store.missing == 0)
        try store.close()
        #expect(try Data(contentsOf: file) == whole)
    }

    @Test func otherRowsAreComparedWithWhatElseIsKnown() async throws {
        let directory = try Directory()
        let reports = Mutex<[String]>([])
        func open() throws -> Store {
            try Store(
                path: directory.path + "/berth.db",
                report: { object, _ in reports.withLock { $0.append(object) } },
                publish: { _ in }
            )
        }
        let record = try tests.record("one", IDRange(first: 600_000, size: 65_536))
        var store = try open()
        let name = try await store.identity()
        try await store.write(try record.insertion)
        #expect(try await store.correctIDs([record]).isEmpty)
        try store.close()
        try change(directory, "UPDATE meta SET value = '9' WHERE key = 'reads-from'")
        store = try open()
        #expect(reports.withLock { $0 } == ["row 'schema' or 'reads-from' of the database"])
        try store.close()
        let other = (name.hasPrefix("a") ? "b" : "a") + name.dropFirst()
        try change(directory, "UPDATE meta SET value = ? WHERE key = 'identity'", [other])
        store = try open()
        #expect(try await store.identity() == name)
        #expect(reports.withLock { $0.last } == "row 'identity' of the database")
        try store.close()
        try change(directory, "PRAGMA defer_foreign_keys = ON; UPDATE id_ranges SET size = 65535")
        store = try open()
        #expect(try await store.correctIDs([record]).keys.map(\.self) == [record.id])
        #expect(try await store.loadIDRanges()[record.id.description]?.range.size == 65_536)
    }

    /// Bytes that lie beside the id of a container: those of a name, and of the first id, in the table or in its index.
    @Test(arguments: ["name", "another's name", "name in the index", "ids", "ids in the index"])
    func rowThatHasChangedBeneathItsIndexIsMadeAgainAtOnce(_ what: String) async throws {
        let directory = try Directory()
        let file = directory.path + "/berth.db"
        let one = try tests.record("d1", IDRange(first: 600_000, size: 65_536))
        let two = try tests.record("d2", IDRange(first: 700_000, size: 65_536))
        var store = try directory.open()
        for record in [one, two] { try await store.write(try record.insertion) }
        try store.close()
        let (id, first) = (Data(one.id.description.utf8), Data([0x09, 0x27, 0xC0]))
        let (old, new) =
            switch what {
            case "name": (id + Data("d1".utf8), id + Data("D1".utf8))
            case "another's name": (id + Data("d1".utf8), id + Data("d2".utf8))
            case "name in the index": (Data("d1".utf8) + id, Data("d3".utf8) + id)
            case "ids": (id + first, id + Data([0x09, 0x27, 0xC1]))
            default: (first + id, Data([0x09, 0x27, 0xC1]) + id)
            }
        var content = try Data(contentsOf: URL(fileURLWithPath: file))
        let place = try #require(content.range(of: old))
        content.replaceSubrange(place, with: new)
        try #require(content.range(of: old) == nil)
        try content.write(to: URL(fileURLWithPath: file))
        store = try directory.open()
        try store.examine()
        // Beneath an index that says something else a row can be neither corrected nor renamed.
        if what == "ids in the index" {
            await #expect(throws: DatabaseError.self) { try await store.correctIDs([one, two]) }
        }
        if what == "name" {
            await #expect(throws: DatabaseError.self) { try await store.write(ContainerRecord.nameChange(one.id, "x")) }
        }
        #expect(try !store.mendIndexes().isEmpty)
        let found = try await store.loadContainers()
        #expect(found.unreadable.count == (what.hasSuffix("name") ? 1 : 0))
        for row in found.unreadable { try await store.write(try row.replacement(one)) }
        #expect(try await Set(store.correctIDs([one, two]).keys) == (what == "ids" ? [one.id] : []))
        #expect(try store.mendIndexes().isEmpty)
        #expect(try await store.examineRest().isEmpty)
        #expect(try await Set(store.loadContainers().records.map(\.name)) == ["d1", "d2"])
        #expect(try await store.loadIDRanges()[one.id.description]?.range.first == 600_000)
        try await store.write(try tests.record("d3", IDRange(first: 800_000, size: 65_536)).insertion)
        for record in [one, two] {
            try await store.write { db in
                try IDRanges.release(record.id, db)
                try ContainerRecord.deletion(record.id)(db)
            }
        }
        #expect(try await store.loadIDRanges().count == 1)
        try store.close()
    }

    /// Opens the database, and gives what was told of.
    private func reports(_ directory: Directory, missing: Bool = false) throws -> [String] {
        let told = Mutex<[String]>([])
        let store = try Store(
            path: directory.path + "/berth.db",
            report: { object, _ in told.withLock { $0.append(object) } },
            publish: { _ in }
        )
        defer { try? store.close() }
        try store.examine()
        // Only the end of the log that seems to be lost.
        #expect((store.missing > 0) == missing)
        if missing { try store.catchUp() }
        return told.withLock { $0 }
    }

    /// A text of the schema in which a byte has changed is another column, another type or another rule, or none of SQLite's language.
    @Test func changedTextOfTheSchemaIsPutRightOrIsDamage() async throws {
        let (directory, _, file) = try await written()
        let whole = try Data(contentsOf: file)
        // The whole text of a table, two columns of another one, a rule, the body of a trigger, an index, names.
        let parts = [
            "containers (", "configuration TEXT", "value TEXT NOT NULL", "size INTEGER NOT NULL CHECK (size > 0)",
            "SET state_check = NULL", "ON events (seconds, nanoseconds)", "tableevents", "grdb_migrations",
        ]
        var mended = 0
        for part in parts {
            let range = try #require(whole.range(of: Data(part.utf8)), "\(part)")
            for place in range {
                for bits: UInt8 in [0x01, 0x20] {
                    var damaged = whole
                    damaged[place] ^= bits
                    try damaged.write(to: file)
                    do {
                        let told = try reports(directory)
                        #expect(told.count == 1, "\(part) at \(place) ^ \(bits): \(told)")
                        mended += 1
                        #expect(try reports(directory).isEmpty, "\(part) at \(place) ^ \(bits), once more")
                    } catch { #expect(Store.isDamage(error), "\(part) at \(place) ^ \(bits): \(error)") }
                    for suffix in ["-wal", "-shm", ".commits"] {
                        try? FileManager.default.removeItem(atPath: file.path + suffix)
                    }
                }
            }
        }
        #expect(mended > 100)
        try whole.write(to: file)
        #expect(try reports(directory).isEmpty)
    }

    /// Rows by which the database itself is known.
    private static let changedRows = [
        "UPDATE meta SET value = '5' WHERE key = 'schema'", "UPDATE meta SET value = 'x' WHERE key = 'schema'",
        "UPDATE meta SET key = 'rchema' WHERE key = 'schema'",
        "UPDATE meta SET value = '3' WHERE key = 'reads-from'",
        "UPDATE meta SET key = 'reads-frnm' WHERE key = 'reads-from'",
        "UPDATE meta SET key = 'identitx' WHERE key = 'identity'",
        "UPDATE grdb_migrations SET identifier = '1 containers, events, mets' WHERE identifier LIKE '1%'",
        "UPDATE grdb_migrations SET identifier = '4 chebk values' WHERE identifier LIKE '4%'",
        "UPDATE grdb_migrations SET identifier = x'ff' WHERE identifier LIKE '2%'",
        "UPDATE sqlite_sequence SET name = 'commitr' WHERE name = 'commits'",
        "UPDATE sqlite_sequence SET seq = 'commitr' WHERE name = 'commits'",
        "UPDATE meta SET value = x'ff31' WHERE key = 'identity'",
    ]

    @Test(arguments: changedRows) func changedRowOfTheDatabaseItselfIsPutRight(_ sql: String) async throws {
        let (directory, record, _) = try await written()
        try change(directory, sql)
        let told = try reports(directory, missing: sql.contains("commitr"))
        #expect(told.count == (sql.contains("commitr") ? 0 : 1), "\(told)")
        #expect(try reports(directory, missing: false).isEmpty)
        let again = try directory.open()
        #expect(try await again.loadContainers().records == [record])
        try await again.write(try tests.record("two").insertion)
        try again.close()
        #expect(try reports(directory, missing: false).isEmpty)
    }

    /// As a changed byte leaves it: the table says something else than its index.
    @Test func stepThatHasChangedBeneathItsIndexIsPutRight() async throws {
        let (directory, _, file) = try await written()
        let whole = try Data(contentsOf: file)
        let text = Data("2 ids of user namespaces".utf8)
        var places: [Int] = []
        var at = whole.startIndex
        while let range = whole.range(of: text, in: at..<whole.endIndex) {
            places.append(range.lowerBound)
            at = range.upperBound
        }
        // The row and its index.
        try #require(places.count == 2)
        for place in places {
            var damaged = whole
            damaged[place + 3] ^= 0x02
            try damaged.write(to: file)
            for isFirst in [true, false] {
                var told = try reports(directory)
                let again = try directory.open()
                // An index that nobody has read.
                told += try await again.examineRest()
                try again.close()
                #expect(told.isEmpty != isFirst, "\(place): \(told)")
            }
            for suffix in ["-wal", "-shm", ".commits"] {
                try? FileManager.default.removeItem(atPath: file.path + suffix)
            }
        }
    }

    /// Whatever type a value has by now, it is no reason to end.
    @Test(arguments: ["first = 'x'", "cgroup = x'ff'", "container = x'ff'", "first = -5"])
    func rowOfIDsOfAnotherTypeIsNamed(_ change: String) async throws {
        let directory = try Directory()
        let record = try tests.record("one")
        var store = try directory.open()
        try await store.write(try record.insertion)
        try await store.write { db in
            try db.execute(sql: "INSERT INTO id_ranges (first, size) VALUES (700000, 65536)")
            try db.execute(
                sql: "INSERT INTO id_range_holders (container, first, cgroup) VALUES ('gone', 700000, '/gone')"
            )
        }
        try store.close()
        let queue = try DatabaseQueue(path: directory.path + "/berth.db", configuration: Self.withoutForeignKeys)
        try await queue.write { db in
            if change.hasPrefix("first") {
                let value = change.dropFirst("first = ".count)
                try db.execute(sql: "DELETE FROM id_ranges WHERE first = 700000")
                if value.hasPrefix("-") {
                    try db.execute(sql: "INSERT INTO id_ranges (first, size) VALUES (\(value), 65536)")
                }
            }
            try db.execute(sql: "UPDATE id_range_holders SET \(change) WHERE container = 'gone'")
        }
        try queue.close()
        let told = Mutex<[String]>([])
        store = try Store(
            path: directory.path + "/berth.db",
            report: { object, _ in told.withLock { $0.append(object) } },
            publish: { _ in }
        )
        let holders = try await store.loadIDRanges()
        #expect(holders["gone"] == nil)
        // A range that is absent is no row of the two together.
        #expect(told.withLock { $0.count } == (change == "first = 'x'" ? 0 : 1))
        try store.close()
    }

    private static var withoutForeignKeys: Configuration {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        return configuration
    }

    /// SQLite's look at an index ends at some damages, and that is one as well.
    @Test func indexThatEndsTheLookIsNamedAndMadeAnew() async throws {
        let directory = try Directory()
        let store = try directory.open()
        for index in 0..<20 { try await store.write(events: [tests.draft("event-\(index)")]) }
        try store.close()
        let file = URL(fileURLWithPath: directory.path + "/berth.db")
        let queue = try DatabaseQueue(path: file.path)
        let (root, size) = try await queue.read { db in
            (
                try Int.fetchOne(db, sql: "SELECT rootpage FROM sqlite_schema WHERE name = 'events_time'"),
                try Int.fetchOne(db, sql: "PRAGMA page_size")
            )
        }
        try queue.close()
        let whole = try Data(contentsOf: file)
        let begin = try (#require(root) - 1) * #require(size)
        let count = Int(whole[begin + 3]) << 8 | Int(whole[begin + 4])
        try #require(whole[begin] == 10 && count == 20, "the index is one page")
        var looks = 0
        for index in 0..<count {
            // The length of an entry, and that of its head.
            let cell = begin + (Int(whole[begin + 8 + 2 * index]) << 8 | Int(whole[begin + 9 + 2 * index]))
            for place in [cell, cell + 1] {
                var damaged = whole
                damaged[place] ^= 0x38
                try damaged.write(to: file)
                for isFirst in [true, false] {
                    let store = try directory.open()
                    do { try store.examine() } catch {
                        // Seen before anything is read: it takes the place of all the rest.
                        #expect(isFirst && Store.isDamage(error), "entry \(index): \(error)")
                        try store.close()
                        break
                    }
                    looks += 1
                    #expect(try await store.examineRest().isEmpty != isFirst, "entry \(index), byte \(place - cell)")
                    try store.close()
                }
                for suffix in ["-wal", "-shm", ".commits"] {
                    try? FileManager.default.removeItem(atPath: file.path + suffix)
                }
            }
        }
        #expect(looks > 0)
    }

    /// SQLite would open it and write nothing, or not open it.
    @Test(arguments: [(18, UInt8(0x01)), (18, 0x80), (19, 0x01), (19, 0xFF), (18, 0x02)])
    func versionOfTheFormatIsPutRight(_ place: Int, _ bits: UInt8) async throws {
        let (directory, _, file) = try await written()
        var bytes = try Data(contentsOf: file)
        bytes[place] ^= bits
        try bytes.write(to: file)
        #expect(try reports(directory).count == 1)
        let store = try directory.open()
        try await store.write(try tests.record("two").insertion)
        #expect(try await store.loadContainers().records.count == 2)
        try store.close()
        #expect(try reports(directory).isEmpty)
    }
}
