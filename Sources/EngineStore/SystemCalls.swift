import GRDB
package import Kernel

/// A call that a profile has not simply allowed, with all of its kind.
package struct DenialRecord: Sendable, Equatable {
    /// Name of the profile; empty for a container's own filter.
    package var profile: String
    /// The container's id and name.
    package var container: String, name: String
    /// `enforce`, `kill` or `audit`.
    package var mode: String
    /// The exec session; empty for the container's own processes.
    package var exec: String
    /// The process's name.
    package var command: String
    /// The call.
    package var architecture: UInt32, number: UInt32
    /// The class of its arguments.
    package var argument: UInt64?
    /// What it was answered.
    package var answer: String
    /// The process that did it last.
    package var pid: UInt32
    /// How often.
    package var count: UInt64
    /// The first and the last time.
    package var first: Timestamp, last: Timestamp

    /// One kind of denial.
    package init(
        profile: String,
        container: String,
        name: String,
        mode: String,
        exec: String,
        command: String,
        architecture: UInt32,
        number: UInt32,
        argument: UInt64?,
        answer: String,
        pid: UInt32,
        count: UInt64,
        first: Timestamp,
        last: Timestamp
    ) {
        (self.profile, self.container, self.name, self.mode) = (profile, container, name, mode)
        (self.exec, self.command, self.architecture, self.number) = (exec, command, architecture, number)
        (self.argument, self.answer, self.pid, self.count) = (argument, answer, pid, count)
        (self.first, self.last) = (first, last)
    }

    /// Kinds that are kept; those that were seen last.
    package static let limit = 10_000

    /// A write that adds to what is known of this kind.
    package var addition: Store.Body {
        { db in
            try db.execute(
                sql: """
                    INSERT INTO denials (profile, container, name, mode, exec, command, architecture, number, argument,
                        answer, pid, count, first, last)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET count = MIN(count, \(Int64.max / 2)) + excluded.count,
                        pid = excluded.pid, last = MAX(last, excluded.last), first = MIN(first, excluded.first)
                    """,
                arguments: [
                    profile, container, name, mode, exec, command, Int64(architecture), Int64(number),
                    argument.map { String($0) } ?? "", answer, Int64(pid), Int64(min(count, UInt64(Int64.max / 2))),
                    first.description, last.description,
                ]
            )
        }
    }

    /// A write that forgets the kinds that were not seen for longest, beyond the limit.
    package static func trim(keeping count: Int = limit) -> Store.Body {
        { db in
            try db.execute(
                sql:
                    "DELETE FROM denials WHERE id IN (SELECT id FROM denials ORDER BY last DESC, id DESC LIMIT -1 OFFSET ?)",
                arguments: [count]
            )
        }
    }

    fileprivate init?(row: Row) {
        guard
            let profile = String.fromDatabaseValue(row["profile"]),
            let container = String.fromDatabaseValue(row["container"]),
            let name = String.fromDatabaseValue(row["name"]), let mode = String.fromDatabaseValue(row["mode"]),
            let exec = String.fromDatabaseValue(row["exec"]), let command = String.fromDatabaseValue(row["command"]),
            let architecture = Int64.fromDatabaseValue(row["architecture"]),
            let number = Int64.fromDatabaseValue(row["number"]),
            let argument = String.fromDatabaseValue(row["argument"]),
            let answer = String.fromDatabaseValue(row["answer"]), let pid = Int64.fromDatabaseValue(row["pid"]),
            let count = Int64.fromDatabaseValue(row["count"]),
            let first = String.fromDatabaseValue(row["first"]).flatMap({ Timestamp($0) }),
            let last = String.fromDatabaseValue(row["last"]).flatMap({ Timestamp($0) })
        else { return nil }
        self.init(
            profile: profile,
            container: container,
            name: name,
            mode: mode,
            exec: exec,
            command: command,
            architecture: UInt32(truncatingIfNeeded: architecture),
            number: UInt32(truncatingIfNeeded: number),
            argument: UInt64(argument),
            answer: answer,
            pid: UInt32(truncatingIfNeeded: pid),
            count: UInt64(clamping: count),
            first: first,
            last: last
        )
    }
}

/// What was learned and is not yet in its profile.
package struct LearnedRow: Sendable {
    /// Its place: greater than that of every row before.
    package var sequence: Int64
    /// A JSON document.
    package var document: String

    /// A write that adds one.
    package static func insertion(_ document: String, into profile: String) -> Store.Body {
        { db in
            try db.execute(
                sql: "INSERT INTO learned (profile, document, row_check) VALUES (?, ?, ?)",
                arguments: [profile, document, RowCheck.value(profile, document)]
            )
        }
    }
}

extension Store {
    /// What was learned for a profile and is not yet in it, oldest first.
    package func learned(_ profile: String) async throws -> [LearnedRow] {
        try await read { db in
            try Row.fetchAll(
                db,
                sql: "SELECT sequence, document, row_check FROM learned WHERE profile = ? ORDER BY sequence",
                arguments: [profile]
            ).compactMap { row in
                guard let sequence = Int64.fromDatabaseValue(row["sequence"]) else { return nil }
                let (document, check) = (
                    String.fromDatabaseValue(row["document"]), Int64.fromDatabaseValue(row["row_check"])
                )
                let isSound = check == nil || check == RowCheck.value(profile, document ?? "")
                // What is no document or another one than was written is none, and its place is passed.
                return LearnedRow(sequence: sequence, document: isSound ? document ?? "" : "")
            }
        }
    }

    /// The profiles for which something was learned that is not yet in them.
    package func learningProfiles() async throws -> [String] {
        try await read { db in
            try DatabaseValue.fetchAll(db, sql: "SELECT DISTINCT profile FROM learned ORDER BY profile")
                .compactMap(String.fromDatabaseValue)
        }
    }

    /// Forgets what is in the profile; nil for everything.
    package func forgetLearned(_ profile: String, upTo sequence: Int64?) async throws {
        try await write { db in
            try db.execute(
                sql: "DELETE FROM learned WHERE profile = ? AND sequence <= ?",
                arguments: [profile, sequence ?? .max]
            )
        }
    }

    /// Denials of one profile, or of all; those that were seen last come first.
    ///
    /// - Returns: Them, and the last event that tells of one of them or of anything before.
    package func denials(profile: String?) async throws -> (denials: [DenialRecord], lastEvent: Int64) {
        try await read { db in
            let order = "ORDER BY last DESC, id DESC"
            let rows =
                if let profile {
                    try Row.fetchAll(db, sql: "SELECT * FROM denials WHERE profile = ? \(order)", arguments: [profile])
                } else {
                    try Row.fetchAll(db, sql: "SELECT * FROM denials \(order)")
                }
            let last = try Int64.fetchOne(db, sql: "SELECT MAX(sequence) FROM events") ?? 0
            return (rows.compactMap(DenialRecord.init(row:)), last)
        }
    }

    /// Forgets the denials of one profile.
    package func forgetDenials(profile: String) async throws {
        try await write { db in try db.execute(sql: "DELETE FROM denials WHERE profile = ?", arguments: [profile]) }
    }
}
