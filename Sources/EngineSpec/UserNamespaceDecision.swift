package import EngineModel
import Kernel

/// Decides about the user namespace of a new container.
///
/// Values in, value out. The kernel forces most of it: whoever mounts procfs, sysfs or mqueue must own the namespace that they show, so a
/// container that uses the host's process ids, network or IPC, or those of a container without a user namespace, cannot have one.
package struct UserNamespaceDecision: Sendable {
    /// A container whose namespaces the new one joins.
    package struct Joined: Sendable {
        /// The option that says so, such as `--network container:web`.
        package var option: String
        package var id: ContainerID
        package var setting: UserNamespaceSetting

        package init(option: String, id: ContainerID, setting: UserNamespaceSetting) {
            self.option = option
            self.id = id
            self.setting = setting
        }
    }

    /// What was decided.
    package enum Outcome: Sendable, Equatable {
        case host(reason: String)
        case own(size: UInt32, reason: String)
        case shared(IDRange, with: ContainerID, reason: String)
    }

    package var defaultMode: UserNamespaceMode
    /// What the node lacks, by name.
    package var missing: [String]
    package var joined: [Joined] = []
    package var backend: String
    /// Whether the backend maps owners of mounts.
    package var backendMaps: Bool

    package init(defaultMode: UserNamespaceMode, missing: [String], backend: String, backendMaps: Bool) {
        self.defaultMode = defaultMode
        self.missing = missing
        self.backend = backend
        self.backendMaps = backendMaps
    }

    /// The outcome for one configuration.
    ///
    /// - Throws: `.invalidArgument` when `auto` was asked for together with something that excludes it, or a user by a number that the
    ///   user namespace will not have; `.failedPrecondition` when it was asked for and the node or backend has not got it.
    package func outcome(_ configuration: ContainerConfiguration) throws -> Outcome {
        let outcome = try decide(configuration)
        try outcome.check(configuration.user)
        return outcome
    }

    private func decide(_ configuration: ContainerConfiguration) throws -> Outcome {
        let asked = configuration.userNamespace
        if asked == .host { return .host(reason: "asked for by the client") }
        if let cause = Self.implied(configuration) ?? foreign {
            guard asked == nil else {
                throw EngineError.invalid(
                    "a user namespace of its own cannot be combined with \(cause): leave one of them out, or use --userns=host"
                )
            }
            return .host(reason: "implied by \(cause)")
        }
        if let shared = try shared(asked) { return shared }
        let (mode, reason) = asked.map { ($0, "asked for by the client") } ?? (defaultMode, "the default")
        guard case .auto(let size) = mode else { return .host(reason: "the configuration's default is 'host'") }
        if let obstacle {
            guard asked == nil else { throw EngineError(.failedPrecondition, "no user namespace: \(obstacle)") }
            return .host(reason: obstacle)
        }
        return .own(size: size ?? EngineConfiguration.UserNamespaces.defaultSize, reason: reason)
    }

    private var obstacle: String? {
        if !missing.isEmpty { return "this node lacks " + missing.joined(separator: "; ") }
        return backendMaps ? nil : "backend '\(backend)' does not map the owners of files"
    }

    /// The option of the container itself that excludes a user namespace.
    private static func implied(_ configuration: ContainerConfiguration) -> String? {
        if configuration.privileged { return "--privileged" }
        if configuration.network == .host { return "--network host" }
        if configuration.pidMode == .host { return "--pid host" }
        return configuration.ipcMode == .host ? "--ipc host" : nil
    }

    /// The option that joins a container without a user namespace.
    private var foreign: String? {
        joined.first { $0.setting.range == nil }.map { "\($0.option), which has no user namespace" }
    }

    /// The user namespace of the containers that are joined.
    private func shared(_ asked: UserNamespaceMode?) throws -> Outcome? {
        guard let first = joined.first, let range = first.setting.range else { return nil }
        if let other = joined.first(where: { $0.setting.range != range }) {
            throw EngineError.invalid(
                "\(first.option) and \(other.option) have different user namespaces: only one can be joined"
            )
        }
        if case .auto(let size?)? = asked, size != range.size {
            throw EngineError.invalid(
                "a user namespace of \(size) ids cannot be combined with \(first.option), whose user namespace has \(range.size)"
            )
        }
        return .shared(range, with: first.id, reason: "shared because of \(first.option)")
    }
}

extension UserNamespaceDecision.Outcome {
    /// Refuses numbers that are no ids of the user namespace; names are looked up when the container starts.
    fileprivate func check(_ user: String) throws {
        let size: UInt32
        switch self {
        case .host: return
        case .own(let ids, _): size = ids
        case .shared(let range, _, _): size = range.size
        }
        for number in user.split(separator: ":").compactMap({ UInt32($0) }) where number >= size {
            throw EngineError.invalid(
                "user '\(user)': \(number) is none of the \(size) ids of the container's user namespace: use a number below \(size), "
                    + "--userns=auto:size=N with a larger N, or --userns=host"
            )
        }
    }
}

extension UserNamespaceSetting {
    /// The setting of a container without a user namespace, or with that of another.
    ///
    /// - Parameters:
    ///   - outcome: the decision.
    ///   - take: gives ids of its own.
    package init(_ outcome: UserNamespaceDecision.Outcome, take: (UInt32) throws -> IDRange) rethrows {
        switch outcome {
        case .host(let reason): self.init(reason: reason)
        case .shared(let range, let other, let reason): self.init(range: range, sharedWith: other, reason: reason)
        case .own(let size, let reason): self.init(range: try take(size), reason: reason)
        }
    }
}
