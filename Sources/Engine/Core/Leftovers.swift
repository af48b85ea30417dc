import EngineContainer
import EngineModel
import EngineShim
import EngineStore
import Kernel
import Logging
import Snapshots

/// What a crash left behind that belongs to no container: exactly this is removed, and nothing else.
struct Leftovers: Sendable {
    /// Ids of bundles, durable directories, snapshots and cgroups that no row knows.
    let ids: [ContainerID]
    /// Cgroups that held ids name, by container; removed with it.
    private let cgroups: [ContainerID: String]
    /// Holders of ids of which nothing is left.
    private let released: [ContainerID]

    /// Looks for them; blocks.
    init(_ node: Node, known: Set<String>) throws {
        var found = CgroupCleaner.children(of: node.configuration.cgroupParent)
        for directory in [node.paths.bundles, node.paths.containers] {
            found.formUnion(try File.open(directory, [.directory]).readDirectory().map(\.name))
        }
        found.formUnion(try node.images.snapshots.containers())
        found.formUnion(CgroupCleaner.scopes(of: node.configuration.cgroupParent))
        // A row whose id has changed names the cgroup of a container that lives: every group has its container's id in its name.
        let orphans = node.namespaces.ids.orphans(known: known).filter { id, cgroup in
            cgroup.split(separator: "/").last?.contains(id) == true
        }
        cgroups = Dictionary(
            orphans.compactMap { id, cgroup in ContainerID(id).map { ($0, cgroup) } }
        ) { first, _ in first }
        for (id, cgroup) in cgroups where CgroupCleaner.exists(cgroup) { found.insert(id.description) }
        released = cgroups.keys.filter { !found.contains($0.description) }
        // A name that is no id was not made by this engine and is left alone.
        ids = found.subtracting(known).compactMap { ContainerID($0) }.sorted()
    }

    /// Gives back the ids of containers of which nothing is left.
    func releaseIDs(_ node: Node) async throws {
        for id in released { try await node.namespaces.ids.release(id, in: node.store) }
    }

    /// Ends shims and removes what they and a half-made create left.
    func remove(_ node: Node) async {
        for id in ids {
            do {
                let cgroup = cgroups[id]
                try await node.pool.run { try Self.remove(id, cgroup: cgroup, node) }
                try await node.namespaces.ids.release(id, in: node.store)
                node.logger.notice("removed what a crash left", metadata: ["container": "\(id.short)"])
            } catch {
                node.namespaces.ids.abandon(id)
                node.logger.error(
                    "what a crash left was not removed",
                    metadata: ["container": "\(id.short)", "error": "\(error)"]
                )
            }
        }
    }

    private static func remove(_ id: ContainerID, cgroup: String?, _ node: Node) throws {
        let paths = node.paths.container(id)
        if let pidfd = try ShimProcess.living(paths) {
            _ = try Pidfd.send(.kill, to: pidfd.raw)
            _ = try pidfd.poll(for: .readable, timeout: .seconds(5))
        } else if let pid = ShimProcess.listening(on: paths), let pidfd = try? Pidfd(pid: pid) {
            // Spawned and not yet recorded: it still has the bundle in its command line.
            guard try ProcessFacts.commandLine(of: pid).contains(paths.bundle) else { return }
            _ = try pidfd.send(.kill)
            _ = try pidfd.poll(for: .readable, timeout: .seconds(5))
        }
        for place in node.cgroupPlaces(of: id) + [cgroup].compactMap({ $0 }) { try CgroupCleaner.remove(place) }
        _ = try File.removeTree(paths.bundle)
        try node.images.removeWritable(id)
        _ = try File.removeTree(paths.durable)
    }
}
