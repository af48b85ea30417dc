package import EngineModel
import FoundationEssentials
package import Kernel
package import ShimProtocol
import SwiftProtobuf

/// The requests of a shim's descriptor socket.
///
/// Each waits up to its deadline without a thread: any number of shims may be silent at once.
package enum DescriptorPassing {
    /// Hands a client's connection to the shim.
    package static func handOver(
        _ connection: ClientConnection,
        to path: String,
        token: String,
        request: ShimAttachRequest,
        deadline: Duration,
        _ waiter: DescriptorWaiter
    ) async throws {
        var message = request
        message.leftover = .init(connection.leftover)
        message.inputClosed = connection.inputClosed
        let body = ShimDescriptorRequest.with { ($0.token, $0.attach) = (token, message) }
        let exchange = try Exchange("attach", path, deadline, waiter)
        try await exchange.send(body, [connection.descriptor.raw])
        let answer = try await exchange.answer()
        guard answer.code == 0 else {
            throw EngineError(.failedPrecondition, "attach: \(answer.message)", reason: .conflict)
        }
    }

    /// Asks for duplicates of what a new shim would need to take over; only of those that `held`, an earlier answer, has not got.
    package static func hold(
        from path: String,
        token: String,
        held: Hold = Hold(),
        deadline: Duration,
        _ waiter: DescriptorWaiter
    ) async throws -> Hold {
        let exchange = try Exchange("hold", path, deadline, waiter)
        let request = ShimHoldRequest.with { $0.after = held.generation }
        try await exchange.send(ShimDescriptorRequest.with { ($0.token, $0.hold) = (token, request) }, [])
        let answer = try await exchange.answer()
        guard answer.code == 0 else { throw EngineError(.failedPrecondition, "hold: \(answer.message)") }
        let (names, kept) = (answer.hold.names, Int(answer.hold.kept))
        guard kept <= names.count, names[..<kept].allSatisfy({ held.descriptors[$0] != nil }) else {
            throw EngineError.internalFailure("hold: the shim counts on descriptors that nobody has")
        }
        let sent = try await exchange.descriptors(names.count - kept)
        var result = Hold(generation: answer.hold.generation)
        for name in names[..<kept] { result.descriptors[name] = held.descriptors[name] }
        for (name, descriptor) in zip(names[kept...], sent) { result.descriptors[name] = descriptor }
        return result
    }

    /// Has the shim run another program in its place.
    ///
    /// Returns when the new program has shown that it reads the shim's state; the shim's connections end then.
    /// - Throws: `.failedPrecondition` with the shim's reason; it goes on as it is.
    package static func upgrade(
        _ path: String,
        to program: SharedDescriptor,
        token: String,
        deadline: Duration,
        _ waiter: DescriptorWaiter
    ) async throws {
        let exchange = try Exchange("upgrade", path, deadline, waiter)
        let request = ShimDescriptorRequest.with { ($0.token, $0.upgrade) = (token, ShimUpgradeRequest()) }
        try await exchange.send(request, [program.raw])
        let answer = try await exchange.answer()
        guard answer.code == 0 else { throw EngineError(.failedPrecondition, "upgrade: \(answer.message)") }
    }

    /// What was held at one time of one shim.
    package struct Hold: Sendable {
        /// Descriptors by their names in the contract.
        package var descriptors: [String: SharedDescriptor]
        /// Number of this state of the list; 0 for nothing.
        package var generation: UInt64

        package init(descriptors: [String: SharedDescriptor] = [:], generation: UInt64 = 0) {
            (self.descriptors, self.generation) = (descriptors, generation)
        }
    }
}

/// One request and its answer; each part waits for what is left of one deadline.
private final class Exchange {
    private let socket: SharedDescriptor
    private let what: String
    private let end: Timestamp
    private let waiter: DescriptorWaiter

    init(_ what: String, _ path: String, _ deadline: Duration, _ waiter: DescriptorWaiter) throws {
        self.what = what
        self.waiter = waiter
        end = Clock.monotonic.now + deadline
        do throws(KernelError) {
            socket = SharedDescriptor(try UnixSocket.connect(path, nonBlocking: true))
        } catch  where error.errno == .wouldBlock {
            // It does not accept, and its backlog is full.
            throw Self.silent(what)
        }
    }

    func send(_ request: ShimDescriptorRequest, _ descriptors: [RawDescriptor]) async throws {
        let body = request.bytes
        var bytes = (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) } + body
        let sent = try UnixSocket.sendDescriptors(descriptors, with: bytes, to: socket.raw)
        bytes.removeFirst(sent)
        while !bytes.isEmpty {
            try await wait(for: .writable)
            let count = try bytes.withUnsafeBytes { try socket.write($0) }
            bytes.removeFirst(count)
        }
    }

    func answer() async throws -> ShimDescriptorResponse {
        var bytes: [UInt8] = []
        var wanted = 4
        while bytes.count < wanted {
            try await wait(for: .readable)
            let more = try socket.read(upTo: wanted - bytes.count)
            guard !more.isEmpty else { throw closed }
            bytes += more
            if wanted == 4, bytes.count == 4 {
                wanted = 4 + bytes.reduce(0) { $0 << 8 | Int($1) }
                guard wanted <= 65536 else {
                    throw EngineError.internalFailure("\(what): the shim's answer is too long")
                }
            }
        }
        return try ShimDescriptorResponse(serializedBytes: Array(bytes[4...]))
    }

    /// The descriptors that follow an answer: one byte for each message of at most as many as one can carry.
    func descriptors(_ count: Int) async throws -> [SharedDescriptor] {
        var found: [SharedDescriptor] = []
        while found.count < count {
            try await wait(for: .readable)
            let limit = UnixSocket.maximumPassedDescriptors
            let message = try UnixSocket.receiveDescriptors(from: socket.raw, byteLimit: 1, descriptorLimit: limit)
            guard !message.bytes.isEmpty else { throw closed }
            guard !message.truncated, !message.descriptors.isEmpty else {
                throw EngineError(.resourceExhausted, "\(what): descriptors were lost")
            }
            found += message.descriptors
        }
        return found
    }

    private func wait(for readiness: Readiness) async throws {
        let left = end - Clock.monotonic.now
        guard left > .zero, let isReady = await waiter.ready(socket.raw, for: readiness, within: left) else {
            throw Self.silent(what)
        }
        guard isReady else { throw EngineError(.cancelled, "\(what): nobody waits for the shim's answer any more") }
    }

    private static func silent(_ what: String) -> EngineError {
        EngineError(.timedOut, "\(what): the shim does not answer")
    }

    private var closed: EngineError { EngineError(.unavailable, "\(what): the shim closed the connection") }
}
