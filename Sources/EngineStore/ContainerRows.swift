package import EngineModel
package import EngineSpec
import GRDB
package import Kernel

/// A row of `containers` that is not as it was written, and what of it is.
package struct UnreadableRow: Sendable {
    /// What stands in the row as the id.
    package var id: String
    /// What stands in it as the name.
    package var name: String?
    package var reason: String
    fileprivate let stored: StoredContainer

    /// What of the row is as it was written, when it is that of `id`.
    package func parts(for id: ContainerID) -> RowParts { stored.parts(for: id.description) }

    /// Whether the row was written for `id`, by the check value of any of its texts.
    package func belongs(to id: ContainerID) -> Bool { stored.isProven(for: id.description) }

    /// The whole row as it was found, for people.
    package var document: String { get throws { try JSON.encode(stored) } }

    /// A write that puts `record` in the place of this row; its ids, which other tables hold, stay as they are.
    package func replacement(_ record: ContainerRecord) throws -> Store.Body {
        let (found, insertion) = (id, try record.rowInsertion)
        return { db in
            try Self.takeOut(found, db)
            try insertion(db)
        }
    }

    /// A write that takes the row out: it is kept elsewhere.
    package var removal: Store.Body {
        { [id] db in try Self.takeOut(id, db) }
    }

    /// Deletes a row, and with it all that the index of names says of it, which may be another name, or lead to another row.
    private static func takeOut(_ id: String, _ db: Database) throws {
        // In this mode SQLite does not mind that the entry to delete is absent.
        try db.execute(sql: "PRAGMA writable_schema = ON")
        defer { try? db.execute(sql: "PRAGMA writable_schema = OFF") }  // a flag, which cannot fail
        try db.execute(sql: "DELETE FROM containers WHERE id = ?", arguments: [id])
        do { try db.execute(sql: "REINDEX containers") } catch let error as DatabaseError
            where error.resultCode == .SQLITE_CONSTRAINT
        {
            // Two others have one name: the index is made with the replacement of one of them.
        }
    }
}

/// The parts of a row; nil for what is not as it was written.
package struct RowParts: Sendable {
    package var name: String?
    package var configuration: ContainerConfiguration?
    package var created: Timestamp?
    package var plan: ContainerPlan?
    package var state: PersistedState?
    /// What is wrong with those that are nil.
    package var problems: [String] = []

    /// Nothing is known.
    package init() {}
}

/// The columns of a row of `containers`; nil for what is no text.
private struct StoredContainer: Sendable, Encodable {
    var id: String?, name: String?, created: String?, configuration: String?, plan: String?, state: String?
    /// Check values; nil in a row that an earlier version has written.
    var nameCheck: Int64?, configurationCheck: Int64?, planCheck: Int64?, stateCheck: Int64?

    init(_ row: Row) {
        func number(_ name: String) -> Int64? { (row[name] as DatabaseValue?).flatMap(Int64.fromDatabaseValue) }
        id = String.fromDatabaseValue(row["id"])
        name = String.fromDatabaseValue(row["name"])
        created = String.fromDatabaseValue(row["created"])
        configuration = String.fromDatabaseValue(row["configuration"])
        plan = String.fromDatabaseValue(row["plan"])
        state = String.fromDatabaseValue(row["state"])
        nameCheck = number("name_check")
        configurationCheck = number("configuration_check")
        planCheck = number("plan_check")
        stateCheck = number("state_check")
    }

    /// Whether it has all its check values.
    var isChecked: Bool {
        nameCheck != nil && configurationCheck != nil && planCheck != nil && stateCheck != nil
    }

    func isProven(for id: String) -> Bool {
        name.map { RowCheck.value(id, $0) == nameCheck } ?? false
            || configuration.map { RowCheck.value(id, $0) == configurationCheck } ?? false
            || plan.map { RowCheck.value(id, created ?? "", $0) == planCheck } ?? false
            || state.map { RowCheck.value(id, $0) == stateCheck } ?? false
    }

