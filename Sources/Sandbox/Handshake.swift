internal import Kernel

/// One message of the conversation between parent and child; each is one packet of a socket pair.
enum HandshakeMessage: Equatable {
    /// Child: the container is created. May carry the terminal's other end.
    case ready
    /// Child: namespaces exist, hooks of the runtime may run now.
    case namespacesReady
    /// Parent: go on.
    case proceed
    /// A process of the child's: it loads its filter now, whose listener the parent takes over. Carries a pidfd of it
    /// and the memory in which it will tell the listener's number.
    case filterNext
    /// Guide: the process whose descriptor comes along is made; its number as the parent sees it.
    case cloned(Int32)
    /// Child: a step failed; it exits.
    case failed(SandboxError)
    /// Parent: it will not stay; the word to start comes over the listener.
    case leave
    /// Somebody who comes to the listener: go on; the token shows that he may say so.
    case start([UInt8])

    var bytes: [UInt8] {
        switch self {
        case .ready: return [1]
        case .namespacesReady: return [2]
        case .proceed: return [3]
        case .leave: return [5]
        case .start(let token): return [6] + token
        case .filterNext: return [7]
        case .failed(let error):
            let texts = [error.stage.rawValue, error.operation, error.object, error.detail, error.code.description]
            return Self.failure(texts, errno: error.errno?.rawValue ?? 0)
        case .cloned(let pid): return [8] + Self.encode(pid)
        }
    }

    /// A failure whose errno, which decides its code, is still to be filled in: the last four bytes.
    static func failure(_ stage: SandboxStage, _ operation: String, _ object: String = "") -> [UInt8] {
        failure([stage.rawValue, operation, object, "", ""], errno: 0)
    }

    private static func failure(_ texts: [String], errno: Int32) -> [UInt8] {
        var bytes: [UInt8] = [4]
        for text in texts {
            let part = Array(text.utf8.prefix(8192))
            bytes += [UInt8(part.count >> 8), UInt8(part.count & 0xff)] + part
        }
        return bytes + encode(errno)
    }

    init?(_ bytes: [UInt8]) {
        switch (bytes.first, bytes.count) {
        case (1, 1): self = .ready
        case (2, 1): self = .namespacesReady
        case (3, 1): self = .proceed
        case (7, 1): self = .filterNext
        case (8, 5): self = .cloned(Self.number(bytes[1...]))
        case (4, _):
            guard let error = Self.decode(bytes[1...]) else { return nil }
            self = .failed(error)
        case (5, 1): self = .leave
        case (6, 1 + SandboxStartListener.tokenSize): self = .start(Array(bytes[1...]))
        default: return nil
        }
    }

    private static func decode(_ bytes: ArraySlice<UInt8>) -> SandboxError? {
        var rest = bytes
        var texts: [String] = []
        for _ in 0..<5 {
            guard rest.count >= 2 else { return nil }
            let length = Int(rest.removeFirst()) << 8 | Int(rest.removeFirst())
            guard rest.count >= length else { return nil }
            texts.append(String(decoding: rest.prefix(length), as: UTF8.self))
            rest = rest.dropFirst(length)
        }
        guard rest.count == 4, let stage = SandboxStage(rawValue: texts[0]) else { return nil }
        let number = Self.number(rest)
        let errno = number == 0 ? nil : Errno(rawValue: number)
        return SandboxError(
            stage: stage,
            operation: texts[1],
            object: texts[2],
            errno: errno,
            detail: texts[3],
            code: codes.first { $0.description == texts[4] } ?? errno?.code ?? .internal
        )
    }

    private static func encode(_ number: Int32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int32 {
        Int32(bitPattern: bytes.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
    }

    private static var codes: [ErrorCode] {
        [
            .notFound, .alreadyExists, .invalidArgument, .failedPrecondition, .permissionDenied, .resourceExhausted,
            .unavailable, .timedOut, .cancelled, .unsupported, .internal,
        ]
    }
}

/// What the other end has said.
struct HandshakeAnswer {
    var message: HandshakeMessage
    var descriptors: [SharedDescriptor]
    /// Number of the process that said it, where the end asks for that.
    var sender: Int32?
}

/// One end of the conversation.
struct HandshakeEnd: Sendable {
    let socket: RawDescriptor

    static let packetLimit = 1 << 16

    func send(_ message: HandshakeMessage, passing descriptors: [RawDescriptor] = []) throws(KernelError) {
        try UnixSocket.sendDescriptors(descriptors, with: message.bytes, to: socket)
    }

    /// Waits for the next message.
    ///
    /// - Parameter deadline: Longest time to wait; nil waits for ever, which only the child does, for its parent.
    /// - Returns: The message, or nil when the other end is closed.
    /// - Throws: `timedOut`, or what reading the socket gives.
    func receive(
        within deadline: Duration?
    ) throws(SandboxError) -> HandshakeAnswer? {
        let packet = try step(.handshake) { () throws(KernelError) -> UnixSocket.Message? in
            if let deadline {
                let events = try BorrowedDescriptor(socket).poll(for: .readable, timeout: deadline)
                if events.isEmpty { return nil }
            }
            return try UnixSocket.receiveDescriptors(
                from: socket,
                byteLimit: Self.packetLimit,
                descriptorLimit: 2
            )
        }
        guard let packet else {
            throw .refused(.handshake, "wait for the process", "", "no answer in time", code: .timedOut)
        }
        if packet.bytes.isEmpty { return nil }
        guard let message = HandshakeMessage(packet.bytes) else {
            throw .refused(.handshake, "read message", "", "malformed message", code: .internal)
        }
        return HandshakeAnswer(message: message, descriptors: packet.descriptors, sender: packet.sender)
    }
}
