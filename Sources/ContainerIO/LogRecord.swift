public import Kernel

/// One record of a container's log.
public struct LogRecord: Sendable, Equatable {
    /// When the shim took the bytes from the process.
    public var timestamp: Timestamp
    /// On which output they were written.
    public var stream: StdioStream
    /// Whether the line goes on in a later record of the same stream.
    public var isPartial: Bool
    /// Whether the shim wrote this record, to tell of output that it had to drop.
    public var isNotice: Bool
    /// The bytes exactly as the process wrote them, with the newline unless the record is partial.
    ///
    /// The slice shares storage with others of the same read.
    public var bytes: ArraySlice<UInt8>

    /// A record with all its parts.
    public init(
        timestamp: Timestamp,
        stream: StdioStream,
        isPartial: Bool,
        isNotice: Bool = false,
        bytes: ArraySlice<UInt8>
    ) {
        self.timestamp = timestamp
        self.stream = stream
        self.isPartial = isPartial
        self.isNotice = isNotice
        self.bytes = bytes
    }
}

/// Reads lines of the CRI text format.
package struct LogParser {
    /// What stands before a record's text.
    struct Header: Equatable {
        var timestamp: Timestamp
        var stream: StdioStream
        var isPartial: Bool
        var isNotice: Bool
        /// Bytes of the line before the text.
        var byteCount: Int
    }

    /// The text of the second that `second` is the value of: most records share it with their neighbour.
    private var date: [UInt8] = []
    private var second: Int64 = 0

    package init() {}

    /// Reads one line.
    ///
    /// - Parameter line: the line with its newline, or without it when it is the file's torn end.
    /// - Returns: nil when it is not a record.
    package mutating func record(_ line: ArraySlice<UInt8>) -> LogRecord? {
        guard let header = header(line) else { return nil }
        let isWhole = line.last == LogFormat.newline
        let text = line.dropFirst(header.byteCount)
        return LogRecord(
            timestamp: header.timestamp,
            stream: header.stream,
            isPartial: header.isPartial || !isWhole,
            isNotice: header.isNotice,
            bytes: isWhole && header.isPartial ? text.dropLast() : text
        )
    }

    /// Reads what stands before the text.
    mutating func header(_ line: ArraySlice<UInt8>) -> Header? {
        ownHeader(line) ?? anyHeader(line)
    }

    /// What this target's writer wrote: everything has its fixed place.
    private mutating func ownHeader(_ line: ArraySlice<UInt8>) -> Header? {
        guard line.count >= LogFormat.prefixByteCount else { return nil }
        let start = line.startIndex
        let tag = line[start + LogPrefix.tagOffset]
        guard line[start + 30] == LogFormat.space, line[start + 37] == LogFormat.space,
            tag == LogFormat.full || tag == LogFormat.partial, line[start + 39] == LogFormat.space,
            let stream = stream(line[(start + 31)..<(start + 37)]),
            let timestamp = timestamp(line[start..<(start + LogFormat.timestampByteCount)])
        else { return nil }
        return Header(
            timestamp: timestamp,
            stream: stream,
            isPartial: tag == LogFormat.partial,
            isNotice: false,
            byteCount: LogFormat.prefixByteCount
        )
    }

    private func stream(_ name: ArraySlice<UInt8>) -> StdioStream? {
        guard name.starts(with: "std".utf8) else { return nil }
        let rest = name.dropFirst(3)
        if rest.elementsEqual("out".utf8) { return .stdout }
        return rest.elementsEqual("err".utf8) ? .stderr : nil
    }

    /// What any writer of the format may write.
    private mutating func anyHeader(_ line: ArraySlice<UInt8>) -> Header? {
        guard let timeEnd = line.prefix(40).firstIndex(of: LogFormat.space),
            let timestamp = timestamp(line[line.startIndex..<timeEnd])
        else { return nil }
        let rest = line[(timeEnd + 1)...]
        guard let streamEnd = rest.prefix(7).firstIndex(of: LogFormat.space),
            let stream = stream(rest[rest.startIndex..<streamEnd])
        else { return nil }
        let tail = rest[(streamEnd + 1)...]
        // A writer may leave out the space before an empty text.
        let tagsEnd = tail.prefix(64).firstIndex { $0 == LogFormat.space || $0 == LogFormat.newline } ?? tail.endIndex
        let tags = tail[tail.startIndex..<tagsEnd].split(separator: UInt8(ascii: ":"))
        guard let first = tags.first, first.count == 1, let tag = first.first,
            tag == LogFormat.full || tag == LogFormat.partial
        else { return nil }
        let hasSpace = tagsEnd < tail.endIndex && tail[tagsEnd] == LogFormat.space
        return Header(
            timestamp: timestamp,
            stream: stream,
            isPartial: tag == LogFormat.partial,
            isNotice: tags.dropFirst().contains { $0.elementsEqual(LogFormat.droppedTag.utf8) },
            byteCount: tagsEnd - line.startIndex + (hasSpace ? 1 : 0)
        )
    }

    private mutating func timestamp(_ text: ArraySlice<UInt8>) -> Timestamp? {
        guard text.count == LogFormat.timestampByteCount, text.last == UInt8(ascii: "Z") else {
            // Written by another program: any RFC 3339 time will do.
            return Timestamp(String(decoding: text, as: UTF8.self))
        }
        if !text.prefix(19).elementsEqual(date) {
            guard let whole = Timestamp(String(decoding: text.prefix(19), as: UTF8.self) + "Z") else { return nil }
            date = Array(text.prefix(19))
            second = whole.seconds
        }
        var nanoseconds: UInt32 = 0
        guard text[text.startIndex + 19] == UInt8(ascii: ".") else { return nil }
        for byte in text[(text.startIndex + 20)..<(text.startIndex + 29)] {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            nanoseconds = nanoseconds * 10 + UInt32(byte - UInt8(ascii: "0"))
        }
        return Timestamp(seconds: second, nanoseconds: nanoseconds)
    }
}
