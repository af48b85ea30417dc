import EngineModel
import Kernel
package import NIOCore
import NIOPosix
import ShimProtocol
package import SwiftProtobuf
import Synchronization

/// One ttrpc connection to one shim: concurrent calls, each with a deadline.
///
/// An answer that is late is dropped and the call fails with `.timedOut`; the connection stays. When the connection ends,
/// every open call fails with `.unavailable` and ``closed`` completes.
package final class ShimConnection: Sendable {
    private let channel: any Channel
    private let calls: NIOLoopBound<CallHandler>
    private let broken: Flag

    private init(channel: any Channel, calls: NIOLoopBound<CallHandler>, broken: Flag) {
        self.channel = channel
        self.calls = calls
        self.broken = broken
    }

    /// Connects to the socket at `path`; its directory is opened first, so the path may be longer than a socket's.
    ///
    /// `deadline`: for the connect, and for each frame from its first byte to its last.
    package static func connect(
        to path: String,
        token: String,
        deadline: Duration,
        group: any EventLoopGroup
    ) async throws -> ShimConnection {
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        let directory = try File.open(String(path[..<slash]), [.path, .directory])
        let short = "\(directory.procPath)/\(path[path.index(after: slash)...])"
        let address = try SocketAddress(unixDomainSocketPath: short)
        do {
            return try await ClientBootstrap(group: group)
                .connectTimeout(TimeAmount(deadline))
                .connect(to: address) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let broken = Flag()
                        let handler = CallHandler(
                            token: token,
                            eventLoop: channel.eventLoop,
                            broken: broken,
                            frameDeadline: deadline
                        )
                        try channel.pipeline.syncOperations.addHandler(handler)
                        return ShimConnection(
                            channel: channel,
                            calls: NIOLoopBound(handler, eventLoop: channel.eventLoop),
                            broken: broken
                        )
                    }
                }
        } catch let error as IOError {
            throw KernelError.failed("connect to the shim's socket", path, Errno(rawValue: error.errnoCode))
        }
    }

    /// Whether nobody listens there, by the error of a connect; anything else says nothing about who does.
    package static func isRefusal(_ error: any Error) -> Bool {
        (error as? KernelError).map { [.connectionRefused, .noEntry].contains($0.errno) } ?? false
    }

    /// Whether descriptors or memory were short here, which says nothing about anybody.
    package static func isShortage(_ error: any Error) -> Bool {
        (error as? KernelError)?.isShortage ?? false
    }

    /// Calls a method and decodes its answer.
    package func call<Answer: Message & Sendable>(
        _ service: String,
        _ method: String,
        _ request: some Message,
        deadline: Duration,
        as type: Answer.Type
    ) async throws -> Answer {
        let bytes = try await call(service, method, request.bytes, deadline: deadline)
        do {
            return try Answer(serializedBytes: bytes)
        } catch {
            throw EngineError.internalFailure("\(method): the shim's answer is no \(Answer.protoMessageName)")
        }
    }

    private func call(
        _ service: String,
        _ method: String,
        _ payload: [UInt8],
        deadline: Duration
    ) async throws -> [UInt8] {
        try await withCheckedThrowingContinuation { continuation in
            let calls = calls
            channel.eventLoop.execute {
                calls.value.call(service, method, payload, deadline: deadline, continuation)
            }
        }
    }

    /// Waits until the connection has ended, or for the cancellation of the task.
    package func closed() async {
        // However the channel ends: it has ended.
        try? await channel.closeFuture.get()
    }

    package func close() {
        channel.close(promise: nil)
    }

    /// Ends the connection a little later, whatever it is used for then.
    func close(after pause: Duration) {
        channel.eventLoop.scheduleTask(in: TimeAmount(pause)) { [channel] in channel.close(promise: nil) }
    }

    /// Whether it was ended here, because what came on it was no answer to anything, or did not come to its end.
    package var isBroken: Bool { broken.isSet }
}

