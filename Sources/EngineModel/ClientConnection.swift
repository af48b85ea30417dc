public import Kernel

/// A client's connection that is handed to a shim: from then on the shim reads and writes it.
public struct ClientConnection: Sendable {
    /// The socket.
    ///
    /// The engine's reference goes away once the shim has its own.
    public var descriptor: SharedDescriptor
    /// Bytes that the face had already read behind the request: the beginning of stdin.
    public var leftover: [UInt8]
    /// Whether the client has already ended its side.
    public var inputClosed: Bool

    /// A connection with what was already read of it.
    public init(descriptor: SharedDescriptor, leftover: [UInt8] = [], inputClosed: Bool = false) {
        self.descriptor = descriptor
        self.leftover = leftover
        self.inputClosed = inputClosed
    }
}

/// Which streams a client wants.
public struct AttachOptions: Sendable {
    /// Whether the client's bytes go to stdin.
    public var stdin: Bool
    /// Whether the client gets stdout.
    public var stdout: Bool
    /// Whether the client gets stderr.
    public var stderr: Bool
    /// Keys that detach, in Docker's notation; nil takes ctrl-p,ctrl-q.
    public var detachKeys: String?
    /// Whether output comes in frames also where there is a terminal: then the client can be told that it is not whole.
    public var isFramed = false
    /// Whether frames of their own mark the beginning of the output and its end, so that what breaks off is not taken for whole.
    public var marksEnd = false

    /// The streams that are true.
    public init(stdin: Bool, stdout: Bool, stderr: Bool, detachKeys: String? = nil) {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.detachKeys = detachKeys
    }
}

/// What the request that starts an exec session says.
public struct ExecStartOptions: Sendable {
    /// Decides the framing of the output only; nil takes what create said.
    public var terminal: Bool?
    /// The first size of its terminal; nil takes what create said.
    public var consoleSize: TerminalSize?
    /// As in ``AttachOptions/marksEnd``.
    public var marksEnd = false

    /// What create said.
    public init() {}
}
