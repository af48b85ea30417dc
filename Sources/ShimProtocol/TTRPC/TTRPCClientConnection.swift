import FoundationEssentials
import SwiftProtobuf

/// The calling end of one ttrpc connection, without its I/O.
///
/// The owner starts calls with `call`, writes what `takeOutput` returns, feeds `receive` with what it read and hands each
/// completion to whoever waits for it. Deadlines are the owner's: when one passes it calls `abandon`, and a late answer is
/// dropped. When the connection ends the owner calls `close`, which fails all that is pending; nothing is ever left waiting.
public struct TTRPCClientConnection: Sendable {
    /// The answer to one call.
    public struct Completion: Sendable {
        /// What `call` returned.
        public let streamID: UInt32
        /// The serialized response message, or why there is none.
        public let result: Result<[UInt8], RPCError>
    }

    private var decoder = TTRPCFrameDecoder()
    private var output: [UInt8] = []
    private var nextStreamID: UInt32 = 1
    private var pending: Set<UInt32> = []
    private var isClosed = false
    /// What the server did that no server does; nil while it has not.
    ///
    /// The connection is of no use then.
    public private(set) var violation: RPCError?

    /// The most that an answer may claim to be: beyond a frame's limit it is no answer, but its bytes are waited for and dropped, for a
    /// server of an older ttrpc sends them.
    private static let patience = 4 * TTRPCFrame.maximumDataLength

    /// Makes the calling end of a fresh connection.
    public init() {}

    /// Calls without an answer yet.
    public var pendingCalls: Int {
        pending.count
    }

    /// Whether a frame has begun to come and is not complete.
    ///
    /// It should not stay so: its owner watches the clock.
    public var isMidFrame: Bool {
        !decoder.isBetweenFrames
    }

    /// Starts a call.
    ///
    /// - Parameters:
    ///   - service: Full name of the service.
    ///   - method: Bare name of the method.
    ///   - payload: The serialized request message, at most 4 MiB with its envelope.
    ///   - timeout: What the server is told that the caller waits; the caller still has to watch its own clock.
    ///   - metadata: Keys in lower case.
    /// - Returns: The stream id, which names the call in completions and in `abandon`.
    /// - Throws: `resourceExhausted` for a payload that is too long, `unavailable` after `close` or when all ids are used.
    public mutating func call(
        service: String,
        method: String,
        payload: [UInt8],
        timeout: Duration? = nil,
        metadata: [(key: String, value: String)] = []
    ) throws(RPCError) -> UInt32 {
        guard !isClosed, nextStreamID < UInt32.max - 1 else {
            throw .connectionClosed
        }
        var request = TTRPCRequest()
        request.service = service
        request.method = method
        request.payload = .init(payload)
        request.timeoutNano = timeout.map(\.wholeNanoseconds) ?? 0
        request.metadata = metadata.map { entry in
            var pair = TTRPCKeyValue()
            pair.key = entry.key
            pair.value = entry.value
            return pair
        }
        let streamID = nextStreamID
        try TTRPCFrame(streamID: streamID, kind: .request, data: request.bytes).encode(to: &output)
        nextStreamID += 2
        pending.insert(streamID)
        return streamID
    }

    /// Takes bytes from the server.
    ///
    /// - Returns: The calls that they completed, in order; all that are pending when what came is a ``violation``. Answers to unknown or
    ///   abandoned calls are dropped.
    public mutating func receive(_ bytes: RawSpan) -> [Completion] {
        decoder.append(bytes)
        var completions: [Completion] = []
        while let element = decoder.next() {
            switch element {
            case .frame(let frame) where frame.kind == .response && pending.remove(frame.streamID) != nil:
                completions.append(Completion(streamID: frame.streamID, result: Self.answer(frame.data)))
            case .oversized(let streamID, let kind, let length):
                // Waiting for all of it would be waiting for as long as somebody likes.
                guard kind == .response, length <= Self.patience, pending.remove(streamID) != nil else {
                    return completions + violate(.messageTooLarge(length))
                }
                completions.append(Completion(streamID: streamID, result: .failure(.messageTooLarge(length))))
            default:
                break
            }
        }
        return completions
    }

    /// Takes bytes from the server, as the other `receive`.
    public mutating func receive(_ bytes: [UInt8]) -> [Completion] {
        // UInt8 has no padding that its raw bytes could uncover.
        unsafe receive(bytes.span.bytes)
    }

    /// Forgets a call whose deadline has passed.
    ///
    /// - Returns: False when the call was not pending, so that its answer has been or is being delivered.
    public mutating func abandon(_ streamID: UInt32) -> Bool {
        pending.remove(streamID) != nil
    }

    private mutating func violate(_ error: RPCError) -> [Completion] {
        violation = error
        return close().map { Completion(streamID: $0.streamID, result: .failure(error)) }
    }

    /// Ends the connection: every pending call fails with `unavailable`, and so does every later one.
    public mutating func close() -> [Completion] {
        isClosed = true
        let failed = pending.sorted().map { Completion(streamID: $0, result: .failure(.connectionClosed)) }
        pending = []
        output = []
        return failed
    }

    /// The bytes to write to the server; empty when there are none.
    ///
    /// They are forgotten here.
    public mutating func takeOutput() -> [UInt8] {
        let bytes = output
        output = []
        return bytes
    }

    private static func answer(_ data: [UInt8]) -> Result<[UInt8], RPCError> {
        guard let response = try? TTRPCResponse(serializedBytes: data) else {
            // The caller learns that the answer was no answer; the parser knows no more.
            return .failure(.undecodable("response envelope"))
        }
        if response.hasStatus, response.status.code != 0 {
            return .failure(RPCError(response.status))
        }
        return .success(Array(response.payload))
    }
}

extension Duration {
    /// Whole nanoseconds, limited to what fits.
    fileprivate var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? Int64.max : scaled &+ attoseconds / 1_000_000_000
    }
}
