/// Reads a tar archive member by member from a source of bytes.
///
/// After `next()` gave a member, `nextData()` gives its content piece by piece; what is not taken is skipped by the next
/// `next()`. After the end `next()` goes on to read the source to its own end and demands zeros there, so a digest taken
/// under the reader covers everything and nothing can hide behind the archive.
public final class TarReader {
    private static let block = TarHeader.size
    /// Padding after the end of an archive that is still believed to be padding.
    private static let mostTrailingBytes = 64 << 20

    private let source: any ByteSource
    private var parser: TarParser
    private var buffer: [UInt8]
    private var start = 0
    private var end = 0
    /// Bytes of the current member's content that were not given yet, and of the padding behind it.
    private var content: Int64 = 0
    private var padding = 0
    private var finished = false

    /// Creates a reader.
    ///
    /// - Parameters:
    ///   - source: The archive, not compressed.
    ///   - limits: Bounds on headers.
    ///   - bufferSize: Bytes read at once, at least one block.
    public init(_ source: any ByteSource, limits: TarParser.Limits = TarParser.Limits(), bufferSize: Int = 128 << 10) {
        self.source = source
        parser = TarParser(limits: limits)
        buffer = [UInt8](repeating: 0, count: max(bufferSize, TarReader.block))
    }

    /// Goes to the next member.
    ///
    /// - Returns: Nil at the end of the archive.
    /// - Throws: `invalidArgument` for what breaks the format, is ambiguous or ends early, `unsupported` for sparse and
    ///   unknown types, and what the source throws.
    public func next() throws(ArchiveError) -> TarEntry? {
        guard !finished else { return nil }
        try skip(content + Int64(padding))
        content = 0
        padding = 0
        while let block = try headerBlock() {
            switch try parser.header(block) {
            case .readExtended(let size): try parser.extended(try take(size))
            case .entry(let entry):
                content = entry.size
                padding = TarReader.padding(entry.size)
                return entry
            case .zeros(isEnd: true):
                try expectZerosToTheEnd()
                finished = true
                return nil
            case .zeros(isEnd: false): break
            }
        }
        guard parser.isComplete else { throw .truncated("tar archive") }
        finished = true
        return nil
    }

    /// Gives the next piece of the current member's content.
    ///
    /// - Parameter most: Most bytes to give.
    /// - Returns: At least one byte, or nil when there is no more. Let go of it before the next call: while it is held,
    ///   that call copies the buffer.
    /// - Throws: `invalidArgument` when the archive ends inside the content, and what the source throws.
    public func nextData(atMost most: Int = .max) throws(ArchiveError) -> ArraySlice<UInt8>? {
        guard content > 0 else { return nil }
        if start == end { try refill(demanded: true) }
        let count = Int(min(Int64(min(end - start, most)), content))
        defer {
            start += count
            content -= Int64(count)
        }
        return buffer[start..<start + count]
    }

    private static func padding(_ size: Int64) -> Int { Int((Int64(block) - size % Int64(block)) % Int64(block)) }

    /// The next block, or nil when the source ended before its first byte.
    private func headerBlock() throws(ArchiveError) -> [UInt8]? {
        if start == end { try refill(demanded: false) }
        guard start < end else { return nil }
        return try takeExactly(TarReader.block)
    }

    /// The next bytes with their padding skipped.
    private func take(_ count: Int) throws(ArchiveError) -> [UInt8] {
        let bytes = try takeExactly(count)
        try skip(Int64(TarReader.padding(Int64(count))))
        return bytes
    }

    private func takeExactly(_ count: Int) throws(ArchiveError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(min(count, 64 << 10))
        while bytes.count < count {
            if start == end { try refill(demanded: true) }
            let piece = min(count - bytes.count, end - start)
            bytes += buffer[start..<start + piece]
            start += piece
        }
        return bytes
    }

    private func skip(_ count: Int64) throws(ArchiveError) {
        var left = count
        while left > 0 {
            if start == end { try refill(demanded: true) }
            let piece = Int(min(Int64(end - start), left))
            start += piece
            left -= Int64(piece)
        }
    }

    private func refill(demanded: Bool) throws(ArchiveError) {
        start = 0
        end = 0
        end = try source.read(into: &buffer)
        if demanded, end == 0 { throw .truncated("tar archive") }
    }

    private func expectZerosToTheEnd() throws(ArchiveError) {
        var total = 0
        while true {
            guard buffer[start..<end].allSatisfy({ $0 == 0 }) else {
                throw .malformed("tar archive with content after its end")
            }
            total += end - start
            guard total <= TarReader.mostTrailingBytes else { throw .overLimit("tar archive with endless padding") }
            try refill(demanded: false)
            if end == 0 { return }
        }
    }
}
