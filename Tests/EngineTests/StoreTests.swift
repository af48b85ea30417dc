import EngineModel
import EngineSpec
import EngineStore
import GRDB
import Kernel
import Synchronization
import Testing

/// The database on a real disk.
struct StoreTests {
    final class Directory: Sendable {
        let path: String
        let published = Mutex<[EngineEvent]>([])

        init() throws {
            path = "/tmp/berth-store-\(Random.hex(8))"
            try File.makeDirectory(path)
        }

        deinit { _ = try? File.removeTree(path) }

        func open() throws -> Store {
            try Store(path: path + "/berth.db") { [self] events in published.withLock { $0 += events } }
        }
    }

    func record(_ name: String) throws -> ContainerRecord {
        let id = ContainerID.random()
        var configuration = ContainerConfiguration(image: "x")
        configuration.command = ["true"]
        return ContainerRecord(
            id: id,
            name: name,
            created: Timestamp(seconds: 5, nanoseconds: 7),
            configuration: configuration,
            plan: ContainerPlan(
                imageID: "sha256:0",
                chain: ["sha256:1"],
                manifest: "sha256:2",
                resolved: try Resolution.resolve(configuration, image: ImageConfiguration(), id: id),
                mounts: [],
                backend: "native",
                log: LogConfiguration()
            ),
            state: PersistedState(Lifecycle(policy: .no, autoRemove: false))
        )
    }

    func draft(_ action: String) -> EventDraft {
        EventDraft(kind: .container, action: action, id: "x", attributes: ["name": "n"])
    }

    @Test func recordsSurviveReopening() async throws {
        let directory = try Directory()
        let record = try record("a")
        var store = try directory.open()
        try await store.write(events: [draft("create")], try record.insertion)
        try store.close()
        store = try directory.open()
        let loaded = try await store.loadContainers()
        #expect(loaded.records == [record] && loaded.unreadable.isEmpty)
    }

    /// Of the two files beside the database the log keeps its space and is void, and the index is there.
    @Test func filesKeepTheirSpaceAtTheEnd() async throws {
        let directory = try Directory()
        let path = directory.path + "/berth.db"
        let store = try directory.open()
        try await store.write(try record("a").insertion)
        let size = try File.status("\(path)-wal").size
        try store.close()
        #expect(try File.status("\(path)-wal").size == size && size > 0)
        #expect(try File.read("\(path)-wal", limit: 1 << 24).prefix(32).allSatisfy { $0 == 0 })
        #expect(try File.status("\(path)-shm").size >= 32_768)
        await #expect(throws: EngineError.self) { try await store.write(try record("b").insertion) }
        // Alone, the database has everything; and any other program that reads it, does with the two files as well.
        for lonely in [false, true] {
            if lonely { for name in ["-wal", "-shm"] { try File.remove(path + name) } }
            let pool = try DatabasePool(path: path)
            let names = try await pool.read { try String.fetchAll($0, sql: "SELECT name FROM containers") }
            #expect(names == ["a"])
            try pool.close()
        }
    }

    /// A log of before belongs to the database of before.
    @Test func anotherDatabaseInItsPlaceIsReadAsItIs() async throws {
        let directory = try Directory()
        let path = directory.path + "/berth.db"
        var store = try directory.open()
        try await store.write(try record("a").insertion)
        try store.close()
        let saved = try File.read(path, limit: 1 << 24)
        store = try directory.open()
        try await store.write(try record("b").insertion)
        try store.close()
        try File.writeAtomically(path, saved, durable: false)
        store = try directory.open()
        #expect(try await store.loadContainers().records.map(\.name) == ["a"])
        try store.close()
    }

