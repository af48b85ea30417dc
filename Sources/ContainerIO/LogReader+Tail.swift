internal import Kernel

/// Finds where the last lines of a log begin, reading it backwards.
struct TailFinder {
    /// A stream, seen from its end.
    private struct Stream {
        /// Whether records are parts of a line that is given out.
        var isInLine = false
        /// Whether the last line that is given out has been passed.
        var isDone = false
        /// File and place of the first record to give out.
        var start: (file: Int, offset: Int64)
    }

    private let options: LogReaderOptions
    private var missing: Int
    private var streams: [Stream]

    init(_ options: LogReaderOptions, lines: Int, end: (file: Int, offset: Int64)) {
        self.options = options
        missing = lines
        streams = Array(repeating: Stream(start: end), count: 2)
    }

    private static func index(_ stream: StdioStream) -> Int { stream == .stdout ? 0 : 1 }

    /// Where a stream's lines begin.
    func start(of stream: StdioStream) -> (file: Int, offset: Int64) { streams[Self.index(stream)].start }

    /// Whether enough lines were found.
    var hasAllLines: Bool { missing == 0 }
    /// Whether also the beginning of every line that is given out was found.
    var isComplete: Bool { hasAllLines && streams.allSatisfy { !$0.isInLine } }

    /// Takes the record before the one that was given last.
    mutating func see(_ header: LogParser.Header, file: Int, offset: Int64) {
        guard options.streams.contains(header.stream) else { return }
        if let until = options.until, header.timestamp > until { return }
        var stream = streams[Self.index(header.stream)]
        defer { streams[Self.index(header.stream)] = stream }
        guard !stream.isDone else { return }
        if header.isPartial, stream.isInLine {
            stream.start = (file, offset)
        } else if missing > 0 {
            missing -= 1
            stream.isInLine = true
            stream.start = (file, offset)
        } else {
            stream.isInLine = false
            stream.isDone = true
        }
    }
}

extension LogReader {
    private static let blockByteCount = 64 << 10
    /// How much more is read for the beginning of a line in parts once enough lines are found: other streams may have
    /// written any amount in between.
    private static let overrunByteCount = 1 << 20

    /// Makes the reader begin with the last lines of what exists.
    func skipAllBut(_ lines: Int) throws(ContainerIOError) {
        guard let last = files.last else { return }
        let end = try wholeLines(of: last)
        var finder = TailFinder(options, lines: max(0, lines), end: (files.count - 1, end))
        var overrun = 0
        scan: for index in files.indices.reversed() {
            var upper = index == files.count - 1 ? end : try files[index].size()
            while upper > 0, !finder.isComplete {
                let lower = try scanBlock(file: index, below: upper, &finder)
                if finder.hasAllLines { overrun += Int(upper - lower) }
                upper = lower
                if overrun > Self.overrunByteCount { break scan }
            }
            if finder.isComplete { break }
        }
        apply(finder)
    }

    /// The place after the last complete line: what follows is still being written.
    private func wholeLines(of file: LogFile) throws(ContainerIOError) -> Int64 {
        let end: Int64
        if let limit = file.limit { end = limit } else { end = try file.size() }
        let lower = max(0, end - Int64(Self.maximumLineByteCount))
        let last = try file.read(1, at: max(0, end - 1))
        guard end > 0, last != [LogFormat.newline] else { return end }
        let block = try file.read(Int(end - lower), at: lower)
        return block.lastIndex(of: LogFormat.newline).map { lower + Int64($0) + 1 } ?? lower
    }

    private func apply(_ finder: TailFinder) {
        let first = min(finder.start(of: .stdout).file, finder.start(of: .stderr).file)
        for stream in StdioStream.allCases {
            let start = finder.start(of: stream)
            for index in files.indices where index <= start.file {
                files[index].setStart(index == start.file ? start.offset : .max, of: stream)
            }
        }
        files.removeFirst(first)
        if let file = files.first { file.offset = min(file.start(of: .stdout), file.start(of: .stderr)) }
    }

    /// Shows the finder the records between some place and `upper`, last first.
    ///
    /// - Returns: the place, always before `upper`.
    private func scanBlock(file: Int, below upper: Int64, _ finder: inout TailFinder) throws(ContainerIOError) -> Int64
    {
        var size = Int64(Self.blockByteCount)
        while true {
            let lower = max(0, upper - size)
            let block = try files[file].read(Int(upper - lower), at: lower)
            var starts = lineStarts(block, startsLine: lower == 0)
            guard !starts.isEmpty || lower == 0 || size > Self.maximumLineByteCount else {
                size *= 4
                continue
            }
            // A line that begins before a block too big for a record is none.
            let resume = starts.first.map { lower + Int64($0) } ?? lower
            // What follows the last newline is no record yet, but the end of the text when nothing follows.
            if starts.last == block.count { starts.removeLast() }
            for start in starts.reversed() {
                guard let header = parser.header(block[start...]) else { continue }
                finder.see(header, file: file, offset: lower + Int64(start))
                if finder.isComplete { break }
            }
            return min(resume, upper - 1)
        }
    }

    private func lineStarts(_ block: [UInt8], startsLine: Bool) -> [Int] {
        var starts = startsLine ? [0] : []
        var position = 0
        // Sound: the array's own storage, used inside the closure only.
        unsafe block.withUnsafeBytes { bytes in
            while let next = unsafe Memory.firstIndex(
                of: LogFormat.newline,
                in: UnsafeRawBufferPointer(rebasing: bytes[position...])
            ) {
                position += next + 1
                starts.append(position)
            }
        }
        return starts
    }
}
