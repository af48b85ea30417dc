package import EngineModel
import FoundationEssentials
import Kernel
package import ShimProtocol
import SwiftProtobuf

/// Hands a client's connection to a shim over its descriptor socket.
///
/// Blocks up to `deadline`.
package enum DescriptorPassing {
    package static func handOver(
        _ connection: ClientConnection,
        to path: String,
        token: String,
        request: ShimAttachRequest,
        deadline: Duration
    ) throws {
        let socket = try UnixSocket.connect(path)
        var message = request
        message.leftover = .init(connection.leftover)
        message.inputClosed = connection.inputClosed
        let body = ShimDescriptorRequest.with { ($0.token, $0.attach) = (token, message) }.bytes
        var bytes = length(body.count) + body
        let sent = try UnixSocket.sendDescriptors([connection.descriptor.raw], with: bytes, to: socket.raw)
        bytes.removeFirst(sent)
        if !bytes.isEmpty { try socket.writeAll(bytes) }
        let answer = try read(socket, deadline: deadline)
        guard answer.code == 0 else {
            throw EngineError(.failedPrecondition, "attach: \(answer.message)", reason: .conflict)
        }
    }

    private static func length(_ count: Int) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) }
    }

    private static func read(_ socket: borrowing Descriptor, deadline: Duration) throws -> ShimDescriptorResponse {
        let start = Clock.monotonic.now
        var bytes: [UInt8] = []
        var wanted = 4
        while bytes.count < wanted {
            let left = deadline - (Clock.monotonic.now - start)
            guard left > .zero, try !socket.poll(for: .readable, timeout: left).isEmpty else {
                throw EngineError(.timedOut, "attach: the shim does not answer")
            }
            let more = try socket.read(upTo: wanted - bytes.count)
            guard !more.isEmpty else { throw EngineError(.unavailable, "attach: the shim closed the connection") }
            bytes += more
            if wanted == 4, bytes.count == 4 {
                wanted = 4 + bytes.reduce(0) { $0 << 8 | Int($1) }
                guard wanted <= 65536 else {
                    throw EngineError.internalFailure("attach: the shim's answer is too long")
                }
            }
        }
        return try ShimDescriptorResponse(serializedBytes: Array(bytes[4...]))
    }
}
