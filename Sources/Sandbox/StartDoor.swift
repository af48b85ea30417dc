public import Kernel
public import OCISpec

/// Where a created process waits for the word to start when its maker does not stay.
public struct SandboxStartListener: Sendable {
    /// A blocking listening socket of sequential packets, bound where only root comes; the caller may close it after the creation.
    public var socket: RawDescriptor
    /// What the start must show: `SandboxStartListener.tokenSize` random bytes that only root can read.
    public var token: [UInt8]

    /// Number of bytes of a token.
    public static let tokenSize = 32

    /// Makes a value from its parts.
    public init(socket: RawDescriptor, token: [UInt8]) {
        self.socket = socket
        self.token = token
    }
}

/// A process that was created, and perhaps started, by another program than the calling one.
public struct SandboxAttachment: Sendable {
    /// Id of the container, for hooks.
    public var id: String
    /// The document that the container was created from.
    public var specification: RuntimeSpec
    /// Absolute path of the bundle.
    public var bundle: String
    /// Process id as the caller sees it.
    public var pid: Int32
    /// When the process started (`ProcessFacts.startTime`): another process with the same number has another.
    public var startTime: UInt64
    /// Path of the socket that `SandboxStartListener` was bound to.
    public var startSocket: String
    /// The token that was given with it.
    public var token: [UInt8]

    /// Makes a value from its parts.
    public init(
        id: String,
        specification: RuntimeSpec,
        bundle: String,
        pid: Int32,
        startTime: UInt64,
        startSocket: String,
        token: [UInt8]
    ) {
        self.id = id
        self.specification = specification
        self.bundle = bundle
        self.pid = pid
        self.startTime = startTime
        self.startSocket = startSocket
        self.token = token
    }
}

/// The way to a process that waits for the word to start.
enum StartDoor: Sendable {
    /// The conversation of its creation.
    case channel(SharedDescriptor)
    /// A socket that it listens on.
    case socket(path: String, token: [UInt8])

    /// Gives the word, once.
    ///
    /// - Returns: Where a failure will be reported; it closes when the program runs.
    func open() throws(SandboxError) -> SharedDescriptor {
        switch self {
        case .channel(let channel):
            try Self.send(.proceed, channel)
            return channel
        case .socket(let path, let token):
            let connection = try step(.handshake) { () throws(KernelError) in
                SharedDescriptor(try UnixSocket.connect(path, kind: .sequentialPackets))
            }
            try Self.send(.start(token), connection)
            // Not before the word: if this ended in between, the process would wait where nobody finds it. A socket that stays leads
            // to nobody as soon as the program runs.
            _ = try? File.remove(path)
            return connection
        }
    }

    private static func send(_ message: HandshakeMessage, _ socket: SharedDescriptor) throws(SandboxError) {
        do throws(KernelError) { try HandshakeEnd(socket: socket.raw).send(message) } catch {
            // It ended before: what it had to say, if anything, is still there to read.
            if error.errno != .brokenPipe && error.errno != .connectionReset { throw .failed(.handshake, error) }
        }
    }
}

/// The waiting process's side of the listener.
struct StartGate: Sendable {
    let listener: SandboxStartListener
    /// Whether the process sees users of the host by their own numbers.
    let seesHostUsers: Bool

    /// How long a caller may take to say something, so that one that is silent keeps nobody out.
    private static let patience = Duration.seconds(10)

    /// Waits for a caller who may start the container.
    ///
    /// The socket lies where only root comes. The token keeps out those that came there by another way, and is all that
    /// counts in a user namespace, where root of the host looks like everybody who is not mapped.
    ///
    /// - Returns: The conversation with that caller.
    func wait() throws(SandboxError) -> SharedDescriptor {
        while true {
            let connection = try step(.handshake) { () throws(KernelError) -> SharedDescriptor? in
                guard let accepted = try UnixSocket.accept(listener.socket, nonBlocking: false) else { return nil }
                let connection = SharedDescriptor(accepted)
                let peer = try UnixSocket.peer(of: connection.raw)
                return peer.uid == 0 || !seesHostUsers ? connection : nil
            }
            // Who says nothing, nonsense or the wrong token is let go; another may come.
            guard let connection, let answer = try? HandshakeEnd(socket: connection.raw).receive(within: Self.patience),
                case .start(let token) = answer.message, Self.areEqual(token, listener.token)
            else { continue }
            return connection
        }
    }

    /// Compares in a time that does not depend on where the difference is.
    private static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        a.count == b.count && a.count == SandboxStartListener.tokenSize
            && zip(a, b).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
