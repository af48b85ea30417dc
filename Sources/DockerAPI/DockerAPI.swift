// DockerAPI: the Docker Engine API, versions 1.24 to 1.51, over HTTP/1.1 on a socket.
//
// A request takes one way: version prefix, route (exact method and path), body within its bound, handler, error mapping, headers.
// Handlers decode, call the engine, encode. Attach and exec leave HTTP: the connection's descriptor goes to the engine with every
// byte that arrived early (`Hijack`).

public import DockerTypes
public import Engine
import EngineModel
public import Kernel
public import Logging

/// Versions that this face speaks.
public enum DockerAPIVersions {
    /// The highest API version.
    public static let maximum = APIVersion(1, 51)
    /// The lowest API version.
    public static let minimum = APIVersion(1, 24)
}

/// What the API asks of the manager itself.
public protocol ManagerControl: Sendable {
    /// Looks whether a program could take over; changes nothing.
    ///
    /// - Parameter binary: Its absolute path; nil for the one that this manager was started from.
    /// - Returns: From which version to which; `ready` is false when `problems` stand in the way.
    /// - Throws: When there is no such program.
    func check(_ binary: String?) async throws -> BerthUpgrade

    /// Has a program take over, which answers `caller` in the manager's stead when it serves.
    ///
    /// Returns when the manager has begun to leave, or throws what keeps it from that; then nothing has changed.
    func upgrade(to binary: String?, caller: @escaping @Sendable () async throws -> SharedDescriptor) async throws
}

/// The Docker face of an engine.
public struct DockerFace: Sendable {
    private let server: APIServer

    /// Begins to serve `engine` on `sockets`, which listen already; ``run()`` has to follow.
    ///
    /// - Parameters:
    ///   - engine: The engine.
    ///   - control: What the API asks of the manager itself.
    ///   - sockets: Listening sockets; the caller keeps them and may hand them to another process later.
    ///   - carried: Connections of an earlier life.
    ///   - group: A group whose members may connect beside root; nil for root alone.
    ///   - logger: Where the face logs.
    /// - Throws: When a socket cannot be listened on.
    public init(
        engine: Engine,
        control: (any ManagerControl)?,
        sockets: [SharedDescriptor],
        carried: [CarriedConnection] = [],
        group: UInt32?,
        logger: Logger
    ) async throws {
        server = try await APIServer(
            dispatcher: Self.dispatcher(for: engine, control),
            sockets: sockets,
            carried: carried,
            // The socket's mode keeps others out already; this also holds when somebody loosens it.
            admits: { $0.uid == 0 || (group != nil && group == $0.gid) },
            logger: logger
        )
    }

    /// Accepts and answers until ``leave(within:keepsConnections:)`` has ended.
    public func run() async {
        await server.run()
    }

    /// Returns when every listening socket's event loop has run once more.
    public func turn() async {
        await server.turn()
    }

    /// Stops accepting, ends streams, gives open requests `grace` to finish, and refuses the rest with 503.
    ///
    /// - Returns: The connections between two requests when they are kept; they are closed otherwise.
    public func leave(within grace: Duration, keepsConnections: Bool) async -> [CarriedConnection] {
        await server.leave(within: grace, keepsConnections: keepsConnections)
    }

    /// The routes of `engine`.
    package static func dispatcher(for engine: Engine, _ control: (any ManagerControl)? = nil) -> Dispatcher {
        let version = engine.configuration.version
        let heads = HijackHeads(commonHeaders: Dispatcher.commonHeaders(version: version))
        var table = RouteTable<APIHandler>()
        SystemRoutes(engine: engine).register(in: &table)
        ContainerRoutes(engine: engine).register(in: &table)
        StreamRoutes(engine: engine, heads: heads).register(in: &table)
        ExecRoutes(engine: engine, heads: heads).register(in: &table)
        ImageRoutes(engine: engine).register(in: &table)
        NetworkRoutes().register(in: &table)
        ManagerRoutes(engine: engine, control: control).register(in: &table)
        ShimRoutes(engine: engine).register(in: &table)
        BackendRoutes(engine: engine).register(in: &table)
        ProfileRoutes(engine: engine).register(in: &table)
        AbsentRoutes().register(in: &table)
        return Dispatcher(routes: table, version: version, map: APIError.translate)
    }
}
