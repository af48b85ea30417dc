import DocumentTexts
import EngineContainer
import EngineModel
import EngineSpec
import EngineStore
import Kernel

/// Containers as their rows tell of them, and as everything else does where the rows do not.
struct Rows: Sendable {
    var records: [ContainerRecord] = []
    /// Containers of which a part of the configuration is lost.
    var damaged: [DamagedContainer] = []
    /// Rows of which nobody knows whose they are.
    var unreadable: [UnreadableRow] = []

    /// The ids of which nothing may be removed.
    var known: Set<String> {
        Set(records.map(\.id.description) + damaged.map(\.record.id.description) + unreadable.map(\.id))
    }
}

/// Rows that are lost, or not as they were written: made again from the copies beside the containers' directories.
struct RowRepair: Sendable {
    let paths: Paths
    let store: Store
    let hub: EventHub
    let pool: BlockingPool
    let damage: DamageLog
    /// Where containers' cgroups are that nothing else names.
    let place: @Sendable (ContainerID) -> CgroupPlace

    /// Reads the rows, and gives rows again to containers whose rows are lost.
    ///
    /// `isNew` says that the database took the place of another one.
    func restore(isNew: Bool) async throws -> Rows {
        let (records, unreadable) = try await store.loadContainers()
        var rows = Rows(records: records)
        let known = Set(records.map(\.id.description))
        let (folders, bundles) = try await pool.run { [paths] in
            (
                Set(try File.open(paths.containers, [.directory]).readDirectory().map(\.name)),
                Set(try File.open(paths.bundles, [.directory]).readDirectory().map(\.name))
            )
        }
        var orphans = folders.union(bundles).subtracting(known).compactMap { ContainerID($0) }.sorted()
        let ranges = try await ranges(unreadable.isEmpty && orphans.isEmpty)
        for row in unreadable {
            guard let id = Self.owner(of: row, orphans) else {
                damage.tell("row '\(row.id)' of the database", row.reason)
                rows.unreadable.append(row)
                continue
            }
            orphans.removeAll { $0 == id }
            try await mend(row, id, ranges[id.description], &rows)
        }
        let isSuspect = isNew || store.missing > 0 || !rows.unreadable.isEmpty
        let before = rows.records.count
        for id in orphans where isSuspect || folders.contains(id.description) {
            try await findOrphan(id, isSuspect, ranges[id.description], &rows)
        }
        if isNew || store.missing > 0 || rows.records.count > before {
            // Greater than any number that the lost rows can have given out.
            try await store.continueEvents(after: max(hub.last, Timestamp.now.seconds * 1000))
        }
        if store.missing > 0 { try await bringUpToDate(&rows) }
        do {
            for (id, reason) in try await store.correctIDs(rows.records) {
                damage.tell("row of ids", "\(reason); made again from the container's plan", container: id)
            }
        } catch {
            damage.tell("rows of ids", "they are not those of the containers' plans, and not corrected: \(error)")
        }
        return rows
    }

    private func ranges(_ isUnneeded: Bool) async throws -> [String: IDRange] {
        if isUnneeded { return [:] }
        // Without them a damaged container is shown without its ids.
        return (try? await store.loadIDRanges().mapValues(\.range)) ?? [:]
    }

    /// Whose row it is: by its check values, for its id may be what is damaged.
    private static func owner(of row: UnreadableRow, _ orphans: [ContainerID]) -> ContainerID? {
        let named = ContainerID(row.id)
        if let named, row.belongs(to: named) || orphans.contains(named) { return named }
        return orphans.first { row.belongs(to: $0) } ?? named
    }

    // Damaged rows ----------------------------------------------------------------------------------------------------

