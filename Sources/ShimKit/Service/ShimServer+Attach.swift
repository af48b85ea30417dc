import Kernel
import ShimProtocol
import SwiftProtobuf

// The socket over which the manager passes its clients' connections.
extension ShimServer {
    /// Bytes of a request, with what the client has sent already.
    static let maximumDescriptorRequest = 1 << 20
    /// Time for a peer to send its request.
    static let descriptorTimeout = Duration.seconds(5)

    /// Accepts requests from now on.
    func listenForDescriptors(_ listener: SharedDescriptor) throws(KernelError) {
        _ = try loop.watch(listener.raw, .readable) { [weak self] _ in
            self?.acceptDescriptors(listener)
        }
    }

    private func acceptDescriptors(_ listener: SharedDescriptor) {
        while true {
            do throws(KernelError) {
                guard let socket = try UnixSocket.accept(listener.raw) else {
                    return
                }
                guard try UnixSocket.peer(of: socket.raw).uid == 0, UnixSocket.peerSharesRoot(socket.raw) else {
                    ShimLog.write("connection refused", ("socket", "descriptors"))
                    continue
                }
                let request = DescriptorExchange(socket: SharedDescriptor(socket), loop: loop)
                try request.start { [weak self] request, client throws(RPCError) in
                    try self?.handle(request, client)
                }
            } catch {
                ShimLog.write("accept of a descriptor failed", ("error", error.description))
                return
            }
        }
    }

    private func handle(_ request: ShimDescriptorRequest, _ descriptor: SharedDescriptor?) throws(RPCError) {
        guard configuration.token.map({ Self.isSame($0, Array(request.token.utf8)) }) ?? true else {
            throw .permissionDenied("token missing or wrong")
        }
        switch request.action {
        case .attach(let request):
            guard let descriptor else {
                throw .invalidArgument("no descriptor came with the request")
            }
            try attach(request, descriptor)
        case .hold, .upgrade, nil:
            throw .unimplemented("this request of a descriptor socket")
        }
    }

    private func attach(_ request: ShimAttachRequest, _ client: SharedDescriptor) throws(RPCError) {
        let key = ProcessKey(execID: request.execID)
        guard try table.record(key).phase.exit == nil, let handle = handles[key] else {
            throw .failedPrecondition("cannot attach to a stopped process")
        }
        try handle.io.attach(request, socket: client)
    }
}

/// One connection of the descriptor socket: one request, one answer.
private final class DescriptorExchange {
    typealias Handler = (ShimDescriptorRequest, SharedDescriptor?) throws(RPCError) -> Void

    private let socket: SharedDescriptor
    private let loop: EventLoop
    private var client: SharedDescriptor?
    private var bytes: [UInt8] = []
    private var watch: EventLoop.Watch?
    private var timer: EventLoop.Timer?

    init(socket: SharedDescriptor, loop: EventLoop) {
        self.socket = socket
        self.loop = loop
    }

    /// Waits for the request.
    ///
    /// The watch keeps this object until the exchange is over.
    func start(_ handler: @escaping Handler) throws(KernelError) {
        watch = try loop.watch(socket.raw, .readable) { [self] _ in
            receive(handler)
        }
        timer = loop.after(ShimServer.descriptorTimeout) { [weak self] in
            self?.end()
        }
    }

    private func receive(_ handler: Handler) {
        do throws(KernelError) {
            let message = try UnixSocket.receiveDescriptors(from: socket.raw, byteLimit: 64 << 10, descriptorLimit: 1)
            guard !message.bytes.isEmpty else {
                return end()
            }
            client = client ?? message.descriptors.first
            bytes += message.bytes
        } catch  where error.errno == .wouldBlock {
            return
        } catch {
            return end()
        }
        guard bytes.count >= 4 else {
            return
        }
        let length = bytes[..<4].reduce(0) { $0 << 8 | Int($1) }
        guard length <= ShimServer.maximumDescriptorRequest else {
            return answer(.invalidArgument("request of \(length) bytes"))
        }
        if bytes.count >= 4 + length {
            handle(Array(bytes[4..<(4 + length)]), handler)
        }
    }

    private func handle(_ document: [UInt8], _ handler: Handler) {
        guard let request = try? ShimDescriptorRequest(serializedBytes: document) else {
            return answer(.invalidArgument("no request of a descriptor socket"))
        }
        do throws(RPCError) {
            try handler(request, client)
            answer(nil)
        } catch {
            answer(error)
        }
    }

    private func answer(_ error: RPCError?) {
        let response = ShimDescriptorResponse.with { response in
            response.code = error?.status.rawValue ?? 0
            response.message = error?.message ?? ""
        }.bytes
        let length = UInt32(response.count)
        let frame = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + response
        // A fresh connection has room for a short answer; a peer that has gone needs none.
        try? socket.writeAll(frame)
        end()
    }

    private func end() {
        if let watch {
            loop.unwatch(watch)
        }
        if let timer {
            loop.cancel(timer)
        }
        watch = nil
        timer = nil
        client = nil
        bytes = []
    }
}
