import FoundationEssentials
import Kernel
import ShimProtocol
import SwiftProtobuf
import Testing

@Suite struct TTRPCServerConnectionTests {
    @Test func callIsDecodedAndAnswered() throws {
        var server = TTRPCServerConnection()
        let calls = server.receive(TTRPCFrameTests.connectRequest)
        let call = try #require(calls.first)
        #expect(call.service == "containerd.task.v2.Task")
        #expect(call.method == "Connect")
        #expect(try call.decode(TaskConnectRequest.self).id == "t3")
        #expect(call.timeout == nil)
        server.respond(
            to: call.streamID,
            with: .success(
                TaskConnectResponse.with {
                    $0.shimPid = 2724
                    $0.taskPid = 2763
                }.bytes
            )
        )
        #expect(server.takeOutput() == TTRPCFrameTests.connectResponse)
        #expect(server.openCalls == 0)
    }

    @Test func emptyAnswerIsAFrameWithoutData() {
        var server = TTRPCServerConnection()
        _ = server.receive(TTRPCFrameTests.connectRequest)
        server.respond(to: 3, with: .success([]))
        #expect(server.takeOutput() == [0, 0, 0, 0, 0, 0, 0, 3, 2, 0])
    }

    @Test func answersMayComeInAnyOrderButOnlyOnce() throws {
        var server = TTRPCServerConnection()
        _ = server.receive((request(stream: 1) + request(stream: 3)))
        #expect(server.openCalls == 2)
        server.respond(to: 3, with: .success([]))
        server.respond(to: 3, with: .success([]))
        server.respond(to: 1, with: .success([]))
        #expect(responses(server.takeOutput()).map(\.streamID) == [3, 1])
    }

    @Test func evenStreamIsRefused() {
        var server = TTRPCServerConnection()
        #expect(server.receive(request(stream: 2)).count == 0)
        #expect(responses(server.takeOutput()).map(\.status) == [.invalidArgument])
    }

    @Test func usedOrLowerStreamIsRefused() {
        var server = TTRPCServerConnection()
        #expect(server.receive(request(stream: 5)).count == 1)
        #expect(server.receive(request(stream: 5)).count == 0)
        #expect(server.receive(request(stream: 3)).count == 0)
        #expect(responses(server.takeOutput()).map(\.status) == [.invalidArgument, .invalidArgument])
        #expect(server.openCalls == 1)
    }

    @Test func dataForAnUnknownStreamIsRefused() throws {
        var server = TTRPCServerConnection()
        #expect(server.receive(frame(stream: 7, kind: .data, [])).count == 0)
        #expect(responses(server.takeOutput()).map(\.status) == [.invalidArgument])
    }

    @Test func unknownKindsAreSkipped() {
        var server = TTRPCServerConnection()
        #expect(server.receive(frame(stream: 1, kind: .init(rawValue: 9), [1, 2])).count == 0)
        #expect(server.receive(request(stream: 1)).count == 1)
        #expect(server.takeOutput().count == 0)
    }

    @Test func bytesThatAreNoRequestAreAnswered() {
        var server = TTRPCServerConnection()
        #expect(server.receive(frame(stream: 1, kind: .request, [0xff, 0xff, 0xff])).count == 0)
        #expect(responses(server.takeOutput()).map(\.status) == [.invalidArgument])
        #expect(server.receive(request(stream: 3)).count == 1)
    }

    @Test func oversizedRequestIsAnsweredAndTheConnectionLives() {
        var server = TTRPCServerConnection()
        let length = UInt32(TTRPCFrame.maximumDataLength + 1)
        let header = withUnsafeBytes(of: length.bigEndian) { Array($0) } + [0, 0, 0, 1, 1, 0]
        #expect(server.receive(header).count == 0)
        #expect(responses(server.takeOutput()).map(\.status) == [.resourceExhausted])
        _ = server.receive([UInt8](repeating: 0, count: Int(length)))
        #expect(server.receive(request(stream: 3)).count == 1)
    }

    @Test func answerThatIsTooLongBecomesAnError() {
        var server = TTRPCServerConnection()
        _ = server.receive(request(stream: 1))
        server.respond(to: 1, with: .success([UInt8](repeating: 0, count: TTRPCFrame.maximumDataLength)))
        #expect(responses(server.takeOutput()).map(\.status) == [.resourceExhausted])
    }

    @Test func openCallsAreBounded() {
        var server = TTRPCServerConnection(maximumOpenCalls: 2)
        for stream: UInt32 in [1, 3, 5] { _ = server.receive(request(stream: stream)) }
        #expect(server.openCalls == 2)
        #expect(responses(server.takeOutput()).map(\.status) == [.resourceExhausted])
    }

    @Test func streamingCallsAreUnimplemented() {
        var server = TTRPCServerConnection()
        var bytes: [UInt8] = []
        try? TTRPCFrame(streamID: 1, kind: .request, flags: .remoteOpen, data: []).encode(to: &bytes)
        #expect(server.receive(bytes).count == 0)
        #expect(responses(server.takeOutput()).map(\.status) == [.unimplemented])
    }

    @Test func randomBytesNeverBreakTheServer() {
        var generator = SplitMix64(state: 0x5eed)
        for _ in 0..<2_000 {
            var server = TTRPCServerConnection()
            for _ in 0..<8 {
                // Small lengths, so that many garbage frames are complete.
                var bytes = (0..<Int.random(in: 0...64, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
                for index in 0..<min(3, bytes.count) { bytes[index] = 0 }
                _ = server.receive(bytes)
            }
            #expect(server.openCalls <= server.maximumOpenCalls)
        }
    }

    private func request(stream: UInt32) -> [UInt8] {
        frame(stream: stream, kind: .request, TTRPCRequest.with { $0.service = "s" }.bytes)
    }

    private func frame(stream: UInt32, kind: TTRPCFrame.Kind, _ data: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        try? TTRPCFrame(streamID: stream, kind: kind, data: data).encode(to: &bytes)
        return bytes
    }

    private func responses(_ bytes: [UInt8]) -> [(streamID: UInt32, status: StatusCode)] {
        var decoder = TTRPCFrameDecoder()
        decoder.append(bytes)
        var found: [(UInt32, StatusCode)] = []
        while case .frame(let frame) = decoder.next() {
            let response = try? TTRPCResponse(serializedBytes: frame.data)
            found.append((frame.streamID, StatusCode(rawValue: response?.status.code ?? -1)))
        }
        return found
    }
}

/// A small generator with a seed, so that a failing run can be repeated.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
