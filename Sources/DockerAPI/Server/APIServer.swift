import HummingbirdCore
package import Kernel
package import Logging
import NIOCore
import NIOPosix

/// Serves the API on listening sockets until it is told to leave.
///
/// Leaving loses no client. New connections wait in the kernel's queue for the next daemon; connections between two requests
/// are carried to it, or closed; requests that are being answered get time to finish, and those that need more are refused in
/// a way that tells the client to try again.
package final class APIServer: Sendable {
    private typealias Listener = NIOAsyncChannel<DockerHTTP1Channel.Value, Never>

    private let registry = ConnectionRegistry()
    private let child: DockerHTTP1Channel
    private let listeners: [Listener]
    private let carried: [CarriedConnection]
    private let logger: Logger

    /// Begins to accept on `sockets`, which listen already; `admits` decides about every connection.
    ///
    /// ``run()`` has to follow. `carried` are connections of an earlier life.
    package init(
        dispatcher: Dispatcher,
        sockets: [SharedDescriptor],
        carried: [CarriedConnection] = [],
        admits: @escaping @Sendable (UnixSocket.Peer) -> Bool,
        logger: Logger
    ) async throws {
        self.logger = logger
        self.carried = carried
        let child = Self.makeChildChannel(dispatcher, admits, registry, logger)
        self.child = child
        var listeners: [Listener] = []
        for socket in sockets { listeners.append(try await Self.listen(socket, child, registry, logger)) }
        self.listeners = listeners
    }

    private static func listen(
        _ socket: SharedDescriptor,
        _ child: DockerHTTP1Channel,
        _ registry: ConnectionRegistry,
        _ logger: Logger
    ) async throws -> Listener {
        // NIO owns the descriptor that it gets, and the socket must survive it for a hand-over.
        let handle = try socket.duplicate().release()
        return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptRecorder(registry))
                }
            }
            .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
            .bind(handle) { child.setup(channel: $0, logger: logger) }
    }

    /// Serves until ``leave(within:keepsConnections:)`` has ended.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for connection in carried { group.addTask { await self.resume(connection) } }
            for listener in listeners { group.addTask { await self.serve(listener) } }
        }
    }

    private func serve(_ listener: Listener) async {
        await withDiscardingTaskGroup { group in
            do {
                try await listener.executeThenClose { connections in
                    for try await connection in connections {
                        group.addTask { [child, logger] in await child.handle(value: connection, logger: logger) }
                    }
                }
            } catch {
                logger.error("accepting connections failed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Goes on with a connection of an earlier life.
    private func resume(_ connection: CarriedConnection) async {
        do {
            let handle = try connection.descriptor.duplicate().release()
            let (child, registry, logger) = (child, registry, logger)
            let value = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
                .withConnectedSocket(handle) { channel in
                    registry.add(channel)
                    return child.setup(channel: channel, leftover: connection.leftover, logger: logger)
                }
            await child.handle(value: value, logger: logger)
        } catch {
            logger.debug("a connection was not resumed", metadata: ["error": "\(error)"])
        }
    }

    /// Returns when every listener's event loop has run once more.
    package func turn() async {
        // A loop that takes no more work has ended with the process.
        for listener in listeners { try? await listener.channel.eventLoop.submit {}.get() }
    }

    /// Stops accepting, ends streams, gives the open requests `grace` to finish, and refuses the rest.
    ///
    /// - Returns: The connections between two requests, open, when they are kept; none otherwise.
    package func leave(within grace: Duration, keepsConnections: Bool) async -> [CarriedConnection] {
        for listener in listeners {
            // Fails only for a listener that is closed already.
            try? await listener.channel.setOption(.autoRead, value: false).get()
        }
        registry.leave(keepsConnections ? .carrying : .closing)
        await registry.empty(within: grace)
        registry.refuseOpenRequests(Self.refusal)
        await registry.empty(within: .milliseconds(500))
        // What was accepted at the last moment is set up by now, and nothing more is accepted behind this.
        for listener in listeners { try? await listener.channel.close().get() }
        await registry.empty(within: .milliseconds(500))
        return registry.finish()
    }

    /// What a request gets that could not be finished.
    private static let refusal: [UInt8] = {
        let body = #"{"message":"berthd is being replaced: try again"}"# + "\n"
        let head =
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n"
            + "Retry-After: 1\r\nConnection: close\r\n\r\n"
        return Array((head + body).utf8)
    }()

    private static func makeChildChannel(
        _ dispatcher: Dispatcher,
        _ admits: @escaping @Sendable (UnixSocket.Peer) -> Bool,
        _ registry: ConnectionRegistry,
        _ logger: Logger
    ) -> DockerHTTP1Channel {
        DockerHTTP1Channel(
            responder: { request, writer, channel in
                try await dispatcher.respond(
                    to: request,
                    writer: writer,
                    connection: Connection(channel: channel),
                    logger: logger
                )
            },
            mayHijack: dispatcher.mayHijack,
            admits: admits,
            registry: registry
        )
    }
}
