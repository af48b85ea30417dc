internal import Kernel

/// A NETLINK_ROUTE socket of the network namespace it was opened in.
struct NetlinkSocket: ~Copyable {
    private let descriptor: Descriptor

    init() throws(KernelError) { descriptor = try RawSocket.netlinkRoute() }

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
}
