import DocumentTexts
import EngineContainer
import EngineModel
import EngineStore
import Kernel
import Logging

extension EngineCore {
    /// Opens the database; one that cannot be used is set aside, and an empty one takes its place.
    ///
    /// Blocks.
    /// - Returns: the database, and whether it took the place of another.
    /// - Throws: what is not the fault of the database, and a database of a newer version.
    static func openStore(_ paths: Paths, _ hub: EventHub, _ damage: DamageLog) throws -> (store: Store, isNew: Bool) {
        do {
            let store = try Store(path: paths.database) { hub.publish($0) }
            do {
                try store.examine()
                guard try store.isUnused(), try hasContainers(paths) else { return (store, false) }
                // Emptied from outside: SQLite takes a file without a byte for a new database.
                damage.tell("'\(paths.database)'", "it is empty, and there are containers")
                return (store, true)
            } catch {
                // The error that matters is the one of the examination.
                try? store.close()
                throw error
            }
        } catch  where Store.isDamage(error) {
            damage.setAside(paths.database, "\(error)")
            for suffix in ["-wal", "-shm"] where File.exists(paths.database + suffix) {
                try DamagedFile.moveAside(paths.database + suffix)
            }
            try File.open(paths.database, [.readWrite, .create, .noFollow], mode: 0o600).changeMode(0o600)
            return (try Store(path: paths.database) { hub.publish($0) }, true)
        }
    }

    private static func hasContainers(_ paths: Paths) throws -> Bool {
        try File.open(paths.containers, [.directory]).readDirectory().contains { entry in
            ContainerID(entry.name).map { File.exists(ContainerCopy.path(paths.container($0))) } ?? false
        }
    }

    /// Writes the copies that are missing or of an earlier time.
    func writeCopies() async {
        for container in node.table.all { await container.renewCopy() }
    }
}

/// Containers whose rows are lost.
struct LostRows {
    let paths: Paths
    let store: Store
    let hub: EventHub
    let pool: BlockingPool
    let damage: DamageLog

    /// Gives rows again to containers whose rows are lost, from the copies beside their directories.
    ///
    /// - Returns: ids that were containers and of which no more is known: nothing of them may be removed.
    func restore(isNew: Bool) async throws -> Set<String> {
        let (records, unreadable) = try await store.loadContainers()
        let known = Set(records.map(\.id.description) + unreadable.map(\.id))
        let (paths, damage) = (paths, damage)
        let found = try await pool.run { try Self.lost(paths, known: known, damage, isNew: isNew) }
        if isNew || !found.records.isEmpty {
            // Greater than any number that the lost database can have given out.
            let now = Timestamp.now
            try await store.continueEvents(after: max(hub.last, now.seconds * 1000))
        }
        for var record in found.records {
            do {
                do {
                    try await store.write(try record.insertion)
                } catch {
                    // Its name is another's by now.
                    record.name += "-\(record.id.short)"
                    try await store.write(try record.insertion)
                }
                damage.tell("the row", "it was missing; made again from its copy", container: record.id)
            } catch {
                damage.tell("the row", "it was missing and cannot be made again: \(error)", container: record.id)
            }
        }
        return found.unknown
    }

    private static func lost(
        _ paths: Paths,
        known: Set<String>,
        _ damage: DamageLog,
        isNew: Bool
    ) throws -> (records: [ContainerRecord], unknown: Set<String>) {
        var names = Set(try File.open(paths.containers, [.directory]).readDirectory().map(\.name))
        if isNew { names.formUnion(try File.open(paths.bundles, [.directory]).readDirectory().map(\.name)) }
        var records: [ContainerRecord] = []
        var unknown: Set<String> = []
        for name in names.subtracting(known).sorted() {
            guard let id = ContainerID(name) else { continue }
            let own = paths.container(id)
            let marker = "\(own.durable)/lost"
            do {
                if let record = try ContainerCopy.restore(id, own) {
                    records.append(record)
                    continue
                }
                // Without a copy it is what a create left that was cut off, unless the database is gone.
                guard isNew || File.exists(marker) else { continue }
                damage.tell("everything about it", "its row is lost and there is no copy", container: id)
            } catch {
                damage.tell("'\(ContainerCopy.path(own))'", "\(error); its row is lost, too", container: id)
            }
            unknown.insert(name)
            // Kept also at the next start, which knows nothing of this one.
            try File.makeDirectories(own.durable, mode: 0o700)
            try File.writeAtomically(marker, [], durable: false)
        }
        return (records, unknown)
    }
}
