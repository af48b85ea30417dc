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
    /// For calls on paths that users name: such a call may never return.
    let strangers: BlockingPool
    let creations = Creations()
    /// The containers whose shim is not the parent of what it supervises.
    let adopters = AdopterList()
    /// Duplicates of what the shims hold.
    let held: HeldDescriptors
    /// Nil where another part of the process waits for children.
    let orphans: OrphanReaper?
    let namespaces: UserNamespaces
    /// What of the state could not be used.
    let damage: DamageLog
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

    /// Runs a body that makes children and waits for them, undisturbed by the reaper of orphans.
    func making<T>(_ body: () throws -> T) throws -> T {
        guard let orphans else { return try body() }
        return try orphans.making(body)
    }

    /// Runs a body that looks at a path that a user has named: it may hang with the file system behind it.
    ///
    /// - Throws: `.timedOut` when it has not come back; its thread is lost until it does, and no other call is delayed.
    func patiently<T: Sendable>(
        _ what: String,
        within deadline: Duration = .seconds(10),
        _ body: @escaping @Sendable () throws -> T
    ) async throws -> T {
        let promise = Promise<T>()
        let strangers = strangers
        supervisor.start {
            do {
                promise.resolve(.success(try await strangers.run(body)))
            } catch {
                promise.resolve(.failure(error))
            }
        }
        guard let value = try await promise.value(within: deadline) else {
            throw EngineError(.timedOut, "\(what): no answer within \(deadline); is the file system behind it gone?")
        }
        return value
    }

    /// Executable of a backend.
    func backend(_ name: String) throws -> String {
        guard let path = configuration.backends[name] else {
            throw EngineError.invalid("unknown or invalid runtime name: \(name)")
        }
        return path
    }
}
