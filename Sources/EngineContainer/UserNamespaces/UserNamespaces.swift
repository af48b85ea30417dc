package import EngineModel
package import EngineShim
package import EngineStore
import Kernel
import Logging

/// User namespaces of one engine: what the node can, whose ids are whose, and which mounts can be mapped.
package struct UserNamespaces: Sendable {
    package let ids: IDRanges
    /// What is missing on the node, by name.
    package let missing: [String]
    /// Nil when the node cannot make a user namespace.
    package let owners: OwnerMapping?
    package let backends: BackendAbilities

    /// Tries what the node can, and reads who holds which ids.
    package static func open(
        _ configuration: EngineConfiguration,
        _ paths: Paths,
        _ store: Store,
        _ pool: BlockingPool
    ) async throws -> UserNamespaces {
        let holders = try await store.loadIDRanges()
        let (missing, ids, owners) = try await pool.run {
            let probe = UserNamespaceProbe(root: paths.root)
            return (probe.missing, try self.ids(configuration, paths, holders), probe.works ? try OwnerMapping() : nil)
        }
        var all = missing
        if ids.pool.count < UInt64(EngineConfiguration.UserNamespaces.defaultSize) {
            all.append(
                "ids for containers: the pool \(ids.pool.text) (\(ids.pool.source)) has not \(EngineConfiguration.UserNamespaces.defaultSize)"
            )
        }
        if !all.isEmpty, configuration.userNamespaces.defaultMode != .host {
            configuration.logger.warning(
                "containers get no user namespaces: root in a container is root on the host",
                metadata: ["missing": "\(all.joined(separator: "; "))"]
            )
        }
        let backends = BackendAbilities(patience: min(.seconds(20), configuration.deadlines.start))
        return UserNamespaces(ids: ids, missing: all, owners: owners, backends: backends)
    }

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
