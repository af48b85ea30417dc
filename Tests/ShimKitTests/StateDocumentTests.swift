import FoundationEssentials
import Kernel
import ShimKit
import ShimModel
import ShimProtocol
import SwiftProtobuf
import Testing

/// Random states, the same for a seed.
struct StateMaker {
    private var seed: UInt64

    init(_ seed: UInt64) { self.seed = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func number(_ limit: UInt64) -> UInt64 {
        seed ^= seed << 13
        seed ^= seed >> 7
        seed ^= seed << 17
        return seed % max(1, limit)
    }

    mutating func flag() -> Bool { number(2) == 1 }

    mutating func bytes(_ limit: UInt64) -> [UInt8] {
        (0..<number(limit)).map { _ in UInt8(truncatingIfNeeded: number(256)) }
    }

    mutating func text(_ limit: UInt64) -> String {
        String(decoding: bytes(limit).map { 0x20 + $0 % 0x5e }, as: UTF8.self)
    }

    mutating func state() -> ShimState {
        var state = ShimState()
        (state.version, state.required, state.backend) = (1, 1, "plain")
        (state.namespace, state.id, state.bundle) = ("test", "c", "/b")
        state.descriptorsGeneration = number(.max)
        state.shimStartedAt = .init(seconds: Int64(number(1 << 33)), nanos: Int32(number(1_000_000_000)))
        state.paused = flag()
        state.createRequest = .init(bytes(500))
        state.exitRecordPath = text(40)
        state.startFailure = text(10)
        state.seenOutOfMemory = number(100)
        state.backendState = .init(bytes(200))
        state.lastClient = number(.max)
        state.execsDeadline = Int64(number(1 << 60))
        state.journal.lastSeq = number(1000)
        state.journal.acknowledged = number(1000)
        if flag() { state.log = log() }
        if flag() {
            state.initial = process("")
            state.execs = (0..<number(5)).map { process("e\($0)") }
        }
        state.restart.policy.name = ["no", "always", "unless-stopped", "on-failure"][Int(number(4))]
        state.restart.stopped = flag()
        state.restart.count = UInt32(number(1000))
        state.lingering = (0..<number(3)).map { _ in stdio() }
        return state
    }

    private mutating func log() -> ShimLogState {
        var log = ShimLogState()
        (log.path, log.size, log.torn) = (text(40), Int64(number(1 << 40)), flag())
        (log.maxFiles, log.maxSizeInBytes) = (UInt32(number(10)), Int64(number(1 << 30)))
        (log.lost.bytes, log.unreported.errno) = (number(.max), Int32(number(100)))
        return log
    }

    private mutating func process(_ id: String) -> ShimProcessState {
        var process = ShimProcessState()
        process.execID = id
        process.phase = [.created, .running, .draining, .held, .stopped][Int(number(5))]
        process.pid = UInt32(number(1 << 22))
        process.startTime = number(.max)
        (process.stdin, process.stdout, process.terminal) = (text(10), text(10), flag())
        if [.draining, .held, .stopped].contains(process.phase) { process.exit = exit() }
        process.specification = .init(bytes(100))
        process.stdio = stdio()
        return process
    }

    private mutating func exit() -> ShimExitStatus {
        var exit = ShimExitStatus()
        switch number(3) {
        case 0: exit.code = UInt32(number(256))
        case 1: exit.signal = UInt32(number(64) + 1)
        default: exit.unknown = text(20)
        }
        if flag() { exit.startedAt = .init(seconds: Int64(number(1 << 33)), nanos: Int32(number(1_000_000_000))) }
        exit.exitedAt = .init(seconds: Int64(number(1 << 33)), nanos: Int32(number(1_000_000_000)))
        (exit.oomKilled, exit.oomOwner) = (flag(), text(10))
        return exit
    }

    private mutating func stdio() -> ShimStdioState {
        var stdio = ShimStdioState()
        (stdio.terminal, stdio.started, stdio.hasInput_p) = (flag(), flag(), flag())
        stdio.ring = .init(bytes(300))
        stdio.drainDeadline = Int64(number(1 << 60))
        stdio.outputs = (0..<number(3)).map { number in
            ShimOutputState.with { ($0.stream, $0.inode) = (UInt32(number + 1), number) }
        }
        stdio.input.pending = .init(bytes(100))
        stdio.clients = (0..<number(3)).map { index in
            ShimClientState.with { ($0.number, $0.pending, $0.stdin) = (index, .init(bytes(100)), flag()) }
        }
        return stdio
    }
}

@Suite struct StateDocumentTests {
    @Test func randomStatesComeBackAsTheyWere() throws {
        for seed in 0..<500 {
            var maker = StateMaker(UInt64(seed))
            let state = maker.state()
            #expect(try StateDocument.decode(StateDocument.encode(state)) == state)
        }
    }

