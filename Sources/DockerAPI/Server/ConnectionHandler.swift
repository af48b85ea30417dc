import HTTPTypes
import Kernel
import NIOCore
import NIOHTTPTypes

/// Follows one connection for the handlers: closes the gate behind a request that may take the connection, collects what the decoder
/// gives back when it is removed, and tells who waits for the client to go.
///
/// All state belongs to the channel's event loop.
final class ConnectionHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart

    /// The gate of this connection.
    let gate: ByteGate
    /// Whether a request may take the connection away from HTTP.
    private let mayHijack: @Sendable (HTTPRequest) -> Bool
    private var closesGateAtEnd = false
    private var collectsRawBytes = false
    private var decoderBytes = ByteBuffer()
    private var nextWaiter = 0
    private var waiters: [Int: AsyncStream<Void>.Continuation] = [:]
    private var clientIsGone = false
    private var unanswered = 0
    /// Requests whose reply is not written to its end.
    private var open = 0
    private var isReplying = false
    private var isLeaving = false
    private let registry: ConnectionRegistry

    init(gate: ByteGate, registry: ConnectionRegistry, mayHijack: @escaping @Sendable (HTTPRequest) -> Bool) {
        self.gate = gate
        self.registry = registry
        self.mayHijack = mayHijack
    }

    /// What arrived early, in order: the decoder's left-over bytes, then what the gate kept.
    var earlyBytes: [UInt8] {
        Array(buffer: decoderBytes) + Array(buffer: gate.kept)
    }

    /// From now on the decoder's output is raw bytes, because it is being removed.
    func expectRawBytes() {
        collectsRawBytes = true
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        // Accepted at the last moment: nobody has told it.
        if registry.course != .serving { leave() }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if collectsRawBytes {
            // A decoder that is removed after an upgrade forwards its left-over bytes as they are.
            var bytes = ByteToMessageBytes.unwrap(data)
            decoderBytes.writeBuffer(&bytes)
            return
        }
        switch unwrapInboundIn(data) {
        case .head(let head):
            // An upgrade pauses the decoder whatever is asked for, so the gate closes for those too.
            unanswered += 1
            open += 1
            closesGateAtEnd = head.headerFields[.upgrade] != nil || mayHijack(head)
        case .body:
            break
        case .end:
            gate.requestEnded()
            if closesGateAtEnd { stopReading(context) }
        }
        context.fireChannelRead(data)
    }

    /// Counts a reply.
    ///
    /// - Returns: Whether it answers the request that stopped the decoder, so that no further request can follow.
    func countReply() -> Bool {
        unanswered -= 1
        isReplying = true
        return gate.isClosed && unanswered <= 0
    }

    /// Something other than a reply is written from now on.
    func rawReplyBegins() {
        isReplying = true
    }

    /// The reply of the oldest request was given to the pipeline to its end.
    func replyWritten() {
        open -= 1
        isReplying = false
        leaveIfIdle()
    }

    /// Ends streams, and the connection as soon as it is between two requests.
    func leave() {
        isLeaving = true
        for waiter in waiters.values { waiter.finish() }
        waiters = [:]
        leaveIfIdle()
    }

    private func leaveIfIdle() {
        guard isLeaving, open == 0, !gate.hasBegunRequest, !gate.isClosed, let context = gate.context else { return }
        stopReading(context)
        let channel = context.channel
        let flushed = context.eventLoop.makePromise(of: Void.self)
        let (gate, registry) = (NIOLoopBound(gate, eventLoop: context.eventLoop), registry)
        flushed.futureResult.whenComplete { result in
            defer { channel.close(promise: nil) }
            // A client that has closed its side has no further request.
            guard case .success = result, registry.course == .carrying, !gate.value.inputClosed else { return }
            // A connection that cannot be duplicated is closed, which its client notices and mends.
            let copy = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self
            ) { SharedDescriptor(try BorrowedDescriptor($0).duplicate()) }
            guard let copy else { return }
            registry.carry(CarriedConnection(descriptor: copy, leftover: Array(buffer: gate.value.kept)))
        }
        context.writeAndFlush(NIOAny(ByteBuffer()), promise: flushed)
    }

    /// Answers the open request with `refusal`, unless its reply has begun, and closes the connection.
    func refuse(_ refusal: [UInt8]) {
        guard open > 0, !isReplying, let context = gate.context else { return }
        isReplying = true
        gate.close()
        let channel = context.channel
        let flushed = context.eventLoop.makePromise(of: Void.self)
        flushed.futureResult.whenComplete { _ in channel.close(promise: nil) }
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: refusal)), promise: flushed)
    }

    private func stopReading(_ context: ChannelHandlerContext) {
        gate.close()
        // Refusal only means that a read in flight is kept by the gate as well.
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { clientWent() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        clientWent()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        clientWent()
        context.fireErrorCaught(error)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        clientWent()
    }

    private func clientWent() {
        clientIsGone = true
        for waiter in waiters.values { waiter.finish() }
        waiters = [:]
    }

    /// Registers a stream that ends when the client goes.
    func addWaiter(_ waiter: AsyncStream<Void>.Continuation) -> Int {
        nextWaiter += 1
        if clientIsGone || isLeaving { waiter.finish() } else { waiters[nextWaiter] = waiter }
        return nextWaiter
    }

    /// Forgets a stream that nobody waits for any more.
    func removeWaiter(_ number: Int) {
        waiters[number] = nil
    }
}

/// Reads raw bytes out of a pipeline position that is typed for HTTP.
private enum ByteToMessageBytes: Sendable {
    static func unwrap(_ data: NIOAny) -> ByteBuffer {
        RawBytes().bytes(data)
    }

    private final class RawBytes: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        func bytes(_ data: NIOAny) -> ByteBuffer { unwrapInboundIn(data) }
    }
}
