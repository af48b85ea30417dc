internal import CKernel
internal import Glibc

/// Local sockets with pathnames, peer credentials and descriptor passing.
///
/// Paths may be longer than `sockaddr_un` allows: bind and connect go through `/proc/self/fd/<directory>/<name>`.
public enum UnixSocket {
    /// How messages are kept.
    public enum Kind: Sendable {
        /// A byte stream.
        case stream
        /// Connected, message boundaries kept.
        case sequentialPackets

        var type: Int32 { self == .stream ? 1 : 5 }
    }

    /// Who is at the other end.
    public struct Peer: Hashable, Sendable {
        /// The process that connected (or listened), in this process's PID namespace; 0 from another one.
        public let pid: Int32
        /// Its effective user.
        public let uid: UInt32
        /// Its effective group.
        public let gid: UInt32
    }

    /// Binds and listens; a left-over socket of the same name is replaced.
    ///
    /// - Parameters:
    ///   - path: where the socket shall be; its directory must exist.
    ///   - kind: how messages are kept.
    ///   - mode: permissions of the socket file.
    ///   - backlog: how many connections may wait.
    ///   - nonBlocking: whether accepting fails rather than waits.
    /// - Returns: the listening socket, close-on-exec.
    /// - Throws: `KernelError`.
    public static func listen(
        _ path: String,
        kind: Kind = .stream,
        mode: UInt32 = 0o600,
        backlog: Int32 = 128,
        nonBlocking: Bool = true
    ) throws(KernelError) -> Descriptor {
        let socket = try make(kind, nonBlocking: nonBlocking)
        let (parent, name) = File.split(path)
        try refuseNUL(name, "listen on")
        let directory = try File.open(parent, [.path, .directory])
        // A private name first: the socket appears under its real name with its final mode, and replaces an old one.
        let temporary = ".\(Random.hex(4)).sock"
        let place = "\(directory.procPath)/\(temporary)"
        try system("bind", path) { unsafe ck_unix_bind(socket.raw, place) }
        do throws(KernelError) {
            try system("change mode of", path) { unsafe chmod(place, mode) }
            try system("listen on", path) { Glibc.listen(socket.raw, backlog) }
            try system("rename to", path) { unsafe renameat(directory.raw, temporary, directory.raw, name) }
        } catch {
            // The first error is what matters.
            _ = unsafe unlinkat(directory.raw, temporary, 0)
            throw error
        }
        return socket
    }

    /// Connects.
    ///
    /// - Parameters:
    ///   - path: where the socket is.
    ///   - kind: how messages are kept.
    ///   - nonBlocking: whether calls fail rather than wait; the connect too, where the backlog is full.
    ///   - patience: the longest that this call, and each later one that sends, may wait; nil waits for ever.
    /// - Returns: the connected socket, close-on-exec.
    /// - Throws: `KernelError`; `.connectionRefused` when nobody listens, `.wouldBlock` when the backlog is full, now or
    ///   until the patience has ended.
    public static func connect(
        _ path: String,
        kind: Kind = .stream,
        nonBlocking: Bool = false,
        patience: Duration? = nil
    ) throws(KernelError) -> Descriptor {
        let socket = try make(kind, nonBlocking: nonBlocking)
        let (parent, name) = File.split(path)
        try refuseNUL(name, "connect to")
        let directory = try File.open(parent, [.path, .directory])
        if let patience {
            let seconds = Int64(max(patience.components.seconds, 1))
            try system("limit waiting of", path) { ck_limit_sending(socket.raw, seconds) }
        }
        try system("connect to", path) { unsafe ck_unix_connect(socket.raw, "\(directory.procPath)/\(name)") }
        return socket
    }

    /// Where a socket of somebody else's is.
    public enum Place: Hashable, Sendable {
        /// A path.
        case path(String)
        /// A name that is in no directory, without the NUL byte before it.
        case abstract([UInt8])
    }

    /// Connects to the first of some places at which somebody listens.
    ///
    /// - Parameters:
    ///   - places: where the socket may be, at least one.
    ///   - nonBlocking: as in the other `connect`.
    /// - Returns: the connected socket, close-on-exec.
    /// - Throws: `KernelError` of the first place.
    public static func connect(toFirstOf places: [Place], nonBlocking: Bool = false) throws(KernelError) -> Descriptor {
        var first: KernelError?
        for place in places {
            do throws(KernelError) {
                switch place {
                case .path(let path): return try connect(path, nonBlocking: nonBlocking)
                case .abstract(let name): return try connect(abstract: name, nonBlocking: nonBlocking)
                }
            } catch { first = first ?? error }
        }
        throw first ?? .failed("connect to", "nowhere", .invalid)
    }

