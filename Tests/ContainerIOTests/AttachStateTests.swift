import ContainerIO
import Kernel
import Testing

/// The connection of an attached client as a value: no descriptor, no clock.
@Suite struct AttachStateTests {
    let start = Timestamp(seconds: 100)

    func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 7, count: count) }

    /// Lets the client take so many bytes.
    func take(_ count: Int, of state: inout AttachState, at time: Timestamp) -> [UInt8] {
        var taken: [UInt8] = []
        state.send(now: time) { queue in
            taken = Array(queue.prefix(count))
            return taken.count
        }
        return taken
    }

    @Test func roomShrinksWithTheQueue() {
        var state = AttachState(.none)
        #expect(state.room == ClientLimit.queueByteCount)
        state.enqueue(header: nil, bytes(1000), now: start)
        #expect(state.room == ClientLimit.queueByteCount - 1000)
        state.enqueue(header: nil, bytes(ClientLimit.queueByteCount), now: start)
        #expect(state.room == 0)
    }

    @Test func deadlineMovesWithThePaceAndGoesWithTheQueue() {
        var state = AttachState(.none)
        #expect(state.deadline == nil)
        state.enqueue(header: nil, bytes(40_000), now: start)
        #expect(state.deadline == start + ClientLimit.stall)
        state.enqueue(header: nil, bytes(10), now: start + .seconds(5))
        #expect(state.deadline == start + ClientLimit.stall)
        _ = take(0, of: &state, at: start + .seconds(6))
        #expect(state.deadline == start + ClientLimit.stall)
        // Busy until the last moment, and then back.
        _ = take(ClientLimit.pace, of: &state, at: start + .seconds(9))
        #expect(state.deadline == start + .seconds(9) + ClientLimit.stall)
        _ = take(ClientLimit.pace / 2, of: &state, at: start + .seconds(10))
        _ = take(ClientLimit.pace / 2, of: &state, at: start + .seconds(11))
        #expect(state.deadline == start + .seconds(11) + ClientLimit.stall)
        _ = take(40_000, of: &state, at: start + .seconds(12))
        #expect(state.deadline == nil && state.phase == .open)
        // Whoever has everything begins anew, however little it was.
        state.enqueue(header: nil, bytes(10), now: start + .seconds(60))
        #expect(state.deadline == start + .seconds(60) + ClientLimit.stall)
    }

    @Test(arguments: [1, 100, ClientLimit.pace / 2])
    func clientThatTakesALittleNowAndThenHasNoMoreTimeThanOneThatTakesNothing(count: Int) {
        var state = AttachState(.none)
        state.enqueue(header: nil, bytes(ClientLimit.queueByteCount), now: start)
        _ = take(count, of: &state, at: start + .seconds(9))
        #expect(state.deadline == start + ClientLimit.stall)
        // Nor does it get more by what comes, or by the end of the output.
        state.enqueue(header: nil, bytes(count), now: start + .seconds(9))
        state.outputEnded(now: start + .seconds(9))
        #expect(state.deadline == start + ClientLimit.stall && state.phase == .flushing)
    }

    @Test func anotherProgramGivesItTheWholeTime() {
        var state = AttachState(.none)
        state.enqueue(header: nil, bytes(100), now: start)
        state.begin(now: start + .seconds(5))
        #expect(state.deadline == start + .seconds(5) + ClientLimit.stall)
        state.close()
        state.begin(now: start + .seconds(6))
        #expect(state.deadline == nil)
    }

    @Test func headerGoesInFrontOfItsBytes() {
        var state = AttachState(.none)
        state.enqueue(header: StdCopy.header(.stderr, count: 2), [5, 6], now: start)
        #expect(take(100, of: &state, at: start) == [2, 0, 0, 0, 0, 0, 0, 2, 5, 6])
    }

    @Test func endOfOutputLingersWhileTheClientMayStillSend() {
        var state = AttachState(.none)
        state.enqueue(header: nil, bytes(10), now: start)
        state.outputEnded(now: start)
        #expect(state.phase == .flushing)
        // The process is gone: nobody waits for this client any more.
        #expect(state.room == .max)
        _ = take(10, of: &state, at: start)
        #expect(state.phase == .lingering)
        #expect(state.deadline == start + ClientLimit.linger)
        #expect(state.receive([1, 2]) == AttachState.Input(bytes: [], detaches: false))
        #expect(state.inputEnded() == [])
        #expect(state.phase == .closed)
    }

    @Test func endOfOutputClosesAtOnceWhenTheClientHasEnded() {
        var state = AttachState(.none)
        _ = state.inputEnded()
        #expect(state.phase == .open)
        state.outputEnded(now: start)
        #expect(state.phase == .closed)
        state.enqueue(header: nil, bytes(10), now: start)
        #expect(state.queuedByteCount == 0)
    }

    @Test func detachKeysCloseAndTheirBeginningIsGivenOutAtTheEnd() {
        var state = AttachState(.standard)
        #expect(state.receive([1, 0x10]) == AttachState.Input(bytes: [1], detaches: false))
        #expect(state.receive([0x11, 9]) == AttachState.Input(bytes: [], detaches: true))
        #expect(state.phase == .closed)
        var other = AttachState(.standard)
        _ = other.receive([0x10])
        #expect(other.inputEnded() == [0x10])
        #expect(other.inputEnded() == [])
    }

    @Test func closedClientHoldsNothing() {
        var state = AttachState(.none)
        state.enqueue(header: nil, bytes(10), now: start)
        state.close()
        #expect(state.queuedByteCount == 0 && state.deadline == nil && !state.inputIsOpen)
        state.outputEnded(now: start)
        #expect(state.phase == .closed)
    }
}

@Suite struct ByteQueueTests {
    @Test func bytesComeOutInOrderWhateverIsTaken() {
        var random = SeededGenerator(state: 3)
        var queue = ByteQueue()
        var put: [UInt8] = []
        var got: [UInt8] = []
        for _ in 0..<300 {
            let piece = random.bytes(upTo: 2000)
            put += piece
            queue.append(piece)
            queue.withBytes { bytes in
                let count = Int.random(in: 0...bytes.count, using: &random)
                got += bytes.prefix(count)
                return count
            }
            #expect(queue.count == put.count - got.count)
        }
        queue.withBytes {
            got += $0; return $0.count
        }
        #expect(got == put && queue.isEmpty)
    }

    @Test func ringKeepsTheLastBytes() {
        for pieces in [[3], [8], [9], [5, 5], [3, 3, 3, 3], [20, 1]] {
            var ring = OutputRing(capacity: 8)
            var all: [UInt8] = []
            for count in pieces {
                let piece = (0..<count).map { UInt8(all.count + $0) }
                all += piece
                piece.withUnsafeBytes { ring.append($0) }
            }
            #expect(ring.contents == Array(all.suffix(8)))
            #expect(ring.count == min(8, all.count))
        }
    }
}
