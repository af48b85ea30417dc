import ContentStore
import EngineContainer
import EngineModel
import EngineSpec
import EngineStore
import Kernel
import Snapshots

extension EngineCore {
    // Containers ------------------------------------------------------------------------------------------------------

    func list(all: Bool, limit: Int?, filters: Filters) async throws -> [ContainerSnapshot] {
        let filter = try ContainerFilter(filters)
        let before = try filter.before.map { try node.table.find($0).view.snapshot.created }.min()
        let since = try filter.since.map { try node.table.find($0).view.snapshot.created }.max()
        let takesAll = all || filter.mentionsStatus || (limit ?? 0) > 0
        var found = node.table.all.map(\.view.snapshot).filter { container in
            if !takesAll, ![.running, .paused, .restarting].contains(container.state.status) { return false }
            if let before, container.created >= before { return false }
            if let since, container.created <= since { return false }
            return filter.matches(container)
        }
        found.sort { ($0.created, $0.id) > ($1.created, $1.id) }
        if let limit, limit > 0 { return Array(found.prefix(limit)) }
        return found
    }

    func prune(filters: Filters) async throws -> [ContainerID] {
        for key in filters.keys where !["until", "label", "label!"].contains(key) {
            throw EngineError.invalid("invalid filter '\(key)'")
        }
        let until = try (filters["until"] ?? []).map(Self.time).min()
        var removed: [ContainerID] = []
        for container in node.table.all {
            let snapshot = container.view.snapshot
            guard [.created, .exited, .dead].contains(snapshot.state.status) else { continue }
            // What is damaged is removed by its name alone.
            guard snapshot.state.damaged == nil else { continue }
            if let until, snapshot.created >= until { continue }
            let labels = snapshot.resolved.labels
            guard (filters["label"] ?? []).allSatisfy({ Labels.match($0, labels) }) else { continue }
            guard !(filters["label!"] ?? []).contains(where: { Labels.match($0, labels) }) else { continue }
            do {
                try await remove(snapshot.id.description, force: false, volumes: false)
                removed.append(snapshot.id)
            } catch let error as EngineError where error.reason == .conflict || error.reason == .noSuchContainer {
                continue  // somebody started or removed it meanwhile
            }
        }
        return removed
    }

    /// A moment as clients write it: seconds since 1970, RFC 3339, or a duration before now such as `10m`.
    static func time(_ text: String) throws -> Timestamp {
        if let seconds = Int64(text) { return Timestamp(seconds: seconds) }
        if let time = Timestamp(text) { return time }
        var (total, number): (Int64, Int64?) = (0, nil)
        for character in text {
            if let digit = character.wholeNumberValue {
                let (product, overflow) = (number ?? 0).multipliedReportingOverflow(by: 10)
                guard !overflow, product < Int64.max / 100_000 else {
                    throw EngineError.invalid("invalid time: \(text)")
                }
                number = product + Int64(digit)
            } else if let unit = ["s": 1, "m": 60, "h": 3600, "d": 86400][character] as Int64?, let value = number {
                total += value * unit
                number = nil
            } else {
                throw EngineError.invalid("invalid time: \(text)")
            }
        }
        guard number == nil, !text.isEmpty else { throw EngineError.invalid("invalid time: \(text)") }
        return .now + .seconds(-total)
    }

    // Node ------------------------------------------------------------------------------------------------------------

    func systemInfo() async throws -> SystemInfo {
        let states = node.table.all.map(\.view.snapshot.state.status)
        let running = states.count { $0 == .running }
        let paused = states.count { $0 == .paused }
        let (images, identity) = (
            try await blocking { try $0.images.content.images().count }, try await node.store.identity()
        )
        var warnings: [String] = []
        let namespaces = node.namespaces.status(node.configuration)
        if namespaces.configured == "auto", !namespaces.isDefault {
            warnings.append(
                "containers get no user namespaces, root in a container is root on the host: "
                    + namespaces.missing.joined(separator: "; ")
            )
        }
        let damages = node.damage.lines
        warnings += damages.prefix(50)
        if damages.count > 50 { warnings.append("and \(damages.count - 50) more: see the log") }
        return SystemInfo(
            id: identity,
            running: running,
            paused: paused,
            stopped: states.count - running - paused,
            images: images,
            root: node.configuration.root,
            backends: node.configuration.backends,
            defaultBackend: node.configuration.defaultBackend,
            cgroupVersion: SystemFacts.cgroupVersion,
            kernelVersion: SystemFacts.kernelRelease,
            operatingSystem: SystemFacts.operatingSystem,
            architecture: SystemFacts.architecture,
            cpus: SystemFacts.cpus,
            memory: SystemFacts.memory,
            hostname: SystemFacts.hostname,
            version: node.configuration.version,
            cgroupManager: node.cgroupManager,
            userNamespaces: namespaces,
            warnings: warnings,
            adopting: node.table.all.count { !$0.adoption.isResolved }
        )
    }

    func diskUsage() async throws -> DiskUsage {
        let images = try await listImages(all: true, filters: [:])
        let containers = node.table.all.map(\.view.snapshot)
        return try await blocking { node in
            let layers = try node.images.snapshots.layers()
            return DiskUsage(
                layers: layers.reduce(0) { sum, chain in
                    // A layer that is being removed counts as nothing.
                    sum + ((try? node.images.snapshots.usage(chainID: chain).bytes) ?? 0)
                },
                images: images,
                containers: containers.map { container in
                    // A container that is being removed counts as nothing.
                    (container: container, size: (try? node.images.writableSize(container.id)) ?? 0)
                }
            )
        }
    }
}
