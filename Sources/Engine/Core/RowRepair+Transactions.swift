import EngineContainer
import EngineModel
import EngineStore
import Kernel

// The end of the database's log is lost: the rows are as they were some transactions ago, and what lies beside them is newer.
extension RowRepair {
    /// Brings rows up to date from copies, bundles and exit records.
    func bringUpToDate(_ rows: inout Rows) async throws {
        var current: [ContainerRecord] = []
        for old in rows.records {
            let own = paths.container(old.id)
            let new = try await pool.run { [damage] in Self.present(old, own, damage) }
            guard let new else {
                // Its directory goes last before its row.
                damage.tell("the row", "its container was removed in a transaction that is lost", container: old.id)
                do { try await store.write(ContainerRecord.deletion(old.id)) } catch {
                    damage.tell("the row", "it is not deleted: \(error)", container: old.id)
                }
                continue
            }
            current.append(new)
            guard new != old else { continue }
            damage.tell("the row", "transactions are lost; made anew from what lies beside it", container: old.id)
            let changes = [
                ContainerRecord.nameChange(new.id, new.name),
                try ContainerRecord.configurationChange(new.id, new.configuration),
                try ContainerRecord.stateChange(new.id, new.state),
            ]
            do { try await store.write { db in for change in changes { try change(db) } } } catch {
                // Two have exchanged their names, say: the old one holds until somebody changes it.
                current[current.count - 1].name = old.name
                let rest = changes.dropFirst()
                do { try await store.write { db in for change in rest { try change(db) } } } catch {
                    damage.tell("the row", "it is not written: \(error)", container: old.id)
                }
            }
        }
        rows.records = current
    }

    /// What a container is now; nil when nothing is left of it.
    private static func present(
        _ old: ContainerRecord,
        _ own: ContainerPaths,
        _ damage: DamageLog
    ) -> ContainerRecord? {
        let hasBundle = File.exists(own.bundle)
        guard hasBundle || File.exists(own.durable) else { return nil }
        var new = old
        // Written behind each commit: where they differ it is the later one. One that cannot be read tells nothing.
        if let copy = try? ContainerCopy.restore(old.id, own, state: old.state, damage) {
            (new.name, new.configuration) = (copy.name, copy.configuration)
        }
        let seen = ContainerCopy.state(old.id, new.configuration, own, damage)
        if hasBundle {
            if ![.running, .paused, .restarting].contains(old.state.status) { new.state = seen }
            return new
        }
        if seen.status == .exited, seen.finishedAt != old.state.finishedAt || old.state.status != .exited {
            new.state = seen
            new.state.restartCount = old.state.restartCount
        }
        // A stop by the user may be among what is lost: no policy starts it again.
        new.state.stoppedByUser = true
        return new
    }
}
