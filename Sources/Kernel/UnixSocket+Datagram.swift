internal import CKernel
internal import Glibc

extension UnixSocket {
    /// Sends one datagram to a socket with a pathname, without waiting (`sd_notify(3)` is this).
    ///
    /// - Parameters:
    ///   - bytes: the datagram.
    ///   - path: where the receiver is bound; a name that starts with `@` is abstract and refused.
    /// - Throws: `KernelError`; `.wouldBlock` when the receiver's queue is full.
    public static func send(datagram bytes: [UInt8], to path: String) throws(KernelError) {
        let (parent, name) = File.split(path)
        guard path.hasPrefix("/") else { throw .failed("send datagram to", path, .invalid) }
        let directory = try File.open(parent, [.path, .directory])
        let flags = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let sender = Descriptor(adopting: try system("make socket") { socket(AF_UNIX, flags, 0) })
        try system("connect to", path) { unsafe ck_unix_connect(sender.raw, "\(directory.procPath)/\(name)") }
        try system("send datagram to", path) {
            unsafe Glibc.send(sender.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }
    }
}
