internal import Kernel

/// A NETLINK_ROUTE socket of the network namespace it was opened in.
struct NetlinkSocket: ~Copyable {
    private let descriptor: Descriptor

    init() throws(KernelError) { descriptor = try RawSocket.netlinkRoute() }

    /// Opens a socket of another namespace.
    ///
    /// The calling thread is there for a moment.
    init(in namespace: RawDescriptor) throws(KernelError) {
        descriptor = try Self.open(in: namespace)
    }

    private static func open(in namespace: RawDescriptor) throws(KernelError) -> Descriptor {
        let own = try Namespace.open(.network)
        try Namespace.enter(namespace, .network)
        let socket: SharedDescriptor
        do throws(KernelError) { socket = SharedDescriptor(try RawSocket.netlinkRoute()) } catch {
            try Namespace.enter(own.raw, .network)
            throw error
        }
        try Namespace.enter(own.raw, .network)
        return try socket.duplicate()
    }

    /// Sends a request and waits for the kernel's answer, which comes at once.
    func request(_ message: NetlinkMessage, operation: String, object: String) throws(KernelError) {
        let sequence: UInt32 = 1
        try descriptor.writeAll(message.encoded(sequence: sequence))
        while true {
            let datagram = try descriptor.read(upTo: 8192)
            switch NetlinkAnswer.parse(datagram, sequence: sequence) {
            case .acknowledgement(0): return
            case .acknowledgement(let code): throw .failed(operation, object, Errno(rawValue: code))
            case .other: continue
            case nil: throw .failed(operation, object, .badProtocol, detail: "malformed answer")
            }
        }
    }

    /// All devices of the namespace.
    func links() throws(KernelError) -> [NetworkLink] {
        // RTM_GETLINK with an empty struct ifinfomsg.
        try dump(NetlinkMessage(type: 18, payload: Array(repeating: 0, count: 16)), "list network devices")
            .compactMap(NetworkLink.init)
    }

    /// The addresses of a device.
    func addresses(of index: Int32) throws(KernelError) -> [NetworkAddress] {
        // RTM_GETADDR with an empty struct ifaddrmsg.
        try dump(NetlinkMessage(type: 22, payload: Array(repeating: 0, count: 8)), "list addresses")
            .compactMap(NetworkAddress.init).filter { $0.index == index }
    }

    /// The payloads of a list that the kernel sends in several datagrams.
    private func dump(_ message: NetlinkMessage, _ operation: String) throws(KernelError) -> [[UInt8]] {
        let sequence: UInt32 = 2
        // NLM_F_REQUEST | NLM_F_DUMP
        try descriptor.writeAll(message.encoded(sequence: sequence, flags: 0x1 | 0x300))
        var payloads: [[UInt8]] = []
        while true {
            // The kernel fills at most 32 KiB at a time.
            let datagram = try descriptor.read(upTo: 1 << 16)
            switch NetlinkDump.parse(datagram, sequence: sequence) {
            case .part(let more): payloads += more
            case .end(let more): return payloads + more
            case .failure(let code): throw .failed(operation, Errno(rawValue: code))
            case nil: throw .failed(operation, .badProtocol, detail: "malformed answer")
            }
        }
    }
}

/// What one datagram of a list holds.
enum NetlinkDump: Equatable {
    case part([[UInt8]])
    case end([[UInt8]])
    case failure(Int32)

    /// Reads a datagram; nil when it is malformed.
    static func parse(_ bytes: [UInt8], sequence: UInt32) -> NetlinkDump? {
        var payloads: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            guard let length = UInt32(nativeBytes: bytes, at: start).map(Int.init), length >= 16,
                length <= bytes.count - start, let number = UInt32(nativeBytes: bytes, at: start + 8)
            else { return nil }
            let type = UInt16(bytes[start + 4]) | UInt16(bytes[start + 5]) << 8
            if number == sequence {
                switch type {
                case 3: return .end(payloads)  // NLMSG_DONE
                case 2:  // NLMSG_ERROR
                    guard length >= 20, let code = UInt32(nativeBytes: bytes, at: start + 16) else { return nil }
                    return .failure(0 &- Int32(bitPattern: code))
                default: payloads.append(Array(bytes[start + 16..<start + length]))
                }
            }
            start += (length + 3) & ~3
        }
        return .part(payloads)
    }
}
