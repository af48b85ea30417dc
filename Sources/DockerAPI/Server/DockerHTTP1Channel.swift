import HTTPTypes
import HummingbirdCore
import Kernel
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import NIOPosix

/// The pipeline of one connection: gate, HTTP codec, connection state, and Hummingbird's request loop on top.
struct DockerHTTP1Channel: ServerChildChannel, HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let responder: HTTPChannelHandler.Responder
    let mayHijack: @Sendable (HTTPRequest) -> Bool
    let admits: @Sendable (UnixSocket.Peer) -> Bool
    let registry: ConnectionRegistry

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        setup(channel: channel, leftover: [], logger: logger)
    }

    /// Sets a connection up of which `leftover` was read in an earlier life.
    func setup(channel: any Channel, leftover: [UInt8], logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            // An error here would end the acceptor, so a refused connection gets a pipeline too and is closed by it.
            if !admit(pipeline, logger) { try pipeline.addHandler(RefusalHandler()) }
            let gate = ByteGate(leftover: leftover)
            let decoder = HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes)
            try pipeline.addHandler(gate)
            try pipeline.addHandler(HTTPResponseEncoder())
            try pipeline.addHandler(ByteToMessageHandler(decoder))
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
            try pipeline.addHandler(ConnectionHandler(gate: gate, registry: registry, mayHijack: mayHijack))
            try pipeline.addHandler(HTTPConnectionStateHandler(idleTimeout: nil, logger: logger))
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel,
                configuration: .init(isOutboundHalfClosureEnabled: true)
            )
        }
    }

    /// Decides about a peer before a byte of it is read; keeps the connection out of child processes.
    private func admit(_ pipeline: ChannelPipeline.SynchronousOperations, _ logger: Logger) -> Bool {
        do {
            let admitted = try pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { handle in
                try BorrowedDescriptor(handle).setCloseOnExec(true)
                let peer = try UnixSocket.peer(of: handle)
                guard !admits(peer) else { return true }
                logger.warning("connection refused", metadata: ["pid": "\(peer.pid)", "uid": "\(peer.uid)"])
                return false
            }
            return admitted ?? false
        } catch {
            // The peer is gone already, or it is no socket of ours.
            logger.warning("connection refused", metadata: ["error": "\(error)"])
            return false
        }
    }

    func handle(value: Value, logger: Logger) async {
        await handleHTTP(asyncChannel: value, logger: logger)
    }
}

/// Closes a connection as soon as it is active and passes nothing on.
private final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}