    func parts(for id: String) -> RowParts {
        var parts = RowParts()
        func read<T>(
            _ what: String,
            _ text: String?,
            _ check: Int64?,
            _ value: Int64,
            _ body: (String) throws -> T?
        ) -> T? {
            do {
                guard let text, check == nil || check == value else {
                    parts.problems.append("\(what): its check value is that of another text")
                    return nil
                }
                if let result = try body(text) { return result }
                parts.problems.append("\(what): it is of the wrong form")
            } catch { parts.problems.append("\(what): \(error)") }
            return nil
        }
        parts.name = read("name", name, nameCheck, RowCheck.value(id, name ?? "")) { $0 }
        parts.configuration = read(
            "configuration",
            configuration,
            configurationCheck,
            RowCheck.value(id, configuration ?? "")
        ) { try JSON.decode(ContainerConfiguration.self, $0) }
        let planValue = RowCheck.value(id, created ?? "", plan ?? "")
        parts.created = read("time of creation", created, planCheck, planValue) { Timestamp($0) }
        parts.plan = read("plan", plan, planCheck, planValue) { try JSON.decode(ContainerPlan.self, $0) }
        parts.state = read("state", state, stateCheck, RowCheck.value(id, state ?? "")) {
            try JSON.decode(PersistedState.self, $0)
        }
        return parts
    }
}

extension Store {
    /// Rows of `containers`, those that cannot be read apart.
    package func loadContainers() async throws -> (records: [ContainerRecord], unreadable: [UnreadableRow]) {
        let rows = try await read { try Row.fetchAll($0, sql: "SELECT * FROM containers").map(StoredContainer.init) }
        // Most of a start's time is this decoding, and no row needs another one.
        let found = await withTaskGroup { group in
            for start in stride(from: 0, to: rows.count, by: 64) {
                let part = rows[start..<min(start + 64, rows.count)]
                group.addTask { Self.decode(part) }
            }
            var (records, unreadable): ([ContainerRecord], [UnreadableRow]) = ([], [])
            for await part in group {
                records += part.0
                unreadable += part.1
            }
            return (records: records, unreadable: unreadable)
        }
        let known = Set(found.records.map(\.id.description))
        let unchecked = rows.filter { !$0.isChecked && known.contains($0.id ?? "") }
        // An earlier version wrote them: they are as they are, and from now on that is noticed. On a full disk the next start does it.
        if !unchecked.isEmpty { try? await write { db in for row in unchecked { try Self.check(row, db) } } }
        return found
    }

    private static func check(_ row: StoredContainer, _ db: Database) throws {
        guard let id = row.id, let name = row.name, let configuration = row.configuration, let plan = row.plan,
            let state = row.state
        else { return }
        try db.execute(
            sql: """
                UPDATE containers SET name_check = ?, configuration_check = ?, plan_check = ?, state_check = ? WHERE id = ?
                """,
            arguments: [
                RowCheck.value(id, name), RowCheck.value(id, configuration),
                RowCheck.value(id, row.created ?? "", plan), RowCheck.value(id, state), id,
            ]
        )
    }

    static func containers(_ db: Database) throws -> ([ContainerRecord], [UnreadableRow]) {
        decode(try Row.fetchAll(db, sql: "SELECT * FROM containers").map(StoredContainer.init)[...])
    }

    private static func decode(_ rows: ArraySlice<StoredContainer>) -> ([ContainerRecord], [UnreadableRow]) {
        var records: [ContainerRecord] = []
        var unreadable: [UnreadableRow] = []
        for row in rows {
            let parts = row.parts(for: row.id ?? "")
            if let id = row.id.flatMap({ ContainerID($0) }), let record = ContainerRecord(id, parts) {
                records.append(record)
            } else {
                let problems = parts.problems.isEmpty ? ["its id is none"] : parts.problems
                unreadable.append(
                    UnreadableRow(
                        id: row.id ?? "?",
                        name: row.name,
                        reason: problems.joined(separator: "; "),
                        stored: row
                    )
                )
            }
        }
        return (records, unreadable)
    }

