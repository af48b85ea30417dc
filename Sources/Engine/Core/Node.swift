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
    let group: any EventLoopGroup
    let logger: Logger

    var faults: FaultPoints { configuration.faults }
    var deadlines: EngineConfiguration.Deadlines { configuration.deadlines }

    /// Absolute below each hierarchy.
    func cgroupPath(_ id: ContainerID) -> String { "/\(configuration.cgroupParent)/\(id)" }

    /// Executable of a backend.
    func backend(_ name: String) throws -> String {
        guard let path = configuration.backends[name] else {
            throw EngineError.invalid("unknown or invalid runtime name: \(name)")
        }
        return path
    }
}
