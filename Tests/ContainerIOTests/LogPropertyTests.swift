import ContainerIO
import Foundation
import Kernel
import Synchronization
import Testing

/// Reproducible numbers, so that a failing case can be run again by its seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// Bytes of a nasty kind: any value, with many or few newlines, carriage returns and NULs.
    mutating func bytes(upTo count: Int) -> [UInt8] {
        let newlines = Int.random(in: 0...2, using: &self)
        return (0..<Int.random(in: 0...count, using: &self)).map { _ in
            switch Int.random(in: 0..<40, using: &self) {
            case 0 where newlines == 1, 0...20 where newlines == 2: UInt8(ascii: "\n")
            case 21: 0
            case 22: UInt8(ascii: "\r")
            default: UInt8.random(in: .min ... .max, using: &self)
            }
        }
    }
}

@Suite struct LogPropertyTests {
    let scratch: Scratch
    let buffers: IOBuffers

    init() throws {
        scratch = try Scratch()
        buffers = try IOBuffers()
    }

    @Test(arguments: 0..<24 as Range<UInt64>)
    func anyBytesInAnyPiecesSurviveExactly(_ seed: UInt64) throws {
        var random = SeededGenerator(state: seed)
        let pieceSize = [10, 500, 20000, 70000].randomElement(using: &random) ?? 0
        let size = [0, pieceSize / 2 + 50, pieceSize * 4].randomElement(using: &random) ?? 0
        let options = LogWriterOptions(
            path: scratch.log,
            maximumFileSizeInBytes: Int64(size),
            maximumFileCount: 100_000
        )
        var written: [StdioStream: [UInt8]] = [:]
        var writer = try LogWriter(options, buffers: buffers)
        for _ in 0..<min(60, max(3, 60_000 / pieceSize)) {
            let stream: StdioStream = Bool.random(using: &random) ? .stdout : .stderr
            let bytes = random.bytes(upTo: pieceSize)
            let held = writer.append(bytes, stream, mayHold: Bool.random(using: &random))
            if held > 0 { writer.append(Array(bytes.suffix(held)), stream) }
            written[stream, default: []] += bytes
            // A container that is started again goes on in the same log.
            if Int.random(in: 0..<10, using: &random) == 0 { writer = try LogWriter(options, buffers: buffers) }
        }
        let reader = try LogReader(path: scratch.log)
        let records = try reader.all(upTo: Int.random(in: 1...500, using: &random))
        #expect(reader.skippedLines == 0)
        for stream in StdioStream.allCases { #expect(records.bytes(stream) == written[stream] ?? []) }
        try tailsAreSuffixes(of: records, &random)
    }

    private func tailsAreSuffixes(of records: [LogRecord], _ random: inout SeededGenerator) throws {
        for _ in 0..<3 {
            let count = Int.random(in: 0...50, using: &random)
            let tail = try LogReader(path: scratch.log, options: LogReaderOptions(tail: count)).all(upTo: 100)
            let lines = tail.filter { !$0.isPartial }.count
            let unfinished = StdioStream.allCases.filter { stream in
                records.last { $0.stream == stream }?.isPartial == true
            }
            #expect(lines <= count && lines >= min(count, records.filter { !$0.isPartial }.count) - unfinished.count)
            for stream in StdioStream.allCases {
                let all = records.bytes(stream)
                let end = tail.bytes(stream)
                #expect(all.suffix(end.count) == end[...])
                // A line is given out from its beginning.
                let before = all.count - end.count
                #expect(end.isEmpty || before == 0 || all[before - 1] == UInt8(ascii: "\n"))
            }
        }
    }

    /// The reader runs on a thread of its own beside a writer that rotates every few records.
    @Test func followerOfAFastRotatingWriterLosesAndDoublesNothing() throws {
        let control = try LogFollowControl()
        let path = scratch.log
        let received = Mutex<(lines: [String], missed: Bool, skipped: Int)>(([], false, 0))
        let done = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            defer { done.signal() }
            guard let reader = try? LogReader(path: path, options: LogReaderOptions(follow: true), control: control)
            else {
                return
            }
            var text: [UInt8] = []
            while let records = try? reader.read() { text += records.flatMap(\.bytes) }
            let lines = String(decoding: text, as: UTF8.self).split(separator: "\n").map(String.init)
            received.withLock { $0 = (lines, reader.mayHaveMissedRecords, reader.skippedLines) }
        }
        let options = LogWriterOptions(path: path, maximumFileSizeInBytes: 7000, maximumFileCount: 1000)
        let writer = try LogWriter(options, buffers: buffers)
        for number in 0..<20_000 {
            writer.append("line \(number)")
            writer.append("\n")
        }
        control.containerEnded()
        done.wait()
        received.withLock {
            #expect($0.lines == (0..<20_000).map { "line \($0)" })
            #expect(!$0.missed && $0.skipped == 0)
        }
    }
}