    /// A random text that stays with the root.
    package func identity() async throws -> String {
        let fresh = HexIdentifier.random()
        try await write { db in
            try db.execute(sql: "INSERT OR IGNORE INTO meta (key, value) VALUES ('identity', ?)", arguments: [fresh])
        }
        let stored = try await read {
            try DatabaseValue.fetchOne($0, sql: "SELECT value FROM meta WHERE key = 'identity'")
        }
        return stored.flatMap(String.fromDatabaseValue) ?? fresh
    }
}

extension ContainerRecord {
    /// What all parts of a row give; nil when one is missing.
    package init?(_ id: ContainerID, _ parts: RowParts) {
        guard let name = parts.name, let created = parts.created, let configuration = parts.configuration,
            let plan = parts.plan, let state = parts.state
        else { return nil }
        self.init(id: id, name: name, created: created, configuration: configuration, plan: plan, state: state)
    }

    /// A write that makes the container a holder of its ids.
    private var idInsertion: Store.Body {
        guard let setting = plan.userNamespace, let range = setting.range else { return { _ in } }
        let cgroup = CgroupPlace(text: plan.cgroupsPath ?? "").directory
        return range.insertion(for: id, cgroup: cgroup, isShared: setting.sharedWith != nil)
    }

    /// A write that adds the row; a name or ids that are taken fail it.
    package var insertion: Store.Body {
        get throws {
            let (ids, row) = (idInsertion, try rowInsertion)
            return { db in
                try ids(db)
                try row(db)
            }
        }
    }

    /// A write that adds the row alone; a name that is taken fails it.
    package var rowInsertion: Store.Body {
        get throws {
            let configuration = try JSON.encode(configuration)
            let plan = try JSON.encode(plan)
            let state = try JSON.encode(state)
            let (id, name, created) = (id.description, name, created.description)
            let checks = [
                RowCheck.value(id, name), RowCheck.value(id, configuration), RowCheck.value(id, created, plan),
                RowCheck.value(id, state),
            ]
            return { db in
                try db.execute(
                    sql: """
                        INSERT INTO containers (id, name, created, configuration, plan, state, name_check,
                            configuration_check, plan_check, state_check) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                        """,
                    arguments: StatementArguments([id, name, created, configuration, plan, state])
                        + StatementArguments(checks)
                )
            }
        }
    }

    package static func stateChange(_ id: ContainerID, _ state: PersistedState) throws -> Store.Body {
        let state = try JSON.encode(state)
        let (id, check) = (id.description, RowCheck.value(id.description, state))
        return { db in
            try db.execute(
                sql: "UPDATE containers SET state = ?, state_check = ? WHERE id = ?",
                arguments: [state, check, id]
            )
        }
    }

    package static func configurationChange(
        _ id: ContainerID,
        _ configuration: ContainerConfiguration
    ) throws -> Store.Body {
        let text = try JSON.encode(configuration)
        let (id, check) = (id.description, RowCheck.value(id.description, text))
        return { db in
            try db.execute(
                sql: "UPDATE containers SET configuration = ?, configuration_check = ? WHERE id = ?",
                arguments: [text, check, id]
            )
        }
    }

    package static func nameChange(_ id: ContainerID, _ name: String) -> Store.Body {
        let (id, check) = (id.description, RowCheck.value(id.description, name))
        return { db in
            try db.execute(
                sql: "UPDATE containers SET name = ?, name_check = ? WHERE id = ?",
                arguments: [name, check, id]
            )
        }
    }

    package static func deletion(_ id: ContainerID) -> Store.Body {
        { db in try db.execute(sql: "DELETE FROM containers WHERE id = ?", arguments: [id.description]) }
    }
}
