internal import CKernel

extension UnixSocket {
    /// Whether the process at the other end has the same root directory as this one: it is no container's, and not confined
    /// by chroot.
    ///
    /// The root is compared, not the mount namespace: a service manager gives each life of a daemon a new one of these.
    ///
    /// - Parameter socket: a connection.
    /// - Returns: false also when the process has ended or cannot be looked at.
    public static func peerSharesRoot(_ socket: RawDescriptor) -> Bool {
        guard
            let peer = try? peer(of: socket), peer.pid > 0,
            let process = try? peerProcess(socket, peer.pid),
            let own = try? File.status("/", follow: true),
            let root = try? File.status("/proc/\(peer.pid)/root", follow: true),
            own.device == root.device, own.inode == root.inode
        else { return false }
        // Alive after the look, so the number that was looked at was still this process's.
        return (try? process.send(nil)) == true
    }

    private static func peerProcess(_ socket: RawDescriptor, _ pid: Int32) throws(KernelError) -> Pidfd {
        let number = ck_peer_pidfd(socket)
        if number >= 0 { return Pidfd(Descriptor(adopting: number)) }
        // Before Linux 6.5 (retired with Debian 12's kernel): by its number, which a dead peer's successor could have.
        return try Pidfd(pid: pid)
    }
}
