import Kernel
import ShimProtocol
import SwiftProtobuf
import Testing

@testable import ShimKitTesting

/// The conformance suite's stand-in for containerd, where a slow machine once failed a good shim.
@Suite struct EventSinkTests {
    private func forward(_ sink: EventSink, _ topic: String, answered: Bool) throws {
        let socket = try UnixSocket.connect(sink.path)
        var client = TTRPCClientConnection()
        let request = EventsForwardRequest.with { request in
            request.envelope.topic = topic
            request.envelope.timestamp.nanos = 7
        }
        _ = try client.call(service: ServiceName.events, method: "Forward", payload: request.serializedBytes())
        try socket.writeAll(client.takeOutput())
        try sink.receive()
        if answered { _ = try socket.read(upTo: 4096) }
    }

    @Test func aPublisherThatGivesUpAndTriesAgainIsHeardOnce() throws {
        let scratch = try Directory()
        let sink = try EventSink(path: scratch.path + "/events")
        // It goes with the answer unread: the sink's next read is a reset.
        try forward(sink, "/a", answered: false)
        try sink.receive()
        #expect(sink.descriptors.count == 1)
        try forward(sink, "/a", answered: true)
        try forward(sink, "/b", answered: true)
        try sink.receive()
        #expect(sink.topics == ["/a", "/b"])
    }

    private final class Directory {
        let path = "/tmp/berth-test-\(Random.hex(8))"

        init() throws { try File.makeDirectory(path) }

        deinit { _ = try? File.removeTree(path) }
    }
}