    private static func connect(abstract name: [UInt8], nonBlocking: Bool) throws(KernelError) -> Descriptor {
        let socket = try make(.stream, nonBlocking: nonBlocking)
        let text = "@" + String(decoding: name, as: UTF8.self)
        // The kernel has copied the bytes when it returns.
        try system("connect to", text) { unsafe ck_unix_connect_abstract(socket.raw, name, name.count) }
        return socket
    }

    /// A connected pair without a name.
    ///
    /// - Parameters:
    ///   - kind: how messages are kept.
    ///   - nonBlocking: whether calls fail rather than wait.
    /// - Returns: both ends, close-on-exec.
    /// - Throws: `KernelError`.
    public static func pair(
        kind: Kind = .stream,
        nonBlocking: Bool = false
    ) throws(KernelError) -> (SharedDescriptor, SharedDescriptor) {
        var ends: [Int32] = [-1, -1]
        try system("make socket pair") { unsafe socketpair(1, kind.type | typeFlags(nonBlocking), 0, &ends) }
        return (SharedDescriptor(Descriptor(adopting: ends[0])), SharedDescriptor(Descriptor(adopting: ends[1])))
    }

    /// Takes one waiting connection.
    ///
    /// - Parameters:
    ///   - listener: a listening socket.
    ///   - nonBlocking: whether calls on the connection fail rather than wait.
    /// - Returns: the connection; nil when none waits on a non-blocking listener or it was withdrawn.
    /// - Throws: `KernelError`, `resourceExhausted` when descriptors ran out.
    public static func accept(_ listener: RawDescriptor, nonBlocking: Bool = true) throws(KernelError) -> Descriptor? {
        do throws(KernelError) {
            return Descriptor(adopting: try system("accept") { ck_accept4(listener, typeFlags(nonBlocking)) })
        } catch  where error.errno == .wouldBlock || error.errno == Errno(ECONNABORTED) {
            return nil
        }
    }

    /// Who is at the other end (`SO_PEERCRED`).
    ///
    /// - Parameter socket: a connection.
    /// - Returns: the peer as it was when it connected.
    /// - Throws: `KernelError`.
    public static func peer(of socket: RawDescriptor) throws(KernelError) -> Peer {
        var (pid, uid, gid): (Int32, UInt32, UInt32) = (0, 0, 0)
        try system("read peer credentials") { unsafe ck_peer_credentials(socket, &pid, &uid, &gid) }
        return Peer(pid: pid, uid: uid, gid: gid)
    }

    /// Makes room for bytes that the peer has not read, beyond the limit of the system where the caller may pass it.
    ///
    /// - Parameters:
    ///   - socket: a connection.
    ///   - byteCount: what is to fit in all; the kernel counts its own overhead apart.
    /// - Throws: `KernelError`.
    public static func makeRoom(_ socket: RawDescriptor, byteCount: Int32) throws(KernelError) {
        try system("make room in socket") { ck_make_room(socket, byteCount) }
    }

    /// Ends writing: the peer reads an end of file.
    ///
    /// - Parameter socket: a connection.
    /// - Throws: `KernelError`; errno is `.notConnected` when the peer has gone.
    public static func shutdownWriting(_ socket: RawDescriptor) throws(KernelError) {
        try system("shut down socket") { Glibc.shutdown(socket, 1) }
    }

    /// Ends both directions for every holder of the connection: the peer reads an end of file.
    ///
    /// - Parameter socket: a connection.
    /// - Throws: `KernelError`; errno is `.notConnected` when the peer has gone.
    public static func shutdown(_ socket: RawDescriptor) throws(KernelError) {
        try system("shut down socket") { Glibc.shutdown(socket, 2) }
    }

    private static func make(_ kind: Kind, nonBlocking: Bool) throws(KernelError) -> Descriptor {
        Descriptor(adopting: try system("make socket") { socket(1, kind.type | typeFlags(nonBlocking), 0) })
    }

    // SOCK_CLOEXEC and SOCK_NONBLOCK have the values of the open flags.
    private static func typeFlags(_ nonBlocking: Bool) -> Int32 { O_CLOEXEC | (nonBlocking ? O_NONBLOCK : 0) }
}
