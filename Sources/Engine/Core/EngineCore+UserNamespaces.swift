import EngineContainer
import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel

extension EngineCore {
    func backendName(_ configuration: ContainerConfiguration) -> String {
        configuration.backend.flatMap { $0.isEmpty ? nil : $0 } ?? node.configuration.defaultBackend
    }

    /// Whether a new container gets a user namespace, and whose.
    func userNamespace(_ configuration: ContainerConfiguration) async throws -> UserNamespaceDecision.Outcome {
        let name = backendName(configuration)
        let program = try node.backend(name)
        let node = node
        try await node.pool.run { try node.namespaces.learn { try node.making($0) } }
        let maps = try await node.namespaces.backends.abilities(of: program).contains(BackendAbilities.mapsOwners)
        var decision = UserNamespaceDecision(
            defaultMode: node.configuration.userNamespaces.defaultMode,
            missing: node.namespaces.missing,
            backend: name,
            backendMaps: maps
        )
        decision.joined = try joined(configuration)
        return try decision.outcome(configuration)
    }

    private func joined(_ configuration: ContainerConfiguration) throws -> [UserNamespaceDecision.Joined] {
        var found: [UserNamespaceDecision.Joined] = []
        func add(_ option: String, _ reference: String) throws {
            let other = try node.table.find(reference)
            found.append(
                UserNamespaceDecision.Joined(
                    option: "--\(option) container:\(reference)",
                    id: other.id,
                    setting: other.view.snapshot.userNamespace
                )
            )
        }
        if case .container(let reference) = configuration.network { try add("network", reference) }
        if case .container(let reference) = configuration.pidMode { try add("pid", reference) }
        if case .container(let reference) = configuration.ipcMode { try add("ipc", reference) }
        return found
    }

    /// The record with the ids that its user namespace gets.
    ///
    /// - Throws: `.notFound` when the container whose ids it was to share has gone since that was decided.
    func withIDs(_ record: ContainerRecord, _ outcome: UserNamespaceDecision.Outcome) throws -> ContainerRecord {
        var record = record
        let cgroup = node.cgroup(record).directory
        if case .shared(let range, let owner, _) = outcome {
            try node.namespaces.ids.share(range, of: owner, with: record.id, cgroup: cgroup)
        }
        record.plan.userNamespace = try UserNamespaceSetting(outcome) { size in
            try node.namespaces.ids.take(size, for: record.id, cgroup: cgroup)
        }
        return record
    }

    /// The mounts whose files will show owners that the container does not know.
    func ownerWarnings(_ plan: ContainerPlan, _ outcome: UserNamespaceDecision.Outcome) async throws -> [String] {
        if case .host = outcome { return [] }
        guard let owners = node.namespaces.owners else { return [] }
        let entries = plan.mounts.filter { $0.point.kind != .tmpfs }
        guard !entries.isEmpty else { return [] }
        return try await blocking { _ in
            entries.compactMap { entry in
                let place = Self.existing(entry.point.source)
                let isThere = place == entry.point.source
                // What is still to be made has nothing mounted below it.
                let answer = owners.answer(place, recursive: isThere && !entry.nonRecursive)
                guard let reason = answer.reason else { return nil }
                return
                    "Mount \(entry.point.destination) is mounted without a mapping of owners, so its files belong to nobody in the "
                    + "container: \(reason). Use --userns=host where they must be owned or written."
            }
        }
    }

    /// The nearest place above that is there.
    private static func existing(_ path: String) -> String {
        var parts = path.split(separator: "/")
        while !parts.isEmpty, !File.exists("/" + parts.joined(separator: "/")) { parts.removeLast() }
        return "/" + parts.joined(separator: "/")
    }
}
