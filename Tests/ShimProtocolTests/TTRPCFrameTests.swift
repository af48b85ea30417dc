import FoundationEssentials
import Kernel
import ShimProtocol
import SwiftProtobuf
import Testing

@Suite struct TTRPCFrameTests {
    // Connect of container "t3" on stream 3, as containerd sends it.
    static let connectRequest: [UInt8] =
        [0x00, 0x00, 0x00, 0x28]  // 40 bytes of data follow the header
        + [0x00, 0x00, 0x00, 0x03]  // stream 3
        + [0x01, 0x00]  // request, no flags
        + [0x0a, 0x17] + Array("containerd.task.v2.Task".utf8)  // field 1, 23 bytes: service
        + [0x12, 0x07] + Array("Connect".utf8)  // field 2, 7 bytes: method
        + [0x1a, 0x04, 0x0a, 0x02] + Array("t3".utf8)  // field 3, 4 bytes: ConnectRequest{1: "t3"}

    // Its answer: shim 2724, task 2763.
    static let connectResponse: [UInt8] =
        [0x00, 0x00, 0x00, 0x08]  // 8 bytes of data
        + [0x00, 0x00, 0x00, 0x03]  // stream 3
        + [0x02, 0x00]  // response, no flags
        + [0x12, 0x06]  // field 2, 6 bytes: payload
        + [0x08, 0xa4, 0x15, 0x10, 0xcb, 0x15]  // ConnectResponse{1: 2724, 2: 2763}

    @Test func frameIsWrittenAsOnTheWire() throws {
        var request = TTRPCRequest()
        request.service = ServiceName.taskV2
        request.method = TaskMethod.connect.rawValue
        request.payload = .init(TaskConnectRequest.with { $0.id = "t3" }.bytes)
        var output: [UInt8] = []
        try TTRPCFrame(streamID: 3, kind: .request, data: request.bytes).encode(to: &output)
        #expect(output == Self.connectRequest)
    }

    @Test(arguments: [1, 3, 9, 10, 11, 50]) func framesAreFoundHoweverTheBytesArrive(chunk: Int) {
        var decoder = TTRPCFrameDecoder()
        let stream = Self.connectRequest + Self.connectResponse
        var frames: [TTRPCFrame] = []
        for start in stride(from: 0, to: stream.count, by: chunk) {
            decoder.append(Array(stream[start..<min(start + chunk, stream.count)]))
            while let element = decoder.next() {
                if case .frame(let frame) = element { frames.append(frame) }
            }
        }
        #expect(frames.map(\.kind) == [.request, .response])
        #expect(frames.map(\.streamID) == [3, 3])
        #expect(frames.map(\.data.count) == [40, 8])
        #expect(decoder.isBetweenFrames)
    }

    @Test func oversizedFrameIsSkippedAndTheNextOneRead() {
        var decoder = TTRPCFrameDecoder()
        let length = TTRPCFrame.maximumDataLength + 1
        decoder.append([0x00, 0x40, 0x00, 0x01, 0, 0, 0, 5, 1, 0])
        #expect(decoder.next() == .oversized(streamID: 5, kind: .request, length: length))
        var left = length
        let chunk = [UInt8](repeating: 0xff, count: 1 << 20)
        while left > 0 {
            #expect(!decoder.isBetweenFrames)
            let part = min(left, chunk.count)
            decoder.append(Array(chunk[..<part]))
            #expect(decoder.next() == nil)
            left -= part
        }
        #expect(decoder.isBetweenFrames)
        decoder.append(Self.connectResponse)
        guard case .frame(let frame) = decoder.next() else {
            Issue.record("the frame after an oversized one was not found")
            return
        }
        #expect(frame.streamID == 3)
    }

    @Test func frameOfTheGreatestLengthPasses() throws {
        var output: [UInt8] = []
        let data = [UInt8](repeating: 7, count: TTRPCFrame.maximumDataLength)
        try TTRPCFrame(streamID: 1, kind: .request, data: data).encode(to: &output)
        var decoder = TTRPCFrameDecoder()
        decoder.append(output)
        #expect(decoder.next() == .frame(TTRPCFrame(streamID: 1, kind: .request, data: data)))
    }

    @Test func longerDataIsRefusedBeforeItIsSent() {
        var output: [UInt8] = []
        let frame = TTRPCFrame(
            streamID: 1,
            kind: .request,
            data: [UInt8](repeating: 0, count: TTRPCFrame.maximumDataLength + 1)
        )
        #expect { try frame.encode(to: &output) } throws: { ($0 as? RPCError)?.status == .resourceExhausted }
        #expect(output.isEmpty)
    }
}
