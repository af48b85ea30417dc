package import EngineModel
package import EngineShim
package import EngineStore
import Kernel
import Logging
import Synchronization

/// User namespaces of one engine: what the node can, whose ids are whose, and which mounts can be mapped.
package struct UserNamespaces: Sendable {
    package let ids: IDRanges
    package let backends: BackendAbilities
    private let node: NodeFacts

    /// What is missing on the node, by name.
    package var missing: [String] { node.found.withLock { $0.missing } }
    /// Nil when the node cannot make a user namespace.
    package var owners: OwnerMapping? { node.found.withLock { $0.owners } }

    /// What was found by trying.
    private final class NodeFacts: Sendable {
        struct Found: Sendable {
            var missing: [String]
            var owners: OwnerMapping?
            /// Whether it could be tried.
            var isKnown: Bool

            init(root: String) throws {
                let probe = UserNamespaceProbe(root: root)
                (missing, isKnown) = (probe.missing, probe.isKnown)
                owners = probe.works ? try OwnerMapping() : nil
            }
        }

        let root: String
        let found: Mutex<Found>

        init(_ root: String, _ found: Found) {
            self.root = root
            self.found = Mutex(found)
        }
    }

    /// Tries what the node can, and reads who holds which ids.
    package static func open(
        _ configuration: EngineConfiguration,
        _ paths: Paths,
        _ store: Store,
        _ pool: BlockingPool
    ) async throws -> UserNamespaces {
        let holders = try await store.loadIDRanges()
        var (found, ids) = try await pool.run {
            (try NodeFacts.Found(root: paths.root), try self.ids(configuration, paths, holders))
        }
        if ids.pool.count < UInt64(EngineConfiguration.UserNamespaces.defaultSize) {
            found.missing.append(
                Self.poolIsSmall
                    + "the pool \(ids.pool.text) (\(ids.pool.source)) has not \(EngineConfiguration.UserNamespaces.defaultSize)"
            )
        }
        if !found.isKnown {
            configuration.logger.warning(
                "user namespaces could not be tried, which the next create does",
                metadata: ["error": "\(found.missing.joined(separator: "; "))"]
            )
        } else if !found.missing.isEmpty, configuration.userNamespaces.defaultMode != .host {
            configuration.logger.warning(
                "containers get no user namespaces: root in a container is root on the host",
                metadata: ["missing": "\(found.missing.joined(separator: "; "))"]
            )
        }
        let backends = BackendAbilities(patience: min(.seconds(20), configuration.deadlines.start))
        return UserNamespaces(ids: ids, backends: backends, node: NodeFacts(paths.root, found))
    }

    /// Tries once more what could not be tried yet; blocks.
    ///
    /// - Throws: `.resourceExhausted` when it cannot be tried now either: nobody gets a container without a user namespace for that.
    package func learn(making: (() throws -> Void) throws -> Void) throws {
        guard node.found.withLock({ !$0.isKnown }) else { return }
        try making {
            let next = try NodeFacts.Found(root: node.root)
            guard next.isKnown else {
                throw EngineError(
                    .resourceExhausted,
                    "whether this node has user namespaces cannot be tried: \(next.missing.joined(separator: "; "))"
                )
            }
            node.found.withLock { found in
                // That the pool of ids is too small has not changed.
                let others = found.missing.filter { $0.hasPrefix(Self.poolIsSmall) }
                found = next
                found.missing += others
            }
        }
    }

    private static let poolIsSmall = "ids for containers: "

    private static func ids(
        _ configuration: EngineConfiguration,
        _ paths: Paths,
        _ holders: [String: IDRanges.Holder]
    ) throws -> IDRanges {
        func text(_ path: String) throws -> String { File.exists(path) ? try File.readText(path, limit: 1 << 22) : "" }
        let pool = IDPool(
            configured: configuration.userNamespaces.pool,
            subuid: try text("/etc/subuid"),
            subgid: try text("/etc/subgid")
        )
        return IDRanges(pool, holders: holders, cursor: cursor(paths.root, pool))
    }

    /// Engines side by side have one pool and do not know of each other: each begins at a place that depends on its root alone.
    private static func cursor(_ root: String, _ pool: IDPool) -> UInt64 {
        guard root != "/var/lib/berth", pool.count > 0 else { return 0 }
        var offset = Hash.fnv1a(root) % pool.count
        for range in pool.ranges {
            if offset < UInt64(range.count) { return range.lowerBound + offset }
            offset -= UInt64(range.count)
        }
        return 0
    }

    /// What a client and an operator may know.
    package func status(_ configuration: EngineConfiguration) -> UserNamespaceStatus {
        let isAuto = configuration.userNamespaces.defaultMode != .host
        return UserNamespaceStatus(
            isDefault: isAuto && missing.isEmpty,
            configured: isAuto ? "auto" : "host",
            missing: missing,
            pool: ids.pool.texts,
            poolSource: ids.pool.source,
            ids: ids.pool.count,
            held: ids.held
        )
    }
}
