import FoundationEssentials
import Kernel
import ShimProtocol
import SwiftProtobuf
import Testing

@Suite struct TTRPCClientConnectionTests {
    @Test func callIsWrittenAndItsAnswerDelivered() throws {
        var client = TTRPCClientConnection()
        _ = try client.call(service: "s", method: "m", payload: [])
        _ = client.takeOutput()
        let stream = try client.call(
            service: ServiceName.taskV2,
            method: "Connect",
            payload: TaskConnectRequest.with { $0.id = "t3" }.bytes
        )
        #expect(stream == 3)
        #expect(client.takeOutput() == TTRPCFrameTests.connectRequest)
        let completions = client.receive(TTRPCFrameTests.connectResponse)
        #expect(completions.map(\.streamID) == [3])
        let response = try TaskConnectResponse(serializedBytes: completions[0].result.get())
        #expect(response.taskPid == 2763)
        #expect(client.pendingCalls == 1)
    }

    @Test func bothEndsAgree() throws {
        var client = TTRPCClientConnection()
        var server = TTRPCServerConnection()
        let first = try client.call(
            service: "s",
            method: "m",
            payload: [1],
            timeout: .seconds(2),
            metadata: [("berth-token", "x")]
        )
        let second = try client.call(service: "s", method: "n", payload: [2])
        let calls = server.receive(client.takeOutput())
        #expect(calls.map(\.method) == ["m", "n"])
        #expect(calls[0].timeout == .seconds(2))
        #expect(calls[0].metadata == ["berth-token": "x"])
        server.respond(to: second, with: .failure(.failed(.notFound, "no such task", at: .with { $0.errno = 2 })))
        server.respond(to: first, with: .success([9]))
        let completions = client.receive(server.takeOutput())
        #expect(completions.map(\.streamID) == [second, first])
        #expect(try completions[1].result.get() == [9])
        #expect { try completions[0].result.get() } throws: { error in
            let error = error as? RPCError
            return error?.code == .notFound && error?.failure?.errno == 2 && error?.message == "no such task"
        }
    }

    @Test func endOfConnectionFailsEverythingPending() throws {
        var client = TTRPCClientConnection()
        _ = try client.call(service: "s", method: "m", payload: [])
        _ = try client.call(service: "s", method: "m", payload: [])
        let failed = client.close()
        #expect(failed.map(\.streamID) == [1, 3])
        for completion in failed {
            #expect { try completion.result.get() } throws: { ($0 as? RPCError)?.status == .unavailable }
        }
        let again = client.close()
        #expect(again.isEmpty)
        #expect(throws: RPCError.self) { try client.call(service: "s", method: "m", payload: []) }
    }

    @Test func lateAnswerToAnAbandonedCallIsDropped() throws {
        var client = TTRPCClientConnection()
        _ = try client.call(service: "s", method: "m", payload: [])
        let stream = try client.call(service: "s", method: "m", payload: [])
        #expect(client.abandon(stream) == true)
        #expect(client.abandon(stream) == false)
        #expect(client.receive(TTRPCFrameTests.connectResponse).count == 0)
    }

    /// As servers of an older ttrpc send it.
    @Test func oversizedAnswerFailsItsCallOnly() throws {
        var client = TTRPCClientConnection()
        _ = try client.call(service: "s", method: "m", payload: [])
        let second = try client.call(service: "s", method: "m", payload: [])
        let completions = client.receive([0x00, 0x40, 0x00, 0x01, 0, 0, 0, 1, 2, 0])
        #expect { try completions.first?.result.get() } throws: { ($0 as? RPCError)?.status == .resourceExhausted }
        #expect(completions.count == 1 && client.violation == nil && client.isMidFrame)
        #expect(client.receive([UInt8](repeating: 0, count: 4 << 20 | 1)).isEmpty && !client.isMidFrame)
        #expect(client.receive([0, 0, 0, 0, 0, 0, 0, 3, 2, 0]).map(\.streamID) == [second])
    }

    /// A length that nobody sends, or beyond the limit for nobody's call: all that wait for something behind it are told at once.
    @Test(
        arguments: [
            [0xff, 0xff, 0xff, 0xef, 0, 0, 0, 1, 2, 0], [0x01, 0x00, 0x00, 0x01, 0, 0, 0, 1, 2, 0],
            [0x00, 0x40, 0x00, 0x01, 0, 0, 0, 9, 2, 0], [0x00, 0x40, 0x00, 0x01, 0, 0, 0, 1, 3, 0],
            [0x00, 0x40, 0x00, 0x01, 0, 0, 0, 1, 77, 0],
        ] as [[UInt8]]
    )
    func lengthThatNobodySendsEndsTheConnection(header: [UInt8]) throws {
        var client = TTRPCClientConnection()
        for _ in 0..<2 { _ = try client.call(service: "s", method: "m", payload: []) }
        let completions = client.receive(header)
        #expect(completions.map(\.streamID) == [1, 3] && client.violation?.status == .resourceExhausted)
        for completion in completions {
            #expect { try completion.result.get() } throws: { ($0 as? RPCError)?.status == .resourceExhausted }
        }
        #expect(throws: RPCError.self) { try client.call(service: "s", method: "m", payload: []) }
    }

    @Test func frameThatHasBegunIsSeen() throws {
        var client = TTRPCClientConnection()
        _ = try client.call(service: "s", method: "m", payload: [])
        #expect(!client.isMidFrame)
        #expect(client.receive([0, 0]).isEmpty && client.isMidFrame)
        #expect(client.receive([0, 1, 0, 0, 0, 1, 2, 0]).isEmpty && client.isMidFrame)
        #expect(client.receive([0]).count == 1 && !client.isMidFrame)
    }

    @Test func answerThatIsNoAnswerFailsItsCall() throws {
        var client = TTRPCClientConnection()
        _ = try client.call(service: "s", method: "m", payload: [])
        let completions = client.receive([0, 0, 0, 2, 0, 0, 0, 1, 2, 0, 0xff, 0xff])
        #expect { try completions.first?.result.get() } throws: { ($0 as? RPCError)?.status == .invalidArgument }
    }

    @Test func payloadThatIsTooLongIsRefusedAndTheIdNotUsed() throws {
        var client = TTRPCClientConnection()
        let long = [UInt8](repeating: 0, count: TTRPCFrame.maximumDataLength)
        #expect(throws: RPCError.self) { try client.call(service: "s", method: "m", payload: long) }
        #expect(client.pendingCalls == 0)
        #expect(try client.call(service: "s", method: "m", payload: []) == 1)
    }

    @Test func codesOfTheProjectSurviveTheWire() {
        let codes: [RPCError] = [
            .failed(.notFound, ""), .failed(.alreadyExists, ""), .failed(.invalidArgument, ""),
            .failed(.failedPrecondition, ""), .failed(.permissionDenied, ""), .failed(.resourceExhausted, ""),
            .failed(.unavailable, ""), .failed(.timedOut, ""), .failed(.cancelled, ""), .failed(.unsupported, ""),
            .failed(.internal, ""),
        ]
        for error in codes { #expect(RPCError(error.wire).code == error.code) }
        #expect(Set(codes.map(\.status)).count == codes.count)
    }
}
