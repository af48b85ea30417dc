package import EngineModel
package import GRDB
import Kernel
import Synchronization

/// Which container holds which ids of the host.
///
/// A range is taken in memory first, as a name is, and reaches the database in the transaction that makes its container. It stays held
/// until ``release(_:)`` of its last holder, and a holder is released only when nothing of the container is left: not its record, no
/// process, no cgroup, no file. So a crash between two steps can keep ids too long, but never gives them out twice.
package final class IDRanges: Sendable {
    /// Ids, and the cgroup (absolute below each hierarchy) that must be gone before they are free.
    package struct Holder: Sendable, Equatable {
        package var range: IDRange
        package var cgroup: String
    }

    private struct State {
        var holders: [String: Holder] = [:]
        var cursor: UInt64
        /// Holders without a row of which something was left at their removal.
        var abandoned: Set<String> = []
    }

    package let pool: IDPool
    private let state: Mutex<State>

    /// - Parameters:
    ///   - pool: where ids come from.
    ///   - holders: what the database says.
    ///   - cursor: where to begin when there are no holders.
    package init(_ pool: IDPool, holders: [String: Holder], cursor: UInt64) {
        self.pool = pool
        state = Mutex(State(holders: holders, cursor: cursor))
    }

    /// The holders that are no containers of `known`, with their cgroups.
    package func orphans(known: Set<String>) -> [String: String] {
        state.withLock { $0.holders.filter { !known.contains($0.key) }.mapValues(\.cgroup) }
    }

    /// Ids that are held.
    package var held: UInt64 {
        state.withLock { state in Set(state.holders.values.map(\.range)).reduce(0) { $0 + UInt64($1.size) } }
    }

    /// Takes a range that nobody holds.
    ///
    /// - Throws: `.resourceExhausted` that says what to change.
    package func take(_ size: UInt32, for id: ContainerID, cgroup: String) throws -> IDRange {
        try state.withLock { state in
            guard let range = pool.allocate(size, taken: state.holders.values.map(\.range), after: state.cursor) else {
                throw EngineError.noIDs(size, pool: pool, holders: state.holders.count)
            }
            state.cursor = range.end
            state.holders[id.description] = Holder(range: range, cgroup: cgroup)
            return range
        }
    }

    /// Makes `id` one more holder of the range of `owner`.
    ///
    /// - Throws: `.notFound` when `owner` holds it no more: it was removed since somebody decided to share, and the ids may be another's.
    package func share(_ range: IDRange, of owner: ContainerID, with id: ContainerID, cgroup: String) throws {
        try state.withLock { state in
            guard state.holders[owner.description]?.range == range else { throw EngineError.noOwner(owner) }
            state.holders[id.description] = Holder(range: range, cgroup: cgroup)
        }
    }

    /// Forgets a holder whose row is not there.
    package func forget(_ id: ContainerID) {
        state.withLock { state in
            state.holders[id.description] = nil
            state.abandoned.remove(id.description)
        }
    }

    /// Marks a holder as one whose row is gone while something of the container is left.
    package func abandon(_ id: ContainerID) {
        state.withLock { state in
            if state.holders[id.description] != nil { state.abandoned.insert(id.description) }
        }
    }

    /// The cgroups of abandoned holders: their ids may be released when nothing is left.
    package var abandoned: [ContainerID: String] {
        state.withLock { state in
            var found: [ContainerID: String] = [:]
            for name in state.abandoned { if let id = ContainerID(name) { found[id] = state.holders[name]?.cgroup } }
            return found
        }
    }

    /// Gives a holder's range back, in the database and here.
    package func release(_ id: ContainerID, in store: Store) async throws {
        guard state.withLock({ $0.holders[id.description] != nil }) else { return }
        try await store.write { db in try Self.release(id, db) }
        forget(id)
    }

    /// Takes a range from a holder, and forgets the range with its last one.
    package static func release(_ id: ContainerID, _ db: Database) throws {
        try db.execute(sql: "DELETE FROM id_range_holders WHERE container = ?", arguments: [id.description])
        try db.execute(sql: "DELETE FROM id_ranges WHERE first NOT IN (SELECT first FROM id_range_holders)")
    }
}

extension IDRange {
    /// A write that makes `id` a holder of this range, which is new unless it is shared.
    ///
    /// It fails when the range meets another one. The row of a shared one may have gone with its last holder's a moment ago; in
    /// memory `id` has held it all the time, so it is made again.
    package func insertion(for id: ContainerID, cgroup: String, isShared: Bool) -> Store.Body {
        { [self] db in
            let range = [Int64(first), Int64(size)]
            let isThere = try Bool.fetchOne(
                db,
                sql: "SELECT EXISTS (SELECT 1 FROM id_ranges WHERE first = ? AND size = ?)",
                arguments: StatementArguments(range)
            )
            if !isShared || isThere != true {
                try db.execute(
                    sql: "INSERT INTO id_ranges (first, size) VALUES (?, ?)",
                    arguments: StatementArguments(range)
                )
            }
            try db.execute(
                sql: "INSERT INTO id_range_holders (container, first, cgroup) VALUES (?, ?, ?)",
                arguments: [id.description, Int64(first), cgroup]
            )
        }
    }
}

extension Store {
    /// Ids of the host by the id of their holder; rows that are of no use are told of and passed.
    package func loadIDRanges() async throws -> [String: IDRanges.Holder] {
        let report = report
        return try await read { db in
            var holders: [String: IDRanges.Holder] = [:]
            let sql = "SELECT container, first, size, cgroup FROM id_range_holders JOIN id_ranges USING (first)"
            for row in try Row.fetchAll(db, sql: sql) {
                func number(_ name: String) -> UInt32? {
                    Int64.fromDatabaseValue(row[name]).flatMap { UInt32(exactly: $0) }
                }
                guard let container = String.fromDatabaseValue(row["container"]), let first = number("first"),
                    let size = number("size"), let cgroup = String.fromDatabaseValue(row["cgroup"])
                else {
                    report(
                        "row of ids '\(row["container"] as DatabaseValue)' of the database",
                        "it has no container, range or cgroup"
                    )
                    continue
                }
                holders[container] = IDRanges.Holder(range: IDRange(first: first, size: size), cgroup: cgroup)
            }
            return holders
        }
    }
}

extension EngineError {
    static func noOwner(_ owner: ContainerID) -> EngineError {
        EngineError(
            .notFound,
            "no such container: \(owner): it was removed while a container that joins its namespaces was being created"
        )
    }

    static func noIDs(_ size: UInt32, pool: IDPool, holders: Int) -> EngineError {
        EngineError(
            .resourceExhausted,
            "no \(size) ids in a row are free for a user namespace: \(holders) containers hold ids of the pool "
                + "\(pool.text) (\(pool.source)). Remove containers, give more ids with 'userns-pool' in the configuration, or use "
                + "--userns=host"
        )
    }
}
