public import Kernel
import NIOCore
import Synchronization

/// A connection between two requests, on its way from one life of the manager to the next.
public struct CarriedConnection: Sendable {
    /// The client's connection.
    public let descriptor: SharedDescriptor
    /// What was read of the client's next request; not looked at yet.
    public let leftover: [UInt8]

    /// A connection of which `leftover` was read.
    public init(descriptor: SharedDescriptor, leftover: [UInt8] = []) {
        self.descriptor = descriptor
        self.leftover = leftover
    }
}

/// Every open connection of the API, from the moment that it was accepted.
final class ConnectionRegistry: Sendable {
    /// What becomes of connections that are between two requests.
    enum Course: Sendable {
        /// They wait for the next one.
        case serving
        /// They are kept for the next life.
        case carrying
        /// They are closed.
        case closing
    }

    private struct State {
        var course = Course.serving
        var channels: [ObjectIdentifier: any Channel] = [:]
        var carried: [CarriedConnection] = []
        var emptied: AsyncStream<Void>.Continuation?
    }

    private let state = Mutex(State())

    var course: Course { state.withLock { $0.course } }

    /// Takes a connection that was just accepted; it is forgotten when it closes.
    func add(_ channel: any Channel) {
        state.withLock { $0.channels[ObjectIdentifier(channel)] = channel }
        channel.closeFuture.whenComplete { [self] _ in
            let emptied = state.withLock { state -> AsyncStream<Void>.Continuation? in
                state.channels[ObjectIdentifier(channel)] = nil
                return state.channels.isEmpty ? state.emptied : nil
            }
            emptied?.finish()
        }
    }

    /// Keeps a connection for the next life.
    func carry(_ connection: CarriedConnection) {
        state.withLock { $0.carried.append(connection) }
    }

    /// Ends streams, and sends away every connection as soon as it is between two requests.
    func leave(_ course: Course) {
        for channel in setCourse(course) { withHandler(of: channel) { $0.leave() } }
    }

    private func setCourse(_ course: Course) -> [any Channel] {
        state.withLock { state in
            state.course = course
            return Array(state.channels.values)
        }
    }

    /// Waits until no connection is left, or for as long as `grace`.
    func empty(within grace: Duration) async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        let isEmpty = state.withLock { state in
            state.emptied = continuation
            return state.channels.isEmpty
        }
        if isEmpty { return }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in stream {} }
            // Cancelled as soon as there is nothing to wait for.
            group.addTask { try? await Task.sleep(for: grace) }
            await group.next()
            group.cancelAll()
        }
    }

    /// Answers every request that is still open with `refusal`, and closes its connection.
    func refuseOpenRequests(_ refusal: [UInt8]) {
        for channel in state.withLock({ Array($0.channels.values) }) {
            withHandler(of: channel) { $0.refuse(refusal) }
        }
    }

    /// Closes what is left.
    ///
    /// - Returns: The connections that were kept.
    func finish() -> [CarriedConnection] {
        for channel in state.withLock({ Array($0.channels.values) }) { channel.close(promise: nil) }
        return state.withLock { state in
            defer { state.carried = [] }
            return state.carried
        }
    }

    /// Runs `body` on the connection's loop.
    ///
    /// A connection that is gone has no handler any more, and one that is being set up has none yet: it looks at the course itself.
    private func withHandler(of channel: any Channel, _ body: @escaping @Sendable (ConnectionHandler) -> Void) {
        channel.eventLoop.execute {
            guard let handler = try? channel.pipeline.syncOperations.handler(type: ConnectionHandler.self) else {
                return
            }
            body(handler)
        }
    }
}

/// Stands in the listening channel and registers every connection before anything else happens to it.
///
/// So none can be on its way between two loops when the server stops accepting.
final class AcceptRecorder: ChannelInboundHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel

    private let registry: ConnectionRegistry

    init(_ registry: ConnectionRegistry) {
        self.registry = registry
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        registry.add(unwrapInboundIn(data))
        context.fireChannelRead(data)
    }
}
