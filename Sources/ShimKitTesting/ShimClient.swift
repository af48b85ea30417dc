import FoundationEssentials
public import Kernel
public import ShimProtocol
public import SwiftProtobuf

/// A blocking client of a shim's socket, for tests.
///
/// One thread uses it at a time.
public final class ShimClient {
    private let socket: Descriptor
    private var state = TTRPCClientConnection()
    private var answers: [UInt32: Result<[UInt8], RPCError>] = [:]
    private let metadata: [(key: String, value: String)]
    /// Version of the Task service that `task` calls.
    public var taskService = ServiceName.taskV2

    /// Connects.
    ///
    /// - Parameters:
    ///   - path: The shim's socket.
    ///   - token: What berthd's shims want to see; nil sends none.
    /// - Throws: `KernelError`.
    public init(path: String, token: String?) throws(KernelError) {
        socket = try UnixSocket.connect(path)
        metadata = token.map { [(MetadataKey.token, $0)] } ?? []
    }

    /// Connects to a shim that has printed an address.
    ///
    /// - Throws: `KernelError`.
    public init(_ address: ShimAddress) throws(KernelError) {
        socket = try UnixSocket.connect(toFirstOf: address.places)
        metadata = []
        if address.version >= 3 { taskService = ServiceName.taskV3 }
    }

    /// The connection, for callers that wait for it and other things at once.
    public var descriptor: RawDescriptor {
        socket.raw
    }

    /// Takes what has arrived without waiting; answers are kept for `finish`.
    ///
    /// - Returns: False when the shim has closed the connection.
    @discardableResult
    public func receive() throws -> Bool {
        while !(try socket.poll(for: .readable, timeout: .zero)).isEmpty {
            let bytes = try socket.read(upTo: 64 << 10)
            for completion in bytes.isEmpty ? state.close() : state.receive(bytes) {
                answers[completion.streamID] = completion.result
            }
            if bytes.isEmpty { return false }
        }
        return true
    }

    /// Whether the answer to a call has arrived.
    public func hasAnswer(_ stream: UInt32) -> Bool {
        answers[stream] != nil
    }

    /// Starts a call without waiting.
    ///
    /// - Returns: What `finish` wants.
    public func begin(
        _ service: String,
        _ method: String,
        _ request: some Message,
        timeout: Duration? = nil
    ) throws -> UInt32 {
        let stream = try state.call(
            service: service,
            method: method,
            payload: request.bytes,
            timeout: timeout,
            metadata: metadata
        )
        try socket.writeAll(state.takeOutput())
        return stream
    }

    /// Waits for the answer to a call.
    public func finish<R: Message>(_ stream: UInt32, _ type: R.Type, timeout: Duration = .seconds(20)) throws -> R {
        let deadline = Clock.monotonic.now + timeout
        while answers[stream] == nil {
            let left = deadline - Clock.monotonic.now
            guard left > .zero, !(try socket.poll(for: .readable, timeout: left)).isEmpty else {
                throw RPCError.timedOut("no answer within \(timeout)")
            }
            let bytes = try socket.read(upTo: 64 << 10)
            let completions = bytes.isEmpty ? state.close() : state.receive(bytes)
            for completion in completions {
                answers[completion.streamID] = completion.result
            }
            if bytes.isEmpty, answers[stream] == nil {
                throw RPCError.connectionClosed
            }
        }
        return try R(serializedBytes: answers.removeValue(forKey: stream)?.get() ?? [])
    }

    /// True when no answer to the call has come within a short time.
    public func isPending(_ stream: UInt32, for time: Duration = .milliseconds(50)) throws -> Bool {
        if answers[stream] == nil, !(try socket.poll(for: .readable, timeout: time)).isEmpty {
            for completion in state.receive(try socket.read(upTo: 64 << 10)) {
                answers[completion.streamID] = completion.result
            }
        }
        return answers[stream] == nil
    }

    /// Calls a method of the Task service and waits.
    public func task<R: Message>(_ method: TaskMethod, _ request: some Message, _ type: R.Type) throws -> R {
        try finish(begin(taskService, method.rawValue, request), type)
    }

    /// Calls a method of the Task service that answers nothing.
    public func task(_ method: TaskMethod, _ request: some Message) throws {
        _ = try task(method, request, Google_Protobuf_Empty.self)
    }

    /// Calls a method of the Supervisor service and waits.
    public func supervisor<R: Message>(_ method: SupervisorMethod, _ request: some Message, _ type: R.Type) throws -> R
    {
        try finish(begin(ServiceName.supervisor, method.rawValue, request), type)
    }
}
