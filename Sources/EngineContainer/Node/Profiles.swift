package import EngineModel
package import EngineStore
import Kernel
package import Logging
package import OCISpec
import Seccomp
import Synchronization
package import WorkloadProfiles

/// The profiles of a node, and what its containers teach them.
///
/// What a shim tells goes into the database together with the cursor of its journal, so each count is taken once. From
/// there it is merged into the profile's file, which says up to where that was done; only then the database forgets it.
package struct Profiles: Sendable {
    package let files: ProfileFiles
    private let store: Store
    private let pool: BlockingPool
    private let damage: DamageLog
    private let logger: Logger
    private let counters = Counters()

    /// Reports since the last merge, by profile.
    private final class Counters: Sendable {
        let pending = Mutex<[String: Int]>([:])
    }

    /// Reports that are merged at once, at the latest.
    private static let batch = 32

    package init(directory: String, store: Store, pool: BlockingPool, damage: DamageLog, logger: Logger) {
        files = ProfileFiles(directory: directory, damage: damage)
        (self.store, self.pool, self.damage, self.logger) = (store, pool, damage, logger)
    }

    /// A write that keeps what was learned.
    package func insertion(_ learned: LearnedUses, into profile: String) throws -> Store.Body {
        LearnedRow.insertion(try JSON.encode(learned), into: profile)
    }

    /// Whether it is time to merge: a run has ended, or much has come together.
    package func isDue(_ profile: String, last: Bool) -> Bool {
        counters.pending.withLock { pending in
            pending[profile, default: 0] += 1
            guard last || pending[profile, default: 0] >= Self.batch else { return false }
            pending[profile] = 0
            return true
        }
    }

    /// The profile that learns, with everything that was learned; nil when there is none.
    package func learned(_ name: String) async throws -> WorkloadProfile? {
        let rows = try await store.learned(name)
        let (files, damage) = (files, damage)
        guard let last = rows.last else { return try await pool.run { try files.read(name, .learned) } }
        try await forgetPredecessor(name)
        let identity = try await store.identity()
        let profile = try await pool.run {
            try files.update(name) { profile in
                // Numbers of another database mean nothing here.
                if profile.database != identity { (profile.database, profile.merged) = (identity, 0) }
                for row in rows where row.sequence > profile.merged {
                    do { profile.merge(try JSON.decode(LearnedUses.self, row.document)) } catch {
                        damage.tell("row \(row.sequence) of what profile '\(name)' learned", "\(error)")
                    }
                }
                profile.merged = max(profile.merged, last.sequence)
            }
        }
        try await store.forgetLearned(name, upTo: last.sequence)
        return profile
    }

    /// Merges what was learned; what cannot be merged now is merged later.
    func mergeSoon(_ name: String) async {
        do { _ = try await learned(name) } catch {
            logger.error("what was learned is not merged", metadata: ["profile": "\(name)", "error": "\(error)"])
        }
    }

    /// Whether the profile of this name is the one that a container was started under, and no other that has its name since.
    ///
    /// Blocks.
    package func isCurrent(_ name: String, identity: String?) throws -> Bool {
        guard let profile = try files.present(name) else { return false }
        return profile.identity == identity
    }

    /// Whether nothing has this name yet; then what is told of an earlier one of the name is forgotten.
    package func forgetPredecessor(_ name: String) async throws {
        let files = files
        guard try await pool.run({ try files.present(name) }) == nil else { return }
        try await store.forgetDenials(profile: name)
    }

    /// The profile that is enforced.
    package func promoted(_ name: String) async throws -> WorkloadProfile? {
        let files = files
        return try await pool.run { try files.read(name, .promoted) }
    }

    /// The names of all profiles, those included of which only the database knows.
    package func names() async throws -> [String] {
        let files = files
        let onDisk = try await pool.run { try files.names() }
        return Set(onDisk + (try await store.learningProfiles())).sorted()
    }

    /// The filter of a container that is held to a profile, or teaches one.
    ///
    /// - Throws: `.failedPrecondition` or `.notFound` when there is nothing to be held to.
    package func filter(
        _ restriction: Restriction,
        base: @autoclosure () throws -> RuntimeSpec.Seccomp
    ) throws
        -> RuntimeSpec.Seccomp
    {
        guard restriction.mode == .learn else { return try enforced(restriction.profile).filter }
        var named = try restriction.allowed.map { text in
            try ProfileFiles.checked { () throws(ProfileError) in try CallSelector(parsing: text) }
        }
        named += try files.read(restriction.profile, .learned)?.allowed ?? []
        return WorkloadProfile.ceiling(try base(), naming: named)
    }

    /// What can be said about a request before anything is made.
    package func check(_ restriction: Restriction) throws {
        guard restriction.mode == .learn else { return _ = try enforced(restriction.profile) }
        try ProfileFiles.checked { () throws(ProfileError) in try WorkloadProfile.check(name: restriction.profile) }
        for text in restriction.allowed {
            try ProfileFiles.checked { () throws(ProfileError) in _ = try CallSelector(parsing: text) }
        }
    }

    private func enforced(_ name: String) throws -> WorkloadProfile {
        if let profile = try files.read(name, .promoted) { return profile }
        guard try files.read(name, .learned) != nil else { throw EngineError.noSuchProfile(name, try files.names()) }
        throw EngineError.conflict(
            "profile '\(name)' is not promoted: look at it with 'berth profile show \(name)', then 'berth profile promote \(name)'"
        )
    }
}

extension EngineError {
    /// There is no such profile; names those that there are.
    package static func noSuchProfile(_ name: String, _ known: [String]) -> EngineError {
        let others = known.isEmpty ? "there is none yet" : "there are " + known.prefix(10).joined(separator: ", ")
        return EngineError(.notFound, "No such profile: \(name) (\(others))")
    }
}
