import ShimProtocol

/// Bytes of connections.
enum Frames {
    /// A stream of frames, damaged.
    private static func stream(_ random: inout Generator) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0...random.below(4) {
            let frame = TTRPCFrame(
                streamID: [0, 1, 2, 3, 5, .max, UInt32(truncatingIfNeeded: random.next())][random.below(7)],
                kind: .init(rawValue: UInt8(random.below(5))),
                flags: .init(rawValue: UInt8(random.below(8))),
                data: Mutation.damaged(Corpus.requests[random.below(Corpus.requests.count)], Corpus.requests, &random)
            )
            // Data this short always fits.
            try? frame.encode(to: &bytes)
        }
        return random.below(3) == 0 ? bytes : Mutation.damaged(bytes, Corpus.requests, &random)
    }

    /// The stream in pieces, as a socket gives it.
    private static func pieces(_ random: inout Generator) -> [[UInt8]] {
        var rest = stream(&random)[...]
        var pieces: [[UInt8]] = []
        while !rest.isEmpty {
            let piece = rest.prefix(1 + random.below(40))
            pieces.append(Array(piece))
            rest = rest.dropFirst(piece.count)
        }
        return pieces
    }

    static func decode(_ random: inout Generator) {
        var decoder = TTRPCFrameDecoder()
        for piece in pieces(&random) {
            decoder.append(piece)
            while decoder.next() != nil {}
        }
        _ = decoder.isBetweenFrames
    }

    static func serve(_ random: inout Generator) {
        var server = TTRPCServerConnection(maximumOpenCalls: 1 + random.below(3))
        for piece in pieces(&random) {
            for call in server.receive(piece) {
                _ = try? call.decode(TaskConnectRequest.self)
                if random.below(2) == 0 { server.respond(to: call.streamID, with: .success(call.payload)) }
            }
            _ = server.takeOutput()
        }
        // What was accepted is never more than what was allowed.
        guard server.openCalls <= server.maximumOpenCalls else { fatalError("more calls than allowed") }
    }

    static func call(_ random: inout Generator) {
        var client = TTRPCClientConnection()
        for _ in 0..<random.below(4) {
            _ = try? client.call(service: "s", method: "m", payload: [1, 2, 3], timeout: .seconds(1))
        }
        let pending = client.pendingCalls
        var completed = 0
        for piece in pieces(&random) { completed += client.receive(piece).count }
        guard completed <= pending else { fatalError("more answers than calls") }
        _ = client.abandon(1)
        _ = client.close()
        _ = client.takeOutput()
    }
}
