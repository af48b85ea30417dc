// DockerAPI: the Docker Engine API, versions 1.24 to 1.51, over HTTP/1.1 on a socket.
//
// A request takes one way: version prefix, route (exact method and path), body within its bound, handler, error mapping, headers.
// Handlers decode, call the engine, encode. Attach and exec leave HTTP: the connection's descriptor goes to the engine with every
// byte that arrived early (`Hijack`).

public import Engine
import EngineModel
public import Kernel
public import Logging
public import ServiceLifecycle

/// Versions that this face speaks.
public enum DockerAPIVersions {
    /// The highest API version.
    public static let maximum = APIVersion(1, 51)
    /// The lowest API version.
    public static let minimum = APIVersion(1, 24)
}

/// The Docker face of an engine.
public struct DockerFace: Service, CustomStringConvertible {
    private let server: APIServer

    /// Serves `engine` on `socket`, which listens already.
    ///
    /// - Parameters:
    ///   - engine: The engine.
    ///   - socket: A listening socket; the caller keeps it and may hand it to another process later.
    ///   - group: A group whose members may connect beside root; nil for root alone.
    ///   - logger: Where the face logs.
    public init(engine: Engine, socket: SharedDescriptor, group: UInt32?, logger: Logger) {
        server = APIServer(
            dispatcher: Self.dispatcher(for: engine),
            socket: socket,
            // The socket's mode keeps others out already; this also holds when somebody loosens it.
            admits: { $0.uid == 0 || (group != nil && group == $0.gid) },
            logger: logger
        )
    }

    /// The name in logs.
    public var description: String { "docker face" }

    /// Accepts and answers until graceful shutdown.
    public func run() async throws {
        try await server.run()
    }

    /// The routes of `engine`.
    package static func dispatcher(for engine: Engine) -> Dispatcher {
        let version = engine.configuration.version
        let heads = HijackHeads(commonHeaders: Dispatcher.commonHeaders(version: version))
        var table = RouteTable<APIHandler>()
        SystemRoutes(engine: engine).register(in: &table)
        ContainerRoutes(engine: engine).register(in: &table)
        StreamRoutes(engine: engine, heads: heads).register(in: &table)
        ExecRoutes(engine: engine, heads: heads).register(in: &table)
        ImageRoutes(engine: engine).register(in: &table)
        NetworkRoutes().register(in: &table)
        AbsentRoutes().register(in: &table)
        return Dispatcher(routes: table, version: version, map: APIError.translate)
    }
}
