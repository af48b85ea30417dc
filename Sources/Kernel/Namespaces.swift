internal import CKernel
internal import Glibc

/// The namespaces of Linux.
public enum Namespace {
    /// A set of kinds; the bits of clone(2).
    public struct Kinds: OptionSet, Hashable, Sendable {
        /// The kernel's bits.
        public let rawValue: UInt32

        /// Wraps the kernel's bits.
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// Mounts.
        public static let mount = Kinds(rawValue: 0x0002_0000)
        /// Control groups.
        public static let cgroup = Kinds(rawValue: 0x0200_0000)
        /// Host name.
        public static let uts = Kinds(rawValue: 0x0400_0000)
        /// System V and POSIX message objects.
        public static let ipc = Kinds(rawValue: 0x0800_0000)
        /// User and group ids, capabilities.
        public static let user = Kinds(rawValue: 0x1000_0000)
        /// Process ids.
        public static let pid = Kinds(rawValue: 0x2000_0000)
        /// Network devices, addresses, sockets.
        public static let network = Kinds(rawValue: 0x4000_0000)
        /// Monotonic and boot clock (not for `Clone`: its bit means something else there).
        public static let time = Kinds(rawValue: 0x80)

        /// The name in `/proc/<pid>/ns` of a single kind; nil for several.
        public var fileName: String? {
            switch self {
            case .mount: "mnt"
            case .cgroup: "cgroup"
            case .uts: "uts"
            case .ipc: "ipc"
            case .user: "user"
            case .pid: "pid"
            case .network: "net"
            case .time: "time"
            default: nil
            }
        }
    }

    /// Opens a namespace by path, which must be Berth's own or the administrator's.
    ///
    /// - Parameter path: for example `/proc/1/ns/net` or a file that a namespace is mounted on.
    /// - Returns: the namespace.
    /// - Throws: `KernelError`; errno is `.invalid` when the file is no namespace.
    public static func open(_ path: String) throws(KernelError) -> Descriptor {
        let file = try File.open(path, .read)
        guard try file.fileSystemType() == 0x6e73_6673 else {
            throw .failed("open namespace", path, .invalid, detail: "not a namespace")
        }
        return file
    }

    /// What an open namespace is (`NS_GET_NSTYPE`).
    ///
    /// - Parameter namespace: from `open`.
    /// - Returns: a single kind.
    /// - Throws: `KernelError`; errno is `.notTerminal` for something else.
    public static func kind(of namespace: RawDescriptor) throws(KernelError) -> Kinds {
        Kinds(
            rawValue: UInt32(bitPattern: try system("read kind of namespace") { ck_ioctl_value(namespace, 0xb703, 0) })
        )
    }

    /// Opens a namespace of a process.
    ///
    /// - Parameters:
    ///   - kind: a single kind.
    ///   - pid: the process; nil for the calling thread.
    /// - Returns: the namespace.
    /// - Throws: `KernelError`.
    public static func open(_ kind: Kinds, of pid: Int32? = nil) throws(KernelError) -> Descriptor {
        guard let name = kind.fileName else { throw .failed("open namespace", .invalid, detail: "not a single kind") }
        return try File.open("/proc/\(pid.map(String.init) ?? "thread-self")/ns/\(name)", .read)
    }

    /// Opens the PID namespace that children of this process are born in.
    ///
    /// - Returns: the namespace.
    /// - Throws: `KernelError`.
    public static func openForChildren() throws(KernelError) -> Descriptor {
        try File.open("/proc/thread-self/ns/pid_for_children", .read)
    }

    /// Enters namespaces (`setns(2)`); a PID namespace only counts for later children.
    ///
    /// - Parameters:
    ///   - descriptor: a namespace, or a pidfd to enter several of its process's at once.
    ///   - kinds: what to enter; for a namespace descriptor what it must be (empty: whatever it is).
    /// - Throws: `KernelError`; with a pidfd all are entered or none.
    public static func enter(_ descriptor: RawDescriptor, _ kinds: Kinds) throws(KernelError) {
        try system("enter namespace") { ck_setns(descriptor, Int32(bitPattern: kinds.rawValue)) }
    }

    /// Moves the calling thread to new namespaces (`unshare(2)`).
    ///
    /// - Parameter kinds: which.
    /// - Throws: `KernelError`, `resourceExhausted` when the limit of namespaces is reached.
    public static func unshare(_ kinds: Kinds) throws(KernelError) {
        try system("unshare namespaces") { ck_unshare(Int32(bitPattern: kinds.rawValue)) }
    }

    /// Sets the host name of the UTS namespace.
    ///
    /// - Parameter name: at most 64 bytes.
    /// - Throws: `KernelError`; errno is `.invalid` when it is longer.
    public static func setHostName(_ name: String) throws(KernelError) {
        try system("set host name", name) { unsafe ck_sethostname(name, name.utf8.count) }
    }

    /// Sets the NIS domain name of the UTS namespace.
    ///
    /// - Parameter name: at most 64 bytes.
    /// - Throws: `KernelError`; errno is `.invalid` when it is longer.
    public static func setDomainName(_ name: String) throws(KernelError) {
        try system("set domain name", name) { unsafe ck_setdomainname(name, name.utf8.count) }
    }
}
