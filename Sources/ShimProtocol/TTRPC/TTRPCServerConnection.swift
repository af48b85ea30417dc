import FoundationEssentials
public import SwiftProtobuf

/// The serving end of one ttrpc connection, without its I/O.
///
/// The owner feeds `receive` with what it read, answers each call that comes out of it with `respond`, in any order and at
/// any time, and writes what `takeOutput` returns. Violations of the protocol are answered here and never surface. When the
/// peer closes, the owner drops the value; answers to calls that are then still open have nowhere to go.
public struct TTRPCServerConnection: Sendable {
    /// A call that waits for its answer.
    public struct Call: Sendable {
        /// Names the call in `respond`.
        public let streamID: UInt32
        /// Full name of the service.
        public let service: String
        /// Bare name of the method.
        public let method: String
        /// The serialized request message.
        public let payload: [UInt8]
        /// What the caller is ready to wait; nil for ever.
        public let timeout: Duration?
        /// Keys are lower case; the last value of a key counts.
        public let metadata: [String: String]

        /// Decodes the request message.
        ///
        /// - Throws: `invalidArgument` when the payload is no such message.
        public func decode<M: Message>(_ type: M.Type) throws(RPCError) -> M {
            do {
                return try M(serializedBytes: payload)
            } catch {
                throw .undecodable("request of \(service)/\(method)")
            }
        }
    }

    /// Calls that one connection may have open at a time; more are answered ResourceExhausted.
    public let maximumOpenCalls: Int

    private var decoder = TTRPCFrameDecoder()
    private var output: [UInt8] = []
    private var lastStreamID: UInt32 = 0
    private var open: Set<UInt32> = []

    /// Makes the serving end of a fresh connection.
    public init(maximumOpenCalls: Int = 256) {
        self.maximumOpenCalls = maximumOpenCalls
    }

    /// Calls that wait for an answer.
    public var openCalls: Int {
        open.count
    }

    /// Bytes that wait in `takeOutput`.
    public var pendingOutput: Int {
        output.count
    }

    /// Takes bytes from the peer.
    ///
    /// - Returns: The calls that they completed, in order.
    public mutating func receive(_ bytes: RawSpan) -> [Call] {
        decoder.append(bytes)
        var calls: [Call] = []
        while let element = decoder.next() {
            switch element {
            case .frame(let frame):
                if let call = accept(frame) {
                    calls.append(call)
                }
            case .oversized(let streamID, let kind, let length):
                reject(streamID, kind, .messageTooLarge(length))
            }
        }
        return calls
    }

    /// Takes bytes from the peer, as the other `receive`.
    public mutating func receive(_ bytes: [UInt8]) -> [Call] {
        // UInt8 has no padding that its raw bytes could uncover.
        unsafe receive(bytes.span.bytes)
    }

    /// Answers a call.
    ///
    /// An answer to a call that is not open is dropped.
    public mutating func respond(to streamID: UInt32, with answer: Result<[UInt8], RPCError>) {
        guard open.remove(streamID) != nil else {
            return
        }
        write(answer, on: streamID)
    }

    /// The bytes to write to the peer; empty when there are none.
    ///
    /// They are forgotten here.
    public mutating func takeOutput() -> [UInt8] {
        let bytes = output
        output = []
        return bytes
    }

    private mutating func accept(_ frame: TTRPCFrame) -> Call? {
        switch frame.kind {
        case .request:
            return accept(request: frame)
        case .data:
            if !open.contains(frame.streamID) {
                write(.failure(.invalidArgument("data for an unknown stream")), on: frame.streamID)
            }
            return nil
        default:
            return nil
        }
    }

    private mutating func accept(request frame: TTRPCFrame) -> Call? {
        guard claim(frame.streamID) else {
            return nil
        }
        guard !frame.flags.contains(.remoteOpen) else {
            write(.failure(.unimplemented("streaming calls")), on: frame.streamID)
            return nil
        }
        guard open.count < maximumOpenCalls else {
            write(.failure(.resourceExhausted("too many open calls on this connection")), on: frame.streamID)
            return nil
        }
        guard let request = try? TTRPCRequest(serializedBytes: frame.data) else {
            // The answer carries all there is to say about bytes that are no request.
            write(.failure(.undecodable("request envelope")), on: frame.streamID)
            return nil
        }
        open.insert(frame.streamID)
        return Call(
            streamID: frame.streamID,
            service: request.service,
            method: request.method,
            payload: Array(request.payload),
            timeout: request.timeoutNano > 0 ? .nanoseconds(request.timeoutNano) : nil,
            metadata: Dictionary(request.metadata.map { ($0.key, $0.value) }) { _, last in last }
        )
    }

    /// Checks the rules of stream ids: odd and growing.
    private mutating func claim(_ streamID: UInt32) -> Bool {
        guard streamID % 2 == 1 else {
            write(.failure(.invalidArgument("stream id must be odd")), on: streamID)
            return false
        }
        guard streamID > lastStreamID else {
            write(.failure(.invalidArgument("stream id must increase")), on: streamID)
            return false
        }
        lastStreamID = streamID
        return true
    }

    private mutating func reject(_ streamID: UInt32, _ kind: TTRPCFrame.Kind, _ error: RPCError) {
        switch kind {
        case .request:
            if claim(streamID) {
                write(.failure(error), on: streamID)
            }
        case .data:
            write(.failure(error), on: streamID)
        default:
            break
        }
    }

    private mutating func write(_ answer: Result<[UInt8], RPCError>, on streamID: UInt32) {
        var response = TTRPCResponse()
        switch answer {
        case .success(let payload): response.payload = .init(payload)
        case .failure(let error): response.status = error.wire
        }
        do {
            try TTRPCFrame(streamID: streamID, kind: .response, data: response.bytes).encode(to: &output)
        } catch {
            // Only an answer's payload can be too long: the error that says so never is.
            write(.failure(error), on: streamID)
        }
    }
}