    /// Somebody looks at the database while its manager ends, and may need the log.
    @Test func aReaderKeepsTheLog() async throws {
        let directory = try Directory()
        let path = directory.path + "/berth.db"
        let store = try directory.open()
        try await store.write(try record("a").insertion)
        let reader = try DatabaseQueue(path: path)
        let count = { try reader.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM containers") } }
        #expect(try count() == 1)
        try store.close()
        #expect(try File.read("\(path)-wal", limit: 1 << 24).prefix(32).contains { $0 != 0 })
        #expect(try count() == 1)
        try reader.close()
        #expect(try StoreCheck.look(at: path).records.count == 1)
    }

    @Test func rowsThatCannotBeReadAreKeptAndReported() async throws {
        let directory = try Directory()
        let store = try directory.open()
        let (good, bad) = (try record("good"), try record("bad"))
        try await store.write(try good.insertion)
        try await store.write(try bad.insertion)
        try await store.write { try $0.execute(sql: "UPDATE containers SET plan = '{' WHERE name = 'bad'") }
        let loaded = try await store.loadContainers()
        #expect(loaded.records == [good])
        #expect(loaded.unreadable.map(\.id) == [bad.id.description] && loaded.unreadable.first?.name == "bad")
        let again = try await store.loadContainers()
        #expect(again.unreadable.count == 1)
    }

    @Test func oneFailedWriteOfABatchFailsAlone() async throws {
        let directory = try Directory()
        let store = try directory.open()
        let first = try record("taken")
        try await store.write(try first.insertion)
        let results = await withTaskGroup(of: Bool.self) { group in
            for index in 0..<20 {
                group.addTask {
                    do {
                        try await store.write(
                            events: [self.draft("create")],
                            try self.record(index == 7 ? "taken" : "n\(index)").insertion
                        )
                        return true
                    } catch {
                        return false
                    }
                }
            }
            return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(results == 19)
        let loaded = try await store.loadContainers()
        #expect(loaded.records.count == 20)
        #expect(directory.published.withLock { $0.count } == 19)
    }

    func record(_ name: String, _ range: IDRange, sharedWith other: ContainerID? = nil) throws -> ContainerRecord {
        var record = try record(name)
        record.plan.cgroupsPath = "/berth/\(record.id)"
        record.plan.userNamespace = UserNamespaceSetting(range: range, sharedWith: other, reason: "test")
        return record
    }

    @Test func idsThatAreHeldCannotBeWrittenAgain() async throws {
        let directory = try Directory()
        let store = try directory.open()
        let range = IDRange(first: 524_288, size: 65_536)
        let owner = try record("owner", range)
        try await store.write(try owner.insertion)
        for other in [
            range, IDRange(first: 589_823, size: 10), IDRange(first: 524_287, size: 2),
            IDRange(first: 600_000, size: 1),
        ] {
            let record = try record("other \(other.first)", other)
            if other.first == 600_000 {
                try await store.write(try record.insertion)
            } else {
                await #expect(throws: (any Error).self) { try await store.write(try record.insertion) }
            }
        }
        let sharing = try record("sharing", range, sharedWith: owner.id)
        try await store.write(try sharing.insertion)
        let overlap = try record("overlap", IDRange(first: 524_288, size: 1000), sharedWith: owner.id)
        await #expect(throws: (any Error).self) { try await store.write(try overlap.insertion) }
        // What failed has left no container either.
        #expect(try await store.loadContainers().records.map(\.name).sorted() == ["other 600000", "owner", "sharing"])
        let held = try await store.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM id_range_holders") }
        #expect(held == 3)
    }

    /// What `create` does with ids, with another container's removal between any two of its steps.
    @Test(arguments: 0..<3) func aSharedRangeIsNeverAnothers(removalBefore step: Int) async throws {
        let directory = try Directory()
        let store = try directory.open()
        let pool = IDPool([524_288..<(524_288 + 2 * 65_536)], source: "test")
        let ids = IDRanges(pool, holders: [:], cursor: 0)
        let (first, joining) = (ContainerID.random(), ContainerID.random())
        let range = try ids.take(65_536, for: first, cgroup: "/a")
        var owner = try record("owner", range)
        owner.id = first
        try await store.write(try owner.insertion)
        func remove() async throws { try await ids.release(first, in: store) }
        func takers() throws -> [IDRange] {
            try (0..<2).compactMap { _ in
                do {
                    return try ids.take(65_536, for: .random(), cgroup: "/b")
                } catch let error as EngineError where error.code == .resourceExhausted {
                    return nil
                }
            }
        }

        // The decision to share has been made. Step 0: the removal comes before the range is taken.
        if step == 0 {
            try await remove()
            #expect(try takers().contains(range))
            #expect { try ids.share(range, of: first, with: joining, cgroup: "/c") } throws: {
                ($0 as? EngineError)?.code == .notFound
            }
            return
        }
        try ids.share(range, of: first, with: joining, cgroup: "/c")
        // Step 1: between the range and the row.
        if step == 1 { try await remove() }
        var sharing = try record("sharing", range, sharedWith: first)
        sharing.id = joining
        try await store.write(try sharing.insertion)
        // Step 2: after both.
        if step == 2 { try await remove() }
        #expect(try !takers().contains(range))
        #expect(try await store.loadIDRanges().filter { $0.value.range == range }.keys.map(\.self) == ["\(joining)"])
        try await ids.release(joining, in: store)
        #expect(try takers().contains(range))
        #expect(try await store.loadIDRanges().isEmpty)
    }

    @Test func abandonedHoldersKeepTheirIdsUntilTheyAreReleased() async throws {
        let directory = try Directory()
        let store = try directory.open()
        let ids = IDRanges(IDPool([524_288..<589_824], source: "test"), holders: [:], cursor: 0)
        let id = ContainerID.random()
        _ = try ids.take(65_536, for: id, cgroup: "/a")
        #expect(ids.abandoned.isEmpty)
        ids.abandon(id)
        // Who holds nothing cannot leave anything.
        ids.abandon(.random())
        #expect(ids.abandoned == [id: "/a"])
        #expect(throws: EngineError.self) { try ids.take(65_536, for: .random(), cgroup: "/b") }
        try await ids.release(id, in: store)
        #expect(ids.abandoned.isEmpty && ids.held == 0)
    }

    @Test func recordsOfTheVersionBeforeAreRead() async throws {
        let directory = try Directory()
        let store = try directory.open()
        let record = try record("old")
        try await store.write(try record.insertion)
        // The fields that this version added, taken out again.
        try await store.write { db in
            for (column, key) in [
                ("configuration", "userNamespace"), ("plan", "userNamespace"), ("plan", "cgroupsPath"),
            ] {
                try db.execute(sql: "UPDATE containers SET \(column) = json_remove(\(column), '$.\(key)')")
            }
        }
        let loaded = try await store.loadContainers()
        #expect(loaded.unreadable.isEmpty && loaded.records == [record])
        #expect(loaded.records.first?.plan.userNamespace == nil)
    }

    @Test func sequenceNumbersOnlyGrow() async throws {
        let directory = try Directory()
        var store = try directory.open()
        for _ in 0..<3 { try await store.write(events: [draft("a"), draft("b")]) }
        let first = directory.published.withLock { $0.map(\.sequence) }
        #expect(first == Array(1...6))
        try await store.write { try $0.execute(sql: "DELETE FROM events") }
        try store.close()
        store = try directory.open()
        try await store.write(events: [draft("c")])
        #expect(directory.published.withLock { $0.last?.sequence } == 7)
    }
}
