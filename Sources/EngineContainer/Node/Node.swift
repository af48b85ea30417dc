package import EngineModel
package import EngineShim
package import EngineSpec
package import EngineStore
import Kernel
package import Logging
package import NIOCore
import NIOPosix
import Seccomp

/// What every container shares: one value made when the engine opens.
package struct Node: Sendable {
    package let configuration: EngineConfiguration
    package let paths: Paths
    package let store: Store
    package let hub: EventHub
    package let table: ContainerTable
    package let images: ImageService
    let seccomp: SeccompCache
    package let profiles: Profiles
    package let supervisor: Supervisor
    package let pool: BlockingPool
    package let waiter: DescriptorWaiter
    /// For paths that users name.
    package let strangers: PathLooks
    package let creations = Creations()
    /// The containers whose shim is not the parent of what it supervises.
    package let adopters = AdopterList()
    /// Duplicates of what the shims hold.
    package let held: HeldDescriptors
    /// Nil where another part of the process waits for children.
    package let orphans: OrphanReaper?
    package let namespaces: UserNamespaces
    /// What of the state could not be used.
    package let damage: DamageLog
    package let cgroupManager: CgroupManager
    package let group: any EventLoopGroup
    package let logger: Logger

    /// Over what the engine has opened; makes the rest.
    ///
    /// - Throws: ``KernelError`` when there is no descriptor left for the waiter.
    package init(
        configuration: EngineConfiguration,
        paths: Paths,
        store: Store,
        hub: EventHub,
        images: ImageService,
        pool: BlockingPool,
        strangers: PathLooks,
        held: HeldDescriptors,
        orphans: OrphanReaper?,
        namespaces: UserNamespaces,
        damage: DamageLog
    ) throws {
        self.configuration = configuration
        self.paths = paths
        self.store = store
        self.hub = hub
        self.images = images
        self.pool = pool
        self.strangers = strangers
        self.held = held
        self.orphans = orphans
        self.namespaces = namespaces
        self.damage = damage
        table = ContainerTable()
        seccomp = SeccompCache(directory: paths.seccomp) { damage.setAside($0, $1) }
        profiles = Profiles(
            directory: paths.profiles,
            store: store,
            pool: pool,
            damage: damage,
            logger: configuration.logger
        )
        supervisor = Supervisor()
        waiter = try DescriptorWaiter()
        cgroupManager = SystemFacts.cgroupManager(configuration.cgroupManager)
        group = MultiThreadedEventLoopGroup.singleton
        logger = configuration.logger
    }

    package var faults: FaultPoints { configuration.faults }
    package var deadlines: EngineConfiguration.Deadlines { configuration.deadlines }

    /// Where a container's cgroup is.
    package func cgroup(_ record: ContainerRecord) -> CgroupPlace {
        CgroupPlace(text: record.plan.cgroupsPath ?? "/\(configuration.cgroupParent)/\(record.id)")
    }

    /// Where the cgroup of a container without a record may be, by either manager; absolute below each hierarchy.
    package func cgroupPlaces(of id: ContainerID) -> [String] {
        let own = configuration.cgroupParent
        return [CgroupPlace(text: "/\(own)/\(id)"), CgroupPlace(text: "\(CgroupPlace.defaultSlice):\(own):\(id)")]
            .map(\.directory)
    }

    /// Runs a body that makes children and waits for them, undisturbed by the reaper of orphans.
    package func making<T>(_ body: () throws -> T) throws -> T {
        guard let orphans else { return try body() }
        return try orphans.making(body)
    }

    /// Whether something is at a path that a user has named: the look may hang with the file system behind it.
    ///
    /// - Throws: `.timedOut` when there is no answer; no call is delayed that is not about the same mount.
    package func isThere(_ source: String) async throws -> Bool {
        let deadline = Duration.seconds(10)
        guard let answer = try await strangers.isThere(source, within: deadline) else {
            throw EngineError(
                .timedOut,
                "look at '\(source)': no answer within \(deadline); is the file system behind it gone?"
            )
        }
        return answer
    }

    /// Executable of a backend.
    package func backend(_ name: String) throws -> String {
        guard let path = configuration.backends[name] else {
            throw EngineError.invalid("unknown or invalid runtime name: \(name)")
        }
        return path
    }
}
