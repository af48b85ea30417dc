internal import Kernel

/// Reads a container's log, oldest record first, across its rotated files and while the shim writes it.
///
/// A record is given out once and whole, whatever rotations happen meanwhile: the reader keeps the files that it has
/// not finished open. Only when the shim deletes a file before this reader saw it can records be missing
/// (`mayHaveMissedRecords`).
///
/// For one thread at a time. `next` never waits; `read` does.
public final class LogReader {
    /// What `next` found.
    public enum Step: Sendable, Equatable {
        /// The next records, at least one.
        case records([LogRecord])
        /// Nothing for now: try again when `wakeDescriptor` is readable.
        case idle
        /// Nothing any more.
        case end
    }

    enum Fill {
        case more
        case idle
        case end
    }

    /// A line longer than this is no record, whatever stands in it.
    static let maximumLineByteCount = 256 << 10
    static let chunkByteCount = 64 << 10

    let path: String
    let options: LogReaderOptions
    let control: LogFollowControl?
    let watch: LogWatch?
    /// Open files, oldest first; the first is being read.
    var files: [LogFile] = []
    var parser = LogParser()
    private var buffer: [UInt8] = []
    private var position = 0
    private var isSkippingLine = false
    private var isAtTornEnd = false
    private var isFinished = false
    /// The file that was read last, when reading has ended.
    private var lastFile: LogFile?
    private var wasIdle = false
    /// The last line that was taken out of the first file: where it began, and its time.
    private var last: (offset: Int64, time: Timestamp)?

    /// Lines that were no records and were left out.
    public internal(set) var skippedLines = 0
    /// Whether files vanished before they were read: the log was rotated faster than this reader is.
    public internal(set) var mayHaveMissedRecords = false

    /// Opens the log.
    ///
    /// A log that does not exist yet is empty, and one that a reader with `follow` waits for.
    ///
    /// - Parameters:
    ///   - path: the file that the shim writes.
    ///   - options: what to give out.
    ///   - control: how others end or cancel the reading; required to ever end a `follow` without `until`.
    /// - Throws: the kernel's reason; `notFound` when following in a directory that does not exist.
    public init(
        path: String,
        options: LogReaderOptions = LogReaderOptions(),
        control: LogFollowControl? = nil
    ) throws(ContainerIOError) {
        self.path = path
        self.options = options
        self.control = control
        // Watched before it is read: what is written in between wakes the first wait.
        watch = options.follow ? try LogWatch(path, control: control) : nil
        try scan()
        if !options.follow { files.last?.limit = try files.last?.size() }
        if let place = options.place {
            last = try goTo(place)
        } else if let tail = options.tail {
            try skipAllBut(tail)
        }
        if let since = options.since { try skipFiles(before: since) }
    }

    /// Readable when `next` may have more after `idle`; nil when not following.
    ///
    /// Also readable after cancellation.
    public var wakeDescriptor: Int32? { watch?.raw }

    /// Gives out what is there, without waiting for more.
    ///
    /// - Parameter limit: the most records to return; at least 1.
    /// - Returns: what was found.
    /// - Throws: the kernel's reason, or `cancelled`.
    public func next(upTo limit: Int = 1024) throws(ContainerIOError) -> Step {
        if control?.isCancelled == true { throw .cancelled }
        if wasIdle {
            watch?.drain()
            wasIdle = false
        }
        while !isFinished {
            let records = parse(upTo: max(1, limit))
            if !records.isEmpty { return .records(records) }
            if isFinished { break }
            switch try fill() {
            case .more: continue
            case .idle:
                wasIdle = true
                return .idle
            case .end: isFinished = true
            }
        }
        lastFile = files.last ?? lastFile
        files = []
        return .end
    }

    /// Gives out the next records, and waits for them if need be.
    ///
    /// - Parameter limit: the most records to return; at least 1.
    /// - Returns: at least one record; nil at the end.
    /// - Throws: the kernel's reason, or `cancelled`.
    public func read(upTo limit: Int = 1024) throws(ContainerIOError) -> [LogRecord]? {
        while true {
            switch try next(upTo: limit) {
            case .records(let records): return records
            case .end: return nil
            case .idle: try watch?.wait(until: options.until)
            }
        }
    }

