import HummingbirdCore
package import Kernel
package import Logging
import NIOCore
import NIOExtras
import NIOPosix
import ServiceLifecycle

/// Serves the API on one listening socket until graceful shutdown.
package struct APIServer: Service {
    private let dispatcher: Dispatcher
    private let socket: SharedDescriptor
    private let admits: @Sendable (UnixSocket.Peer) -> Bool
    private let logger: Logger

    /// A server on `socket`, which already listens; `admits` decides about every connection.
    package init(
        dispatcher: Dispatcher,
        socket: SharedDescriptor,
        admits: @escaping @Sendable (UnixSocket.Peer) -> Bool,
        logger: Logger
    ) {
        self.dispatcher = dispatcher
        self.socket = socket
        self.admits = admits
        self.logger = logger
    }

    /// Accepts connections until graceful shutdown; requests that are being answered then may finish.
    package func run() async throws {
        let child = makeChildChannel()
        let quiescing = ServerQuiescingHelper(group: MultiThreadedEventLoopGroup.singleton)
        // NIO owns the descriptor that it gets, and the socket must survive it for a hand-over.
        let handle = try socket.duplicate().release()
        let logger = logger
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = quiescing.makeServerChannelHandler(channel: channel)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
            .bind(handle) { child.setup(channel: $0, logger: logger) }
        await withGracefulShutdownHandler {
            await serve(server, child)
        } onGracefulShutdown: {
            // Stop accepting first; connections that wait stay in the kernel's queue for the next daemon.
            server.channel.setOption(.autoRead, value: false).whenComplete { _ in
                quiescing.initiateShutdown(promise: nil)
            }
        }
    }

    private func serve(
        _ server: NIOAsyncChannel<DockerHTTP1Channel.Value, Never>,
        _ child: DockerHTTP1Channel
    ) async {
        await withDiscardingTaskGroup { group in
            do {
                try await server.executeThenClose { connections in
                    for try await connection in connections {
                        group.addTask { await child.handle(value: connection, logger: logger) }
                    }
                }
            } catch {
                logger.error("accepting connections failed", metadata: ["error": "\(error)"])
            }
        }
    }

    private func makeChildChannel() -> DockerHTTP1Channel {
        let dispatcher = dispatcher
        let logger = logger
        return DockerHTTP1Channel(
            responder: { request, writer, channel in
                try await dispatcher.respond(
                    to: request,
                    writer: writer,
                    connection: Connection(channel: channel),
                    logger: logger
                )
            },
            mayHijack: dispatcher.mayHijack,
            admits: admits
        )
    }
}
