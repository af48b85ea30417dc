import ContainerIO
import Kernel
import Testing

@Suite struct LogReaderTests {
    let scratch: Scratch
    let buffers: IOBuffers
    let clock = StepClock(1000)

    init() throws {
        scratch = try Scratch()
        buffers = try IOBuffers()
    }

    func writer(size: Int64 = 0, files: Int = 1) throws -> LogWriter {
        let options = LogWriterOptions(path: scratch.log, maximumFileSizeInBytes: size, maximumFileCount: files)
        let clock = clock
        return try LogWriter(options, buffers: buffers) { clock.now() }
    }

    func read(_ options: LogReaderOptions = LogReaderOptions()) throws -> [String] {
        try LogReader(path: scratch.log, options: options).all().texts
    }

    /// Ten lines at seconds 1000 to 1009, the odd ones on standard error, in several files.
    func writeTen(size: Int64 = 150) throws {
        let log = try writer(size: size, files: 100)
        for number in 0..<10 { log.append("line \(number)\n", number % 2 == 0 ? .stdout : .stderr) }
    }

    @Test func logThatDoesNotExistIsEmpty() throws {
        #expect(try read() == [])
    }

    @Test func rotatedFilesAreReadOldestFirst() throws {
        try writeTen()
        #expect(scratch.logFiles.count > 2)
        #expect(try read() == (0..<10).map { "line \($0)\n" })
    }

    /// A reader that stops behind any record, and another one that goes on there: together they read everything once.
    @Test(arguments: 0...10) func anotherReaderGoesOn(behind count: Int) throws {
        try writeTen()
        let first = try LogReader(path: scratch.log)
        let before = count == 0 ? [] : try #require(try first.read(upTo: count)).texts
        var place = try #require(first.place)
        var texts = before
        // One batch ends with its file: what was given out is counted, not what was asked for.
        while texts.count < count, let more = try first.read(upTo: count - texts.count) {
            texts += more.texts
            place = try #require(first.place)
        }
        // Later rotations change the names of the files, not the place.
        let log = try writer(size: 150, files: 100)
        for number in 10..<20 { log.append("line \(number)\n", .stdout) }
        let second = try LogReader(path: scratch.log, options: LogReaderOptions(place: place))
        #expect(texts + (try second.all().texts) == (0..<20).map { "line \($0)\n" })
        #expect(!second.mayHaveMissedRecords)
    }

    @Test func placeInADeletedFileIsSaid() throws {
        try writeTen()
        let first = try LogReader(path: scratch.log)
        _ = try first.read(upTo: 1)
        var place = try #require(first.place)
        // The number of the file is used again: its content tells.
        place.lastTime = Timestamp(seconds: 1)
        let second = try LogReader(path: scratch.log, options: LogReaderOptions(place: place))
        #expect(second.mayHaveMissedRecords)
        #expect(try second.all().texts.count == 10)
        place.inode += 100_000
        #expect(try LogReader(path: scratch.log, options: LogReaderOptions(place: place)).mayHaveMissedRecords)
    }

    @Test func streamsAreChosen() throws {
        try writeTen()
        #expect(try read(LogReaderOptions(streams: .stderr)) == [1, 3, 5, 7, 9].map { "line \($0)\n" })
    }

    @Test func sinceAndUntilAreInclusive() throws {
        try writeTen()
        let since = Timestamp(seconds: 1003, nanoseconds: 123_456_789)
        let until = Timestamp(seconds: 1005, nanoseconds: 123_456_789)
        #expect(try read(LogReaderOptions(since: since, until: until)) == (3...5).map { "line \($0)\n" })
    }

    @Test(arguments: [0, 1, 2, 3, 9, 10, 11, 1000]) func tailGivesTheLastLines(_ count: Int) throws {
        try writeTen()
        #expect(try read(LogReaderOptions(tail: count)) == (0..<10).suffix(count).map { "line \($0)\n" })
    }

    @Test func tailCountsLinesOfTheChosenStreamUpToUntil() throws {
        try writeTen()
        let until = Timestamp(seconds: 1006)
        #expect(try read(LogReaderOptions(until: until, tail: 2, streams: .stdout)) == ["line 2\n", "line 4\n"])
        #expect(try read(LogReaderOptions(tail: 2, streams: .stderr)) == ["line 7\n", "line 9\n"])
    }

    @Test func tailTakesWholeLinesWrittenInParts() throws {
        let log = try writer()
        log.append("no\n")
        log.append("a", .stderr)
        log.append("x\n")
        log.append("b\n", .stderr)
        #expect(try read(LogReaderOptions(tail: 1)) == ["a", "b\n"])
        #expect(try read(LogReaderOptions(tail: 2)) == ["a", "x\n", "b\n"])
        log.append("unfinished")
        #expect(try read(LogReaderOptions(tail: 1)) == ["unfinished"])
    }