    /// Where another reader goes on after the records that this one has given out.
    ///
    /// Nil when nothing was written yet.
    public var place: LogPlace? {
        guard let file = files.first ?? lastFile else { return nil }
        return LogPlace(
            device: file.identity.device.packed,
            inode: file.identity.inode,
            offset: file.offset - Int64(buffer.count - position),
            lastRecord: last?.offset ?? -1,
            lastTime: last?.time ?? Timestamp(seconds: 0, nanoseconds: 0)
        )
    }

    // MARK: - Records

    private func parse(upTo limit: Int) -> [LogRecord] {
        var records: [LogRecord] = []
        while records.count < limit, let file = files.first, let line = takeLine(of: file) {
            guard let record = parser.record(line.bytes) else {
                skippedLines += 1
                continue
            }
            last = (line.offset, record.timestamp)
            if let until = options.until, record.timestamp > until {
                isFinished = true
                break
            }
            if let since = options.since, record.timestamp < since { continue }
            guard options.streams.contains(record.stream), line.offset >= file.start(of: record.stream) else {
                continue
            }
            records.append(record)
        }
        return records
    }

    /// The next line in the buffer with its place in the file; nil when the buffer holds no whole one.
    private func takeLine(of file: LogFile) -> (bytes: ArraySlice<UInt8>, offset: Int64)? {
        while position < buffer.count {
            let rest = buffer[position...]
            // Sound: the buffer is the slice's storage, used inside the closure only.
            let found = unsafe rest.withUnsafeBytes { unsafe Memory.firstIndex(of: LogFormat.newline, in: $0) }
            guard let found else {
                if isAtTornEnd {
                    isAtTornEnd = false
                    position = buffer.count
                    return (rest, file.offset - Int64(rest.count))
                }
                if rest.count > Self.maximumLineByteCount {
                    isSkippingLine = true
                    position = buffer.count
                }
                return nil
            }
            let offset = file.offset - Int64(rest.count)
            position += found + 1
            if isSkippingLine {
                isSkippingLine = false
                skippedLines += 1
                continue
            }
            return (rest[..<position], offset)
        }
        return nil
    }

    // MARK: - Files

    /// Reads on, or finds out why there is nothing to read.
    private func fill() throws(ContainerIOError) -> Fill {
        // Asked before reading: what was written before the end is then surely seen.
        let hasEnded = !options.follow || control?.hasEnded == true || watch?.isOver(options.until) == true
        guard let file = files.first else {
            if options.follow { try scan() }
            return files.isEmpty ? (hasEnded ? .end : .idle) : .more
        }
        if try readChunk(of: file) { return .more }
        if options.follow, files.count == 1 { try scan() }
        if files.count == 1, !hasEnded { return .idle }
        guard file.isSealed else {
            // Nobody writes to it any more, but it may have grown between the read and the look for a successor.
            file.isSealed = true
            return .more
        }
        if finishTornLine() { return .more }
        guard files.count > 1 else { return .end }
        files.removeFirst()
        last = nil
        return .more
    }

    private func readChunk(of file: LogFile) throws(ContainerIOError) -> Bool {
        let chunk = try file.read(Self.chunkByteCount)
        guard !chunk.isEmpty else { return false }
        buffer = position < buffer.count ? buffer[position...] + chunk : chunk
        position = 0
        return true
    }

    /// At the end of a file that nobody writes to: what stands there without a newline was torn by a crash, or is being
    /// written and then belongs to what came after this reader's end.
    ///
    /// - Returns: whether there is something to give out.
    private func finishTornLine() -> Bool {
        let hasText = position < buffer.count && !isSkippingLine
        if isSkippingLine { skippedLines += 1 }
        isSkippingLine = false
        isAtTornEnd = hasText
        return hasText
    }
}
