// Netlink: messages to the kernel's network configuration, over a NETLINK_ROUTE socket.
//
// The model: a `NetlinkMessage` is built in memory, a `NetlinkSocket` sends it and waits for the kernel's acknowledgement, which
// is an errno. The socket belongs to the network namespace that it was opened in, for ever.
public import Kernel

/// Network devices of a network namespace.
public enum NetworkDevices {
    /// Brings the loopback device of the calling thread's network namespace up.
    ///
    /// The kernel then gives it 127.0.0.1 and ::1 by itself.
    ///
    /// - Throws: `KernelError`; needs CAP_NET_ADMIN over the namespace.
    public static func bringLoopbackUp() throws(KernelError) {
        let socket = try NetlinkSocket()
        // Loopback is the first device of every namespace, so its index is 1.
        try socket.request(.setLinkFlags(index: 1, flags: 1, mask: 1), operation: "bring up", object: "lo")
    }
}
