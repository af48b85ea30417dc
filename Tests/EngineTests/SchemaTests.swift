import EngineModel
import EngineStore
import GRDB
import Kernel
import Testing

/// Databases of versions before and after this one.
struct SchemaTests {
    private func facts(_ directory: StoreTests.Directory) throws -> Schema.Facts {
        try StoreCheck.look(at: directory.path + "/berth.db").schema
    }

    private func change(_ directory: StoreTests.Directory, _ sql: String) throws {
        let queue = try DatabaseQueue(path: directory.path + "/berth.db")
        try queue.write { try $0.execute(sql: sql) }
        try queue.close()
    }

    @Test func newDatabaseSaysItsVersion() throws {
        let directory = try StoreTests.Directory()
        try directory.open().close()
        let found = try facts(directory)
        #expect(found == Schema.Facts(version: Schema.version, readsFrom: Schema.readsFrom))
        #expect(found.problem == nil)
        #expect(Schema.readsFrom <= Schema.version)
    }

    /// What a later version adds is left alone, and its number too, so that it need not migrate again.
    @Test func newerDatabaseThatOnlyAddedIsUsed() async throws {
        let directory = try StoreTests.Directory()
        let tests = StoreTests()
        let record = try tests.record("one")
        var store = try directory.open()
        try await store.write(try record.insertion)
        try store.close()
        let next = Schema.version + 1
        try change(
            directory,
            """
            ALTER TABLE containers ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';
            CREATE TABLE planets (name TEXT);
            INSERT INTO grdb_migrations VALUES ('99 planets');
            UPDATE meta SET value = '\(next)' WHERE key = 'schema';
            """
        )
        store = try directory.open()
        #expect(try await store.loadContainers().records == [record])
        try await store.write(try tests.record("two").insertion)
        try store.close()
        #expect(try facts(directory).version == next)
        #expect(try facts(directory).problem == nil)
    }

    @Test func newerDatabaseThatThisVersionCannotReadIsRefused() throws {
        let directory = try StoreTests.Directory()
        try directory.open().close()
        let next = Schema.version + 1
        try change(directory, "UPDATE meta SET value = '\(next)' WHERE key IN ('schema', 'reads-from')")
        #expect(try facts(directory).problem != nil)
        #expect { try directory.open() } throws: { ($0 as? EngineError)?.code == .failedPrecondition }
        // Refused is not changed.
        #expect(try facts(directory) == Schema.Facts(version: next, readsFrom: next))
    }

    @Test func olderDatabaseIsBroughtUpToDate() throws {
        let directory = try StoreTests.Directory()
        try directory.open().close()
        // As the version before left it: without the row that says the version.
        try change(directory, "DELETE FROM meta WHERE key IN ('schema', 'reads-from')")
        #expect(try facts(directory).version == Schema.version)
        try change(
            directory,
            """
            DROP TRIGGER containers_name_unchecked; DROP TRIGGER containers_configuration_unchecked;
            DROP TRIGGER containers_state_unchecked; DELETE FROM sqlite_sequence WHERE name = 'commits';
            ALTER TABLE containers DROP COLUMN name_check; ALTER TABLE containers DROP COLUMN configuration_check;
            ALTER TABLE containers DROP COLUMN plan_check; ALTER TABLE containers DROP COLUMN state_check;
            ALTER TABLE events DROP COLUMN row_check;
            DROP TABLE id_range_holders; DROP TABLE id_ranges; DROP TABLE learned; DROP TABLE denials;
            DELETE FROM grdb_migrations WHERE identifier NOT LIKE '1 %';
            """
        )
        #expect(try facts(directory).version == 1)
        #expect(try facts(directory).problem == nil)
        try directory.open().close()
        #expect(try facts(directory).version == Schema.version)
    }
}
