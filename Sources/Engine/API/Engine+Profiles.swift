import EngineContainer
import EngineModel
package import EngineStore
import EngineSpec
import Kernel
import Seccomp
package import WorkloadProfiles

/// A profile in a list.
package struct ProfileStatus: Sendable {
    /// Its name.
    package var name: String
    /// The one that learns, and the one that is enforced.
    package var learned: WorkloadProfile?, promoted: WorkloadProfile?
    /// Containers that use it, by name.
    package var users: [String]
    /// Calls that were not simply allowed by it.
    package var denials: UInt64
    /// Why it cannot be read; nil when it can.
    package var problem: String?
}

/// A call that a profile has refused, and what allowing it would mean.
package struct Proposal: Sendable {
    /// What an operator would name; nil for what no profile can allow.
    package var selector: CallSelector?
    /// What people call it.
    package var label: String
    /// How often it was refused.
    package var count: UInt64
    /// Containers that called it, by name.
    package var containers: [String]
    /// Programs that called it.
    package var commands: [String]
    /// Why it is dangerous; nil when it is not.
    package var danger: String?
}

extension Engine {
    /// All profiles, by name.
    package func profiles() async throws -> [ProfileStatus] {
        var result: [ProfileStatus] = []
        for name in try await core.node.profiles.names() {
            // One that cannot be read hides no other.
            do { if let status = try await status(name) { result.append(status) } } catch {
                let problem = EngineError.wrap(error, "profile '\(name)'").message
                result.append(ProfileStatus(name: name, users: users(of: name), denials: 0, problem: problem))
            }
        }
        return result
    }

    /// One profile.
    ///
    /// - Throws: `.notFound`.
    package func profile(_ name: String) async throws -> ProfileStatus {
        guard let status = try await status(name) else { throw try await missing(name) }
        return status
    }

    private func status(_ name: String) async throws -> ProfileStatus? {
        let (learned, promoted) = (
            try await core.node.profiles.learned(name), try await core.node.profiles.promoted(name)
        )
        guard learned != nil || promoted != nil else { return nil }
        let denials = try await core.node.store.denials(profile: name).denials
        let sum = denials.reduce(UInt64(0)) { sum, denial in
            let (more, overflow) = sum.addingReportingOverflow(denial.count)
            return overflow ? .max : more
        }
        return ProfileStatus(name: name, learned: learned, promoted: promoted, users: users(of: name), denials: sum)
    }

    private func users(of name: String) -> [String] {
        core.node.table.all.map(\.view.snapshot).filter { $0.configuration.restriction?.profile == name }.map(\.name)
            .sorted()
    }

    private func missing(_ name: String) async throws -> EngineError {
        try ProfileFiles.checked { () throws(ProfileError) in try WorkloadProfile.check(name: name) }
        return .noSuchProfile(name, try await core.node.profiles.names())
    }

    private func learned(_ name: String) async throws -> WorkloadProfile {
        if let profile = try await core.node.profiles.learned(name) { return profile }
        guard try await core.node.profiles.promoted(name) != nil else { throw try await missing(name) }
        throw Self.nothingLearned(name)
    }

    private static func nothingLearned(_ name: String) -> EngineError {
        EngineError(.notFound, "profile '\(name)' is promoted, and nothing is learned for it")
    }

    /// The containers of which a profile learns now: their next report would make it anew, of half a run.
    private func teachers(of name: String) -> [String] {
        core.node.table.all.map(\.view.snapshot).filter { snapshot in
            guard let restriction = snapshot.configuration.restriction, restriction.profile == name else {
                return false
            }
            return restriction.mode == .learn && [.running, .paused, .restarting].contains(snapshot.state.status)
        }.map(\.name).sorted()
    }

    private func requireNoTeacher(of name: String) throws {
        guard let teacher = teachers(of: name).first else { return }
        throw EngineError.conflict(
            "profile '\(name)' learns of container '\(teacher)', which runs: stop that first, 'berth stop \(teacher)'"
        )
    }

