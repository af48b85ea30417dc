package import EngineModel
import HTTPTypes
import Kernel
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1
import NIOPosix

/// One client connection, as handlers see it.
package struct Connection: Sendable {
    private let channel: any Channel

    init(channel: any Channel) {
        self.channel = channel
    }

    /// Runs `body` on the connection's handler, on its event loop.
    private func withHandler<Value: Sendable>(
        _ body: @escaping @Sendable (ConnectionHandler) throws -> Value
    ) async throws -> Value {
        try await channel.eventLoop.submit {
            try body(channel.pipeline.syncOperations.handler(type: ConnectionHandler.self))
        }.get()
    }

    /// Runs `operation` and cancels it when the client goes or the daemon leaves.
    ///
    /// - Returns: The result, or nil when it was cut short.
    package func whileClientStays<Value: Sendable>(
        _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Value? {
        let (gone, continuation) = AsyncStream<Void>.makeStream()
        let number: Int
        do {
            number = try await withHandler { $0.addWaiter(continuation) }
        } catch is ChannelError {
            return nil
        } catch is ChannelPipelineError {
            return nil
        }
        defer {
            // The connection may be closed by now, and then there is nothing to forget.
            channel.eventLoop.execute {
                try? channel.pipeline.syncOperations.handler(type: ConnectionHandler.self).removeWaiter(number)
            }
        }
        return try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask {
                for await _ in gone {}
                return nil
            }
            group.addTask { try await operation() }
            defer { group.cancelAll() }
            guard let first = try await group.next() else { return nil }
            return first
        }
    }

    /// Closes the connection after everything written so far has reached the kernel.
    func finish() {
        channel.eventLoop.execute {
            let gate = try? channel.pipeline.syncOperations.handler(type: ByteGate.self)
            guard let context = gate?.context else { return channel.close(promise: nil) }
            let flushed = channel.eventLoop.makePromise(of: Void.self)
            flushed.futureResult.whenComplete { _ in channel.close(promise: nil) }
            context.writeAndFlush(NIOAny(ByteBuffer()), promise: flushed)
        }
    }

    /// Counts the reply that is about to be written.
    ///
    /// - Returns: Whether no further request can follow on this connection.
    func countReply() async -> Bool {
        // A connection that is gone has no handler, and then nothing can follow either.
        (try? await withHandler { $0.countReply() }) ?? true
    }

    /// Tells that the reply was written to its end, so that the connection is between two requests.
    func replyWritten() {
        let channel = channel
        channel.eventLoop.execute {
            // A connection that is gone is between nothing.
            try? channel.pipeline.syncOperations.handler(type: ConnectionHandler.self).replyWritten()
        }
    }

    /// Tells that a reply begins that is not counted as one.
    func rawReplyBegins() async {
        // A connection that is gone gets no reply.
        try? await withHandler { $0.rawReplyBegins() }
    }

    /// Writes `bytes` below HTTP, from the first call on instead of a reply, and waits until the kernel has them.
    ///
    /// - Throws: When the client is gone.
    package func writeRaw(_ bytes: [UInt8]) async throws {
        let loop = channel.eventLoop
        try await loop.flatSubmit { () -> EventLoopFuture<Void> in
            let written = loop.makePromise(of: Void.self)
            do {
                let gate = try channel.pipeline.syncOperations.handler(type: ByteGate.self)
                guard let context = gate.context else { throw ChannelError.ioOnClosedChannel }
                try channel.pipeline.syncOperations.handler(type: ConnectionHandler.self).rawReplyBegins()
                gate.close()
                try channel.syncOptions?.setOption(.autoRead, value: false)
                context.writeAndFlush(NIOAny(ByteBuffer(bytes: bytes)), promise: written)
            } catch {
                written.fail(error)
            }
            return written.futureResult
        }.get()
    }

    /// Takes the connection away from the server, with every byte that the client sent after its request.
    ///
    /// The descriptor is blocking and close-on-exec. Call ``writeRaw(_:)`` with the head of the reply first.
    /// - Throws: When the client is gone; the server still owns the connection then and closes it.
    package func hijack() async throws -> ClientConnection {
        try await removeCodec()
        let detached = try await channel.eventLoop.submit { try detach() }.get()
        try detached.descriptor.setNonBlocking(false)
        return ClientConnection(
            descriptor: detached.descriptor,
            leftover: detached.earlyBytes,
            inputClosed: detached.inputClosed
        )
    }

    private func removeCodec() async throws {
        try await channel.eventLoop.flatSubmit { () -> EventLoopFuture<Void> in
            do {
                let pipeline = channel.pipeline.syncOperations
                let codec = try pipeline.context(handlerType: HTTP1ToHTTPServerCodec.self)
                let decoder = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
                try pipeline.handler(type: ConnectionHandler.self).expectRawBytes()
                // Both removals are asked for in one turn of the loop, in this order.
                let first = pipeline.removeHandler(context: codec)
                return first.and(pipeline.removeHandler(context: decoder)).map { _ in }
            } catch {
                return channel.eventLoop.makeFailedFuture(error)
            }
        }.get()
    }

    private struct Detached: Sendable {
        let descriptor: SharedDescriptor
        let earlyBytes: [UInt8]
        let inputClosed: Bool
    }

    /// Duplicates the descriptor and closes the channel: NIO closes its own copy without shutting the connection down.
    private func detach() throws -> Detached {
        let pipeline = channel.pipeline.syncOperations
        let handler = try pipeline.handler(type: ConnectionHandler.self)
        let copy = try pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { handle in
            SharedDescriptor(try BorrowedDescriptor(handle).duplicate())
        }
        guard let copy else { throw ChannelError.ioOnClosedChannel }
        let detached = Detached(descriptor: copy, earlyBytes: handler.earlyBytes, inputClosed: handler.gate.inputClosed)
        channel.close(promise: nil)
        return detached
    }
}