    @Test func tableOfAStateIsSavedAsTheSame() throws {
        for seed in 0..<500 {
            var maker = StateMaker(UInt64(seed))
            let state = maker.state()
            guard state.hasInitial else { continue }
            var saved = ShimState()
            try TaskTable(state).save(to: &saved)
            #expect(saved.paused == state.paused)
            #expect(saved.execs.count == state.execs.count)
            for (a, b) in zip([saved.initial] + saved.execs, [state.initial] + state.execs) {
                #expect(a.execID == b.execID)
                #expect(a.phase == b.phase)
                #expect(a.pid == b.pid)
                #expect(a.exit == b.exit)
                #expect(a.stdout == b.stdout)
                #expect(a.terminal == b.terminal)
            }
        }
    }

    @Test func everyCutAndEveryFlippedByteIsAnError() throws {
        var maker = StateMaker(7)
        let bytes = StateDocument.encode(maker.state())
        for length in 0..<bytes.count {
            #expect(throws: StateError.self) { try StateDocument.decode(Array(bytes[..<length])) }
        }
        for index in bytes.indices {
            var flipped = bytes
            flipped[index] ^= 1 << UInt8(index % 8)
            #expect(throws: StateError.self) { try StateDocument.decode(flipped) }
        }
    }

    @Test func anythingBehindAGoodHeadIsAnErrorOrAState() throws {
        var maker = StateMaker(3)
        let good = maker.state().bytes
        for _ in 0..<2000 {
            var message = good
            for _ in 0...maker.number(4) where !message.isEmpty {
                message[Int(maker.number(UInt64(message.count)))] = UInt8(truncatingIfNeeded: maker.number(256))
            }
            // Whatever it is, nothing ends the process.
            do throws(StateError) { _ = try TaskTable(StateDocument.decode(StateDocument.frame(message))) } catch {
                #expect(!error.description.isEmpty)
            }
        }
    }

    @Test func twoVersionsBackAndAheadAreRead() throws {
        let versions = StateDocument.Versions(newest: 5)
        for version: UInt32 in 0...10 {
            var state = ShimState()
            (state.version, state.required) = (version, min(version, 5))
            let result = Result { try StateDocument.decode(StateDocument.encode(state), versions) }
            #expect(((try? result.get()) != nil) == (3...7).contains(version), "version \(version)")
        }
        #expect(StateDocument.Versions(newest: 1).oldest == 1)
    }

    @Test func stateThatNeedsANewerReaderIsRefusedWithTheReason() {
        var state = ShimState()
        (state.version, state.required) = (2, 2)
        #expect {
            try StateDocument.decode(StateDocument.encode(state), .init(newest: 1))
        } throws: { error in
            (error as? StateError)?.code == .unsupported && "\(error)".contains("version 2")
        }
    }

    @Test func unknownFieldsOfTheStateItselfAreKept() throws {
        var maker = StateMaker(11)
        let state = maker.state()
        // Field 1000, of a later version: a text.
        let later: [UInt8] = [0xc2, 0x3e, 5] + Array("later".utf8)
        let read = try StateDocument.decode(StateDocument.frame(state.bytes + later))
        #expect(read.unknownFields.data == Data(later))
        var written = ShimState()
        written.unknownFields = read.unknownFields
        #expect(written.bytes == later)
    }

    @Test func statesThatCannotBeAreRefused() {
        func refuses(_ change: (inout ShimState) -> Void) {
            var state = ShimState()
            state.initial.phase = .running
            change(&state)
            #expect(throws: StateError.self) { try TaskTable(state) }
        }
        refuses { $0.initial.phase = .unknown }
        refuses { $0.initial.phase = .UNRECOGNIZED(99) }
        refuses { $0.initial.phase = .stopped }
        refuses { $0.initial.pid = .max }
        refuses { $0.execs = [.with { $0.phase = .running }] }
        refuses { $0.execs = [.with { ($0.execID, $0.phase) = ("../e", .running) }] }
        refuses { state in
            let exec = ShimProcessState.with { ($0.execID, $0.phase) = ("e", .running) }
            state.execs = [exec, exec]
        }
    }
}
