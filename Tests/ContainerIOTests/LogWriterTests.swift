import ContainerIO
import Kernel
import Testing

@Suite struct LogWriterTests {
    let scratch: Scratch
    let buffers: IOBuffers
    let clock = StepClock()

    init() throws {
        scratch = try Scratch()
        buffers = try IOBuffers()
    }

    func writer(size: Int64 = 0, files: Int = 1) throws -> LogWriter {
        let options = LogWriterOptions(path: scratch.log, maximumFileSizeInBytes: size, maximumFileCount: files)
        let clock = clock
        return try LogWriter(options, buffers: buffers) { clock.now() }
    }

    @Test func recordsHaveTheFormOfTheContainerRuntimeInterface() throws {
        let writer = try writer()
        writer.append("hello\n")
        writer.append("bad\n", .stderr)
        #expect(
            try scratch.text("container.log") == """
                2026-01-02T03:04:05.123456789Z stdout F hello
                2026-01-02T03:04:06.123456789Z stderr F bad

                """
        )
    }

    @Test func dateChangesWithTheSecond() throws {
        clock.seconds = 951_782_399
        let writer = try writer()
        writer.append("a\n")
        writer.append("b\n")
        #expect(
            try scratch.text("container.log").split(separator: "\n") == [
                "2000-02-28T23:59:59.123456789Z stdout F a", "2000-02-29T00:00:00.123456789Z stdout F b",
            ]
        )
    }

    @Test func incompleteLineIsPartialAndTheRestEndsIt() throws {
        let writer = try writer()
        writer.append("ab")
        writer.append("c\nd")
        let tags = try scratch.text("container.log").split(separator: "\n").map {
            $0.split(separator: " ", maxSplits: 2)[2]
        }
        #expect(tags == ["P ab", "F c", "P d"])
    }

    @Test func lineAtTheBoundIsOneRecordAndALongerOneIsSplit() throws {
        let writer = try writer()
        writer.append(String(repeating: "x", count: 16384) + "\n")
        writer.append(String(repeating: "y", count: 16385) + "\n")
        let lines = try scratch.text("container.log").split(separator: "\n")
        #expect(lines.map { $0.split(separator: " ")[2] } == ["F", "P", "F"])
        #expect(lines.map(\.utf8.count) == [40 + 16384, 40 + 16384, 40 + 1])
    }

    @Test func lastLineMayBeLeftWithTheCaller() throws {
        let writer = try writer()
        #expect(writer.append("one\ntwo", mayHold: true) == 3)
        #expect(writer.append(String(repeating: "z", count: 20000), mayHold: true) == 20000 - 16384)
        #expect(try scratch.text("container.log").split(separator: "\n").count == 2)
    }

    @Test func rotationKeepsWholeLinesAndTheWantedNumberOfFiles() throws {
        let writer = try writer(size: 150, files: 3)
        for number in 0..<20 { writer.append("line \(number)\n") }
        #expect(scratch.logFiles == ["container.log", "container.log.1", "container.log.2"])
        for name in scratch.logFiles {
            let bytes = try scratch.read(name)
            #expect(bytes.count <= 150 && bytes.last == UInt8(ascii: "\n"))
        }
        #expect(try LogReader(path: scratch.log).all().texts.last == "line 19\n")
    }

    @Test func oneFileIsReplacedByRotation() throws {
        let writer = try writer(size: 100, files: 1)
        for number in 0..<5 { writer.append("line \(number) with some text\n") }
        #expect(scratch.logFiles == ["container.log"])
        #expect(try scratch.text("container.log").hasSuffix("line 4 with some text\n"))
    }

    @Test func lineInPartsIsNotDividedBetweenFiles() throws {
        let writer = try writer(size: 1000, files: 10)
        writer.append(String(repeating: "a", count: 40000) + "\n")
        writer.append("b\n")
        #expect(scratch.logFiles.count == 2)
        #expect(try scratch.text("container.log").hasSuffix("F b\n"))
    }

    @Test func lineWithoutEndIsDividedInTheEnd() throws {
        let writer = try writer(size: 1000, files: 10)
        for _ in 0..<100 { writer.append(String(repeating: "a", count: 16000)) }
        #expect(scratch.logFiles.count == 2)
        let size = try File.status(scratch.log + ".1").size
        #expect(size > LogWriter.maximumExcessInBytes - 20000 && size <= LogWriter.maximumExcessInBytes + 1000)
    }

    @Test func existingLogIsContinued() throws {
        try writer().append("one\n")
        try writer().append("two\n")
        #expect(try LogReader(path: scratch.log).all().texts == ["one\n", "two\n"])
    }

    @Test func recordAfterATornOneStartsOnItsOwnLine() throws {
        try writer().append("one\ntwo\n")
        try File.open(scratch.log, .readWrite).truncate(to: 70)
        try writer().append("three\n")
        let reader = try LogReader(path: scratch.log)
        #expect(try reader.all().texts == ["one\n", "three\n"])
        #expect(reader.skippedLines == 1)
    }

    @Test func filesBeyondALoweredLimitAreRemoved() throws {
        var log: LogWriter? = try writer(size: 100, files: 5)
        for number in 0..<20 { log?.append("line \(number) with some text\n") }
        #expect(scratch.logFiles.count == 5)
        log = try writer(size: 100, files: 2)
        #expect(scratch.logFiles.count == 2)
        _ = log
    }

    @Test func gapThatACrashLeftInTheNumbersIsFilled() throws {
        let writer = try writer(size: 100, files: 5)
        for number in 0..<20 { writer.append("line \(number) with some text\n") }
        try File.remove(scratch.log + ".2")
        writer.append("one line more with some text\n")
        writer.append("one line more with some text\n")
        #expect(scratch.logFiles.count == 5)
        #expect(try LogReader(path: scratch.log).all().texts.suffix(2).allSatisfy { $0.hasPrefix("one line") })
    }

    @Test func reopenFollowsTheName() throws {
        let writer = try writer()
        writer.append("one\n")
        try File.rename(scratch.log, to: scratch.path + "/moved")
        writer.append("two\n")
        try writer.reopen()
        writer.append("three\n")
        #expect(try scratch.text("moved").split(separator: "\n").count == 2)
        #expect(try scratch.text("container.log").hasSuffix("F three\n"))
    }

    @Test func missingDirectoryIsReported() throws {
        #expect {
            _ = try LogWriter(LogWriterOptions(path: scratch.path + "/none/log"), buffers: buffers)
        } throws: {
            ($0 as? ContainerIOError)?.code == .notFound
        }
    }
}
