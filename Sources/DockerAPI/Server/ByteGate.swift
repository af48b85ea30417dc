import NIOCore

/// Stands before the HTTP decoder and, once closed, keeps what arrives instead of passing it on.
///
/// A client may send standard input, and even the end of it, before it has read the reply that gives it the raw stream. The decoder
/// would drop those bytes when it sees the end of input, so from the last byte of such a request on they are collected here.
///
/// All state belongs to the channel's event loop.
final class ByteGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// The most bytes that are kept.
    ///
    /// Reading stops when the gate closes, so more comes only from what the kernel already had.
    private static let limit = 4 << 20

    /// Whether arriving bytes are kept.
    private(set) var isClosed = false
    /// Whether the client has sent everything it will send.
    private(set) var inputClosed = false
    /// What arrived behind the closed gate, in order.
    private(set) var kept = ByteBuffer()
    /// The context, for writing below the encoder.
    private(set) var context: ChannelHandlerContext?
    /// Whether the decoder has bytes of a request whose head it has not passed on.
    private(set) var hasBegunRequest = false
    private var leftover: [UInt8]

    /// A gate of a connection of which `leftover` was read before.
    init(leftover: [UInt8] = []) {
        self.leftover = leftover
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        guard !leftover.isEmpty else { return }
        let bytes = ByteBuffer(bytes: leftover)
        leftover = []
        channelRead(context: context, data: NIOAny(bytes))
    }

    /// A request is complete: what the decoder holds has been passed on.
    func requestEnded() {
        hasBegunRequest = false
    }

    /// Keeps everything from here on.
    func close() {
        isClosed = true
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard isClosed else {
            hasBegunRequest = true
            return context.fireChannelRead(data)
        }
        var buffer = unwrapInboundIn(data)
        guard kept.readableBytes + buffer.readableBytes <= Self.limit else { return context.close(promise: nil) }
        kept.writeBuffer(&buffer)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event {
            inputClosed = true
            // The decoder must not see it: it would throw its left-over bytes away.
            if isClosed { return }
        }
        context.fireUserInboundEventTriggered(event)
    }
}
