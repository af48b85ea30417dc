internal import Kernel

/// The namespaces that are no container's: the caller's own.
enum HostNamespaces {
    /// Whether an open namespace, of which the status is given, is the caller's.
    static func contain(_ namespace: FileStatus, _ kind: Namespace.Kinds) throws(KernelError) -> Bool {
        let own = try Namespace.open(kind).status()
        return own.device == namespace.device && own.inode == namespace.inode
    }
}