    /// Forgets a profile, what was learned for it and what it has refused.
    ///
    /// - Throws: `.notFound`; `.failedPrecondition` while containers use it, unless `force`, and while it learns of one that runs.
    package func removeProfile(_ name: String, force: Bool) async throws {
        try requireNoTeacher(of: name)
        let users = users(of: name)
        if let first = users.first, !force {
            let more = users.count == 1 ? "" : " and \(users.count - 1) more"
            throw EngineError.conflict(
                "profile '\(name)' is used by container '\(first)'\(more): remove those first, or force it"
            )
        }
        let files = core.node.profiles.files
        let waiting = try await core.node.store.learned(name)
        try ProfileFiles.checked { () throws(ProfileError) in try WorkloadProfile.check(name: name) }
        try await core.node.store.forgetLearned(name, upTo: nil)
        let isGone = try await core.blocking { _ in try files.remove(name) }
        guard isGone || !waiting.isEmpty else { throw try await missing(name) }
        try await core.node.store.forgetDenials(profile: name)
    }

    /// Has a profile enforced from the next start of its containers on.
    ///
    /// - Throws: `.notFound`; `.failedPrecondition` for one that says nothing, of which no run has begun or of which one is incomplete, unless `force`.
    package func promoteProfile(_ name: String, force: Bool) async throws -> WorkloadProfile {
        let learned = try await learned(name)
        if !force {
            if let run = learned.failedRun {
                throw EngineError.conflict(
                    "profile '\(name)' has learned of no workload: the run of container '\(run.name)' never began "
                        + "(\(run.failed ?? "")); learn of one that does, or force it"
                )
            }
            guard !learned.isEmpty else {
                throw EngineError.conflict(
                    "profile '\(name)' allows nothing: no container could start with it; learn first, or force it"
                )
            }
            guard learned.startsPrograms else {
                throw EngineError.conflict(
                    "profile '\(name)' does not allow execve: no container could start with it; "
                        + "'berth profile allow \(name) execve', or force it"
                )
            }
            if let run = learned.incompleteRuns.first {
                let count = learned.incompleteRuns.count
                throw EngineError.conflict(
                    "profile '\(name)' is incomplete: \(count) of its runs still run or were cut off, such as that of container "
                        + "'\(run.name)'; end them, or force it"
                )
            }
        }
        let promoted = learned.promoted(at: Timestamp.now.description)
        // One that cannot be compiled is not put in force.
        do throws(SeccompError) { _ = try SeccompCompiler.compile(promoted.filter) } catch {
            throw EngineError(error.code, error.message)
        }
        let files = core.node.profiles.files
        try await core.blocking { _ in try files.write(promoted) }
        return promoted
    }

    /// Takes calls up by name in the profile that learns; what is enforced changes by promotion only.
    package func allow(_ calls: [String], in name: String) async throws -> WorkloadProfile {
        let selectors = try calls.map { text in
            try ProfileFiles.checked { () throws(ProfileError) in try CallSelector(parsing: text) }
        }
        _ = try await learned(name)
        let files = core.node.profiles.files
        return try await core.blocking { _ in try files.update(name) { $0.allow(selectors) } }
    }

    /// A profile in the form of docker and podman: the one that is enforced, else the one that learns.
    package func exportProfile(_ name: String, learned wantsLearned: Bool, exact: Bool) async throws -> [UInt8] {
        let profile = try await self.profile(named: name, learned: wantsLearned)
        guard !profile.isEmpty else {
            throw EngineError.conflict("profile '\(name)' allows nothing yet: there is nothing to export; learn first")
        }
        return try profile.exported(exact: exact)
    }

    private func profile(named name: String, learned wantsLearned: Bool) async throws -> WorkloadProfile {
        let status = try await profile(name)
        if wantsLearned {
            guard let learned = status.learned else {
                throw Self.nothingLearned(name)
            }
            return learned
        }
        guard let profile = status.promoted ?? status.learned else { throw try await missing(name) }
        return profile
    }

