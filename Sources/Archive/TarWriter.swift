/// Makes the bytes of tar archives: ustar headers, with a PAX header in front of what ustar cannot say.
///
/// A pure function of its input: the same members give the same bytes.
public enum TarWriter {
    /// The two blocks of zeros at the end of an archive.
    public static let end = [UInt8](repeating: 0, count: 2 * TarHeader.size)

    /// The headers of a member; its content and `padding(after:)` come behind them.
    public static func header(_ entry: TarEntry) -> [UInt8] {
        var records: [UInt8] = []
        let name = entry.pathBytes
        let link = entry.linkTarget
        if name.count > 100 { records += record("path", name) }
        if link.count > 100 { records += record("linkpath", link) }
        if entry.size > largestOctal { records += record("size", Array(String(entry.size).utf8)) }
        if entry.uid > 0o7777777 { records += record("uid", Array(String(entry.uid).utf8)) }
        if entry.gid > 0o7777777 { records += record("gid", Array(String(entry.gid).utf8)) }
        if entry.modified.nanoseconds > 0 || !(0...largestOctal).contains(entry.modified.seconds) {
            records += record("mtime", Array(time(entry.modified).utf8))
        }
        for attribute in entry.attributes { records += record("SCHILY.xattr." + attribute.name, attribute.value) }
        guard !records.isEmpty else { return block(entry) }
        let extended = TarEntry(path: "PaxHeaders/member".utf8, kind: .file, size: Int64(records.count))
        let padded = records + padding(after: Int64(records.count))
        return block(extended, type: UInt8(ascii: "x")) + padded + block(entry)
    }

    /// The zeros that fill up the last block of a content.
    public static func padding(after size: Int64) -> [UInt8] {
        let block = Int64(TarHeader.size)
        return [UInt8](repeating: 0, count: Int((block - size % block) % block))
    }

    private static let largestOctal: Int64 = 0o77777777777

    /// One PAX record; its length counts itself.
    static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let body = [0x20] + Array(key.utf8) + [UInt8(ascii: "=")] + value + [0x0a]
        var length = body.count + 1
        while String(length).utf8.count + body.count != length { length = String(length).utf8.count + body.count }
        return Array(String(length).utf8) + body
    }

    private static func time(_ time: TarEntry.Time) -> String {
        let before = time.seconds < 0 && time.nanoseconds > 0
        let seconds = before ? time.seconds + 1 : time.seconds
        let nanoseconds = before ? 1_000_000_000 - time.nanoseconds : time.nanoseconds
        let digits = String(nanoseconds)
        let fraction = nanoseconds == 0 ? "" : "." + String(repeating: "0", count: 9 - digits.utf8.count) + digits
        return (before && seconds == 0 ? "-0" : String(seconds)) + fraction
    }

    private static func block(_ entry: TarEntry, type override: UInt8? = nil) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: TarHeader.size)
        func put(_ bytes: some Sequence<UInt8>, at offset: Int, _ size: Int) {
            for (index, byte) in bytes.prefix(size).enumerated() { block[offset + index] = byte }
        }
        func put(octal value: Int64, at offset: Int, _ size: Int) {
            let digits = String(value, radix: 8)
            put((String(repeating: "0", count: max(0, size - 1 - digits.count)) + digits).utf8, at: offset, size - 1)
        }
        put(entry.pathBytes, at: 0, 100)
        put(octal: Int64(entry.mode), at: 100, 8)
        put(octal: entry.uid > 0o7777777 ? 0 : Int64(entry.uid), at: 108, 8)
        put(octal: entry.gid > 0o7777777 ? 0 : Int64(entry.gid), at: 116, 8)
        put(octal: entry.size > largestOctal ? 0 : entry.size, at: 124, 12)
        put(octal: (0...largestOctal).contains(entry.modified.seconds) ? entry.modified.seconds : 0, at: 136, 12)
        block[156] = override ?? type(entry.kind)
        put(entry.linkTarget, at: 157, 100)
        put("ustar\u{0}00".utf8, at: 257, 8)
        if case .characterDevice(let major, let minor) = entry.kind {
            put(octal: Int64(major), at: 329, 8)
            put(octal: Int64(minor), at: 337, 8)
        } else if case .blockDevice(let major, let minor) = entry.kind {
            put(octal: Int64(major), at: 329, 8)
            put(octal: Int64(minor), at: 337, 8)
        }
        let sum = 8 * 0x20 + block.reduce(0) { $0 + Int64($1) }
        put(octal: sum, at: 148, 7)
        block[155] = 0x20
        return block
    }

    private static func type(_ kind: TarEntry.Kind) -> UInt8 {
        switch kind {
        case .file: UInt8(ascii: "0")
        case .hardLink: UInt8(ascii: "1")
        case .symbolicLink: UInt8(ascii: "2")
        case .characterDevice: UInt8(ascii: "3")
        case .blockDevice: UInt8(ascii: "4")
        case .directory: UInt8(ascii: "5")
        case .fifo: UInt8(ascii: "6")
        }
    }
}