    @Test func tailOfLongLinesReadsThemWhole() throws {
        let log = try writer(size: 100_000, files: 10)
        for letter in ["a", "b", "c"] { log.append(String(repeating: letter, count: 150_000) + "\n") }
        let records = try LogReader(path: scratch.log, options: LogReaderOptions(tail: 2)).all()
        #expect(records.bytes(.stdout).count == 300_002)
        #expect(records.first?.bytes.first == UInt8(ascii: "b"))
    }

    @Test func corruptLinesAreSkippedAndCounted() throws {
        let good = "2026-01-02T03:04:05.123456789Z stdout F"
        let lines = [
            "\(good) one", "", "garbage", "2026-01-02T03:04:05.123456789Z stdin F x", "\(good)", "\(good) two",
            "2026-13-02T03:04:05.123456789Z stdout F bad month", "2026-01-02T03:04:05Z stderr P other writer",
            "2026-01-02T03:04:05.12345678xZ stdout F x", "2026-01-02T03:04:05.123456789Z stdout X x",
            "\(good) t\0\u{7f}",
        ]
        try File.writeAtomically(scratch.log, Array(lines.joined(separator: "\n").utf8), durable: false)
        let reader = try LogReader(path: scratch.log)
        #expect(try reader.all().texts == ["one\n", "\n", "two\n", "other writer", "t\0\u{7f}"])
        #expect(reader.skippedLines == 6)
    }

    @Test func lineTooLongForARecordIsSkipped() throws {
        let log = try writer()
        log.append("one\n")
        let file = try File.open(scratch.log, [.write, .append])
        try file.writeAll([UInt8](repeating: 0, count: 1_000_000) + [10])
        log.append("two\n")
        let reader = try LogReader(path: scratch.log)
        #expect(try reader.all().texts == ["one\n", "two\n"])
        #expect(reader.skippedLines == 1)
        #expect(try read(LogReaderOptions(tail: 2)) == ["one\n", "two\n"])
    }

    @Test func readingEndsAtWhatExistedAtItsStart() throws {
        let log = try writer(size: 200, files: 100)
        log.append("one\ntwo\n")
        let reader = try LogReader(path: scratch.log)
        for _ in 0..<100 { log.append("later\n") }
        #expect(try reader.all().texts == ["one\n", "two\n"])
    }

    @Test func noticesAreTold() throws {
        let line = "2026-01-02T03:04:05.123456789Z stderr F:dropped 7 bytes in 1 records dropped\n"
        try File.writeAtomically(scratch.log, Array(line.utf8), durable: false)
        let records = try LogReader(path: scratch.log).all()
        #expect(records.map(\.isNotice) == [true])
    }

    // MARK: - Following

    func follow(_ control: LogFollowControl, _ options: LogReaderOptions? = nil) throws -> LogReader {
        try LogReader(path: scratch.log, options: options ?? LogReaderOptions(follow: true), control: control)
    }

    @Test func followGivesWhatIsWrittenLater() throws {
        let control = try LogFollowControl()
        let reader = try follow(control)
        #expect(try reader.next() == .idle)
        let log = try writer(size: 150, files: 100)
        for number in 0..<10 {
            log.append("line \(number)\n")
            #expect(try reader.read()?.texts == ["line \(number)\n"])
            #expect(try reader.next() == .idle)
        }
        log.append("last\n")
        control.containerEnded()
        #expect(try reader.read()?.texts == ["last\n"])
        #expect(try reader.read() == nil)
        #expect(try reader.next() == .end)
    }

    @Test func followWithTailZeroGivesOnlyTheFuture() throws {
        try writeTen()
        let control = try LogFollowControl()
        let reader = try follow(control, LogReaderOptions(follow: true, tail: 0))
        #expect(try reader.next() == .idle)
        try writer().append("new\n")
        #expect(try reader.read()?.texts == ["new\n"])
    }

    @Test func followEndsWhenUntilHasCome() throws {
        try writeTen()
        let reader = try LogReader(
            path: scratch.log,
            options: LogReaderOptions(follow: true, until: Timestamp.now + .milliseconds(50))
        )
        var count = 0
        while let records = try reader.read() { count += records.count }
        #expect(count == 10)
    }

    @Test func cancelledReaderFails() throws {
        let control = try LogFollowControl()
        let reader = try follow(control)
        control.cancel()
        #expect {
            _ = try reader.read()
        } throws: {
            ($0 as? ContainerIOError)?.code == .cancelled
        }
    }

    @Test func filesThatVanishUnreadAreReported() throws {
        let control = try LogFollowControl()
        let log = try writer(size: 60, files: 2)
        let reader = try follow(control)
        for number in 0..<10 { log.append("line \(number)\n") }
        #expect(try reader.all().texts == ["line 0\n", "line 8\n", "line 9\n"])
        #expect(reader.mayHaveMissedRecords)
        control.containerEnded()
        #expect(try reader.next() == .end)
    }
}
