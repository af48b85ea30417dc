import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging
import NIOCore
import Seccomp

/// What every container shares: one value made when the engine opens.
struct Node: Sendable {
    let configuration: EngineConfiguration
    let paths: Paths
    let store: Store
    let hub: EventHub
    let table: ContainerTable
    let images: ImageService
    let seccomp: SeccompCache
    let supervisor: Supervisor
    let pool: BlockingPool
    let waiter: DescriptorWaiter
    /// Duplicates of what the shims hold.
    let held: HeldDescriptors
    /// Nil where another part of the process waits for children.
    let orphans: OrphanReaper?
    let namespaces: UserNamespaces
    let cgroupManager: CgroupManager
    let group: any EventLoopGroup
    let logger: Logger

    var faults: FaultPoints { configuration.faults }
    var deadlines: EngineConfiguration.Deadlines { configuration.deadlines }

    /// Where a container's cgroup is.
    func cgroup(_ record: ContainerRecord) -> CgroupPlace {
        CgroupPlace(text: record.plan.cgroupsPath ?? "/\(configuration.cgroupParent)/\(record.id)")
    }

    /// Where the cgroup of a container without a record may be, by either manager; absolute below each hierarchy.
    func cgroupPlaces(of id: ContainerID) -> [String] {
        let own = configuration.cgroupParent
        return [CgroupPlace(text: "/\(own)/\(id)"), CgroupPlace(text: "\(CgroupPlace.defaultSlice):\(own):\(id)")]
            .map(\.directory)
    }

    /// Executable of a backend.
    func backend(_ name: String) throws -> String {
        guard let path = configuration.backends[name] else {
            throw EngineError.invalid("unknown or invalid runtime name: \(name)")
        }
        return path
    }
}
