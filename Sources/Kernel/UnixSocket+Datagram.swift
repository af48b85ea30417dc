internal import CKernel
internal import Glibc

extension UnixSocket {
    /// Sends one datagram to a socket with a pathname (`sd_notify(3)` is this).
    ///
    /// - Parameters:
    ///   - bytes: the datagram, not empty.
    ///   - descriptors: what travels with it, at most `maximumPassedDescriptors`; the caller keeps them.
    ///   - path: where the receiver is bound; a name that starts with `@` is abstract and refused.
    ///   - patience: how long to wait for a receiver whose queue is full.
    /// - Throws: `KernelError`; `.wouldBlock` when the receiver's queue stays full.
    public static func send(
        datagram bytes: [UInt8],
        descriptors: [RawDescriptor] = [],
        to path: String,
        patience: Duration = .zero
    ) throws(KernelError) {
        let (parent, name) = File.split(path)
        guard path.hasPrefix("/") else { throw .failed("send datagram to", path, .invalid) }
        let directory = try File.open(parent, [.path, .directory])
        let flags = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let sender = Descriptor(adopting: try system("make socket") { socket(AF_UNIX, flags, 0) })
        try system("connect to", path) { unsafe ck_unix_connect(sender.raw, "\(directory.procPath)/\(name)") }
        do throws(KernelError) {
            try sendDescriptors(descriptors, with: bytes, to: sender.raw)
        } catch {
            guard error.errno == .wouldBlock, patience > .zero else { throw error.about(path) }
            _ = try sender.poll(for: .writable, timeout: patience)
            do throws(KernelError) {
                try sendDescriptors(descriptors, with: bytes, to: sender.raw)
            } catch {
                throw error.about(path)
            }
        }
    }
}