    /// Makes a profile of docker's form; it is not promoted.
    ///
    /// - Throws: `.alreadyExists` unless `replace`; `.failedPrecondition` while the profile learns of a container that runs;
    ///   `.invalidArgument` for what is no profile.
    package func importProfile(
        _ name: String,
        _ json: [UInt8],
        naming calls: [String],
        replace: Bool
    ) async throws -> WorkloadProfile.Import {
        let selectors = try calls.map { text in
            try ProfileFiles.checked { () throws(ProfileError) in try CallSelector(parsing: text) }
        }
        let result = try await core.blocking { _ in
            do {
                let kernel = SystemFacts.kernelRelease
                return try WorkloadProfile.imported(json, name: name, naming: selectors, kernel: kernel)
            } catch let error as ProfileError {
                throw EngineError(error.code, error.message)
            } catch let error as SeccompError {
                throw EngineError(error.code, error.message)
            }
        }
        if try await core.node.profiles.learned(name) != nil, !replace {
            throw EngineError(
                .alreadyExists,
                "profile '\(name)' is there already: remove it, or have it replaced with --replace (the API's 'Replace')",
                reason: .conflict
            )
        }
        try requireNoTeacher(of: name)
        try await core.node.profiles.forgetPredecessor(name)
        let files = core.node.profiles.files
        _ = try await core.blocking { _ in
            try files.update(name) { old in
                let (merged, database, identity) = (old.merged, old.database, old.identity)
                old = result.profile
                (old.merged, old.database, old.identity) = (merged, database, identity)
            }
        }
        return result
    }

    /// What a profile lets through beside another one, or beside the default profile (nil).
    package func compareProfile(_ name: String, learned: Bool, with other: String?) async throws -> ProfileDifference {
        let mine = try await profile(named: name, learned: learned).filter
        let theirs =
            if let other {
                try await profile(named: other, learned: false).filter
            } else {
                DefaultProfile.profile(capabilities: [])
            }
        return try await core.blocking { _ in
            do throws(SeccompError) {
                return ProfileDifference(try AllowedCalls(mine), try AllowedCalls(theirs))
            } catch { throw EngineError(error.code, error.message) }
        }
    }

    /// What was refused by a profile, or by all; the last first.
    ///
    /// - Returns: Them, and the event behind which to read on.
    package func denials(profile name: String?) async throws -> (denials: [DenialRecord], lastEvent: Int64) {
        if let name, !name.isEmpty { _ = try await profile(name) }
        return try await core.node.store.denials(profile: name)
    }

    /// What it would take to allow what a profile has refused: nothing changes by asking.
    package func proposals(for name: String) async throws -> [Proposal] {
        let status = try await profile(name)
        let open = try (status.learned ?? status.promoted).map { (profile: WorkloadProfile) -> AllowedCalls in
            do throws(SeccompError) { return try AllowedCalls(profile.filter) } catch {
                throw EngineError(error.code, error.message)
            }
        }
        var result: [String: Proposal] = [:]
        for denial in try await core.node.store.denials(profile: name).denials {
            let use = denial.use
            let text = use.className.map { "\(use.label):\($0)" } ?? use.label
            let selector = try? CallSelector(parsing: text)  // a call of another convention, or of no table
            if let selector, open?.contains(selector.name, selector.argument) == true { continue }
            if let selector, selector.argument == nil, open?.calls[selector.name] == .whole { continue }
            var proposal =
                result[text] ?? Proposal(selector: selector, label: text, count: 0, containers: [], commands: [])
            let (sum, overflow) = proposal.count.addingReportingOverflow(denial.count)
            proposal.count = overflow ? .max : sum
            if !proposal.containers.contains(denial.name) { proposal.containers.append(denial.name) }
            if !denial.command.isEmpty, !proposal.commands.contains(denial.command) {
                proposal.commands.append(denial.command)
            }
            proposal.danger = DangerousCalls.reason(
                architecture: denial.architecture,
                number: denial.number,
                argument: denial.argument
            )
            result[text] = proposal
        }
        return result.values.sorted { ($1.count, $0.label) < ($0.count, $1.label) }
    }
}