    private func mend(_ row: UnreadableRow, _ id: ContainerID, _ range: IDRange?, _ rows: inout Rows) async throws {
        let own = paths.container(id)
        let parts = row.parts(for: id)
        let object = "row '\(row.id)' of the database"
        let problems = parts.problems.isEmpty ? "its id is another one" : parts.problems.joined(separator: "; ")
        let kept = try await pool.run { Self.keep(row, own) }
        let copy = try await pool.run { [damage] in
            Result { try ContainerCopy.restore(id, own, state: parts.state, damage) }
        }
        var record = ContainerRecord(id, parts)
        if record == nil, case .success(let found?) = copy { record = Self.merged(parts, found) }
        if var record {
            do {
                do { try await store.write(try row.replacement(record)) } catch {
                    // Its name is another's by now.
                    record.name += "-\(id.short)"
                    try await store.write(try row.replacement(record))
                }
                rows.records.append(record)
                damage.tell(object, "\(problems); made again from its copy", movedTo: kept, container: id)
                return
            } catch {
                damage.tell(object, "it cannot be made again: \(error)", container: id)
            }
        }
        var reason = "its row in the database: \(problems)"
        if case .failure(let error) = copy { reason += "; its copy: \(error)" } else { reason += "; there is no copy" }
        damage.tell(object, problems, movedTo: kept, container: id)
        let name = row.name.flatMap { try? Names.validated($0) }
        rows.damaged.append(try await trace(id, parts, name, range, reason))
    }

    /// The row as it was found, beside the container's directory.
    private static func keep(_ row: UnreadableRow, _ own: ContainerPaths) -> String? {
        do {
            try File.makeDirectories(own.durable, mode: 0o700)
            let bytes = Array(try row.document.utf8)
            // Met again with each start, for as long as it is there.
            let first = "\(own.durable)/row.json.bad"
            if File.exists(first), try File.read(first, limit: 16 << 20) == bytes { return first }
            let place = DamagedFile.place("\(own.durable)/row.json")
            try File.writeAtomically(place, bytes, durable: false)
            return place
        } catch { return nil }
    }

    private static func merged(_ parts: RowParts, _ copy: ContainerRecord) -> ContainerRecord {
        ContainerRecord(
            id: copy.id,
            name: parts.name ?? copy.name,
            created: parts.created ?? copy.created,
            configuration: parts.configuration ?? copy.configuration,
            plan: parts.plan ?? copy.plan,
            state: parts.state ?? copy.state
        )
    }

    private func trace(
        _ id: ContainerID,
        _ parts: RowParts,
        _ name: String?,
        _ range: IDRange?,
        _ reason: String
    ) async throws -> DamagedContainer {
        let (own, place, damage) = (paths.container(id), place(id), damage)
        return try await pool.run {
            DamagedContainer(
                id,
                parts,
                name: name,
                range: range,
                place: place,
                paths: own,
                reason: reason,
                damage
            )
        }
    }

    // Directories without a row ---------------------------------------------------------------------------------------

    /// Makes a row again; unless `isSuspect`, what has no copy is the rest of a create that was cut off.
    private func findOrphan(
        _ id: ContainerID,
        _ isSuspect: Bool,
        _ range: IDRange?,
        _ rows: inout Rows
    ) async throws {
        let own = paths.container(id)
        let marker = "\(own.durable)/lost"
        let copy = try await pool.run { [damage] in
            Result { try ContainerCopy.restore(id, own, state: nil, damage) }
        }
        var reason = "its row in the database is lost, and there is no copy"
        switch copy {
        case .success(let record?):
            if let record = try await insert(record) { rows.records.append(record) }
            return
        case .success(nil):
            guard isSuspect || File.exists(marker) else { return }
            damage.tell("everything about it", "its row is lost and there is no copy", container: id)
        case .failure(let error):
            reason = "its row in the database is lost; its copy: \(error)"
            damage.tell("'\(ContainerCopy.path(own))'", "\(error); its row is lost, too", container: id)
        }
        // Kept also at the next start, which knows nothing of this one; without room it is found by its bundle alone.
        try? await pool.run {
            try File.makeDirectories(own.durable, mode: 0o700)
            try File.writeAtomically(marker, [], durable: false)
        }
        rows.damaged.append(try await trace(id, RowParts(), nil, range, reason))
    }

    private func insert(_ found: ContainerRecord) async throws -> ContainerRecord? {
        var record = found
        do {
            do {
                try await store.write(try record.insertion)
            } catch {
                // Its name is another's by now, or its ids have stayed in the database.
                record.name += "-\(record.id.short)"
                do { try await store.write(try record.insertion) } catch {
                    try await store.write(try found.rowInsertion)
                    record = found
                }
            }
            damage.tell("the row", "it was missing; made again from its copy", container: record.id)
            return record
        } catch {
            damage.tell("the row", "it was missing and cannot be made again: \(error)", container: record.id)
            return nil
        }
    }
}