extension TimeAmount {
    package init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}

/// Shared by a connection and its handler.
private final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .relaxed) }

    func set() { value.store(true, ordering: .relaxed) }
}

/// Feeds the connection's state machine on its event loop.
private final class CallHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private struct Waiting {
        var continuation: CheckedContinuation<[UInt8], any Error>
        var timeout: Scheduled<Void>
    }

    private var machine = TTRPCClientConnection()
    private var waiting: [UInt32: Waiting] = [:]
    private var context: ChannelHandlerContext?
    private var token: String?
    private let eventLoop: any EventLoop
    private let broken: Flag
    /// Bytes that have come since the last answer to a call.
    private var unasked = 0
    /// Ends the connection when the frame that has begun does not come to its end.
    private var slowFrame: Scheduled<Void>?

    /// What may come between two answers: late answers and the rest of one that is too long.
    private static let unaskedLimit = 16 << 20

    private let frameDeadline: Duration

    init(token: String, eventLoop: any EventLoop, broken: Flag, frameDeadline: Duration) {
        self.frameDeadline = frameDeadline
        self.broken = broken
        self.token = token
        self.eventLoop = eventLoop
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        failAll()
    }

    func channelInactive(context: ChannelHandlerContext) {
        slowFrame?.cancel()
        failAll()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = [UInt8](buffer: unwrapInboundIn(data))
        let completions = machine.receive(bytes.span.bytes)
        unasked = completions.isEmpty ? unasked + bytes.count : 0
        for completion in completions { finish(completion.streamID, completion.result) }
        // Who talks on and answers nobody would keep the thread that others' answers come on.
        if unasked > Self.unaskedLimit || machine.violation != nil {
            broken.set()
            return context.close(promise: nil)
        }
        watchFrame(context, isNew: !completions.isEmpty)
    }

    /// A frame that has begun comes to its end within the time of a call, or its shim is as good as away: nothing that is behind it comes.
    private func watchFrame(_ context: ChannelHandlerContext, isNew: Bool) {
        if isNew || !machine.isMidFrame {
            slowFrame?.cancel()
            slowFrame = nil
        }
        guard machine.isMidFrame, slowFrame == nil else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        slowFrame = eventLoop.scheduleTask(in: TimeAmount(frameDeadline)) {
            bound.value.broken.set()
            bound.value.context?.close(promise: nil)
        }
    }

    func call(
        _ service: String,
        _ method: String,
        _ payload: [UInt8],
        deadline: Duration,
        _ continuation: CheckedContinuation<[UInt8], any Error>
    ) {
        let metadata = token.map { [(key: MetadataKey.token, value: $0)] } ?? []
        do {
            let stream = try machine.call(
                service: service,
                method: method,
                payload: payload,
                timeout: deadline,
                metadata: metadata
            )
            token = nil
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            let timeout = eventLoop.scheduleTask(in: TimeAmount(deadline)) {
                bound.value.timedOut(stream, method)
            }
            waiting[stream] = Waiting(continuation: continuation, timeout: timeout)
            flush()
        } catch {
            continuation.resume(throwing: error)
        }
    }

    private func flush() {
        guard let context else { return failAll() }
        let bytes = machine.takeOutput()
        guard !bytes.isEmpty else { return }
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
    }

    private func timedOut(_ stream: UInt32, _ method: String) {
        guard machine.abandon(stream) else { return }
        waiting.removeValue(forKey: stream)?.continuation.resume(
            throwing: RPCError.timedOut("\(method): no answer before the deadline")
        )
    }

    private func finish(_ stream: UInt32, _ result: Result<[UInt8], RPCError>) {
        guard let call = waiting.removeValue(forKey: stream) else { return }
        call.timeout.cancel()
        call.continuation.resume(with: result.mapError { $0 })
    }

    private func failAll() {
        for completion in machine.close() { finish(completion.streamID, completion.result) }
    }
}
