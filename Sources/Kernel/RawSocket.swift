internal import Glibc

/// Sockets that speak to the kernel itself.
public enum RawSocket {
    /// Opens a NETLINK_ROUTE socket in the calling thread's network namespace, close-on-exec, blocking.
    ///
    /// What is written to it goes to the kernel.
    ///
    /// - Returns: the socket.
    /// - Throws: `KernelError`.
    public static func netlinkRoute() throws(KernelError) -> Descriptor {
        // AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE
        Descriptor(adopting: try system("open netlink socket") { socket(16, 3 | O_CLOEXEC, 0) })
    }
}
