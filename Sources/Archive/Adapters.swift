/// A source whose first bytes can be looked at before it is read.
public final class LookAhead: ByteSource {
    private let source: any ByteSource
    /// The first bytes: as many as asked for, fewer only when the source has fewer.
    public let head: [UInt8]
    private var given = 0

    /// Reads the first bytes of a source.
    ///
    /// - Throws: What the source throws.
    public init(_ source: any ByteSource, count: Int = 4) throws(ArchiveError) {
        self.source = source
        var head: [UInt8] = []
        while head.count < count {
            var buffer = [UInt8](repeating: 0, count: count - head.count)
            let read = try source.read(into: &buffer)
            if read == 0 { break }
            head += buffer[..<read]
        }
        self.head = head
    }

    /// Gives the first bytes, then the rest.
    public func read(into buffer: inout [UInt8]) throws(ArchiveError) -> Int {
        guard given < head.count else { return try source.read(into: &buffer) }
        let count = min(head.count - given, buffer.count)
        buffer.replaceSubrange(0..<count, with: head[given..<given + count])
        given += count
        return count
    }
}

/// The content of a tar reader's current member as a source.
public final class MemberSource: ByteSource {
    private let reader: TarReader

    /// Creates the source; it is good until the reader goes to the next member.
    public init(_ reader: TarReader) { self.reader = reader }

    /// Gives the next bytes of the content.
    public func read(into buffer: inout [UInt8]) throws(ArchiveError) -> Int {
        guard let data = try reader.nextData(atMost: buffer.count) else { return 0 }
        buffer.replaceSubrange(0..<data.count, with: data)
        return data.count
    }
}
