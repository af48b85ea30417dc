import Kernel
import ShimModel
import ShimProtocol
import ShimStreams

// The socket over which descriptors pass: clients' connections, a new program, what a successor would need.
extension ShimServer {
    /// Accepts requests from now on.
    func listenForDescriptors(_ listener: SharedDescriptor) throws(KernelError) {
        let acceptor = try Acceptor(listener, name: "descriptors", loop: loop) {
            [weak self] socket throws(KernelError) in try self?.open(descriptors: socket)
        }
        acceptors.append(acceptor)
    }

    private func open(descriptors socket: consuming Descriptor) throws(KernelError) {
        guard try UnixSocket.peer(of: socket.raw).uid == 0, UnixSocket.peerSharesRoot(socket.raw) else {
            return ShimLog.write("connection refused", ("socket", "descriptors"))
        }
        _ = try DescriptorExchange(
            socket: SharedDescriptor(socket),
            loop: loop
        ) { [weak self] request, descriptor, exchange throws(RPCError) in
            try self?.handle(request, descriptor, exchange)
        }
    }

    private func handle(
        _ request: ShimDescriptorRequest,
        _ descriptor: SharedDescriptor?,
        _ exchange: DescriptorExchange
    ) throws(RPCError) {
        guard configuration.token.map({ Self.isSame($0, Array(request.token.utf8)) }) ?? true else {
            checkToken()
            throw .permissionDenied("token missing or wrong")
        }
        switch request.action {
        case .attach(let request):
            try attach(request, try Self.required(descriptor))
            exchange.answer(nil)
        case .hold(let request):
            let (response, descriptors) = hold(request)
            exchange.answer(response, with: descriptors)
        case .upgrade(let request):
            try beginUpgrade(request, try Self.required(descriptor), exchange)
        case nil:
            throw .unimplemented("this request of a descriptor socket")
        }
    }

    private static func required(_ descriptor: SharedDescriptor?) throws(RPCError) -> SharedDescriptor {
        guard let descriptor else {
            throw .invalidArgument("no descriptor came with the request")
        }
        return descriptor
    }

    private func attach(_ request: ShimAttachRequest, _ client: SharedDescriptor) throws(RPCError) {
        let key = ProcessKey(execID: request.execID)
        guard try table.record(key).phase.exit == nil, let handle = handles[key] else {
            throw .failedPrecondition("cannot attach to a stopped process")
        }
        lastClient += 1
        try handle.io.attach(request, socket: client, number: lastClient)
        // Before its start the process is not worth adopting, and its start is written down anyway.
        if handle.process != nil {
            saveState()
        }
    }
}
