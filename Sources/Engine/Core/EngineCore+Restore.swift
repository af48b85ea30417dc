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
        func open() throws -> Store {
            try Store(path: paths.database, report: { damage.tell($0, $1) }, publish: { hub.publish($0) })
        }
        if let count = try? Store.damageOfCount(beside: paths.database) {  // what cannot be looked at is not damaged
            damage.setAside(count.file, count.reason)
        }
        do {
            let store = try open()
            do {
                try store.examine()
                for problem in try store.mendIndexes() { damage.tell("'\(paths.database)'", problem) }
                if store.missing > 0 { try keepLog(of: store, paths.database, damage) }
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
            return (try open(), true)
        }
    }

    /// The end of the log is lost: what is left of it is kept before the next transaction is written over it.
    private static func keepLog(of store: Store, _ database: String, _ damage: DamageLog) throws {
        let log = database + "-wal"
        var place: String?
        if File.exists(log), try File.status(log).size > 0 {
            let free = DamagedFile.place(log)
            do {
                try File.writeAtomically(free, try File.read(log, limit: 1 << 30), durable: false)
                place = free
            } catch {
                damage.tell("'\(log)'", "it was not kept: \(error)")
            }
        }
        let reason = "\(store.missing) transactions that were written are not in it or in the database"
        damage.tell("'\(log)'", reason, movedTo: place)
        // On a full disk it is named once more at the next start.
        do { try store.catchUp() } catch { damage.tell("'\(database).commits'", "it stays ahead: \(error)") }
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
