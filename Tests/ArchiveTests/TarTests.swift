import Archive
import Kernel
import Testing

/// Header blocks by hand, so that they can lie.
struct Block {
    var bytes = [UInt8](repeating: 0, count: 512)

    init(_ name: String, type: Character = "0", size: String = "00000000000", magic: String = "ustar\u{0}00") {
        put(name, 0)
        put("0000644", 100)
        put("0000000", 108)
        put("0000000", 116)
        put(size, 124)
        put("00000000000", 136)
        bytes[156] = type.asciiValue ?? 0
        put(magic, 257)
        seal()
    }

    mutating func put(_ text: String, _ offset: Int) { put(Array(text.utf8), offset) }

    mutating func put(_ value: [UInt8], _ offset: Int) {
        bytes.replaceSubrange(offset..<offset + value.count, with: value)
    }

    /// Makes the checksum right.
    mutating func seal() {
        put("        ", 148)
        let sum = String(bytes.reduce(0) { $0 + Int($1) }, radix: 8)
        put(String(repeating: "0", count: 6 - sum.count) + sum + "\u{0} ", 148)
    }

    /// An extended header with its content.
    static func extended(_ type: Character, _ content: [UInt8]) -> [UInt8] {
        let size = String(content.count, radix: 8)
        let block = Block("x", type: type, size: String(repeating: "0", count: 11 - size.count) + size)
        return block.bytes + content + [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    static func pax(_ records: [(String, String)]) -> [UInt8] {
        extended("x", records.flatMap { record($0.0, Array($0.1.utf8)) })
    }

    static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let body = Array(" \(key)=".utf8) + value + [0x0a]
        var length = body.count + 1
        while String(length).utf8.count + body.count != length { length = String(length).utf8.count + body.count }
        return Array(String(length).utf8) + body
    }
}

/// What an archive holds, or why it is refused.
func read(_ bytes: [UInt8], step: Int = .max) -> Result<[(TarEntry, [UInt8])], ArchiveError> {
    let reader = TarReader(BytesSource(bytes, step: step))
    var members: [(TarEntry, [UInt8])] = []
    do throws(ArchiveError) {
        while let entry = try reader.next() {
            var content: [UInt8] = []
            while let data = try reader.nextData() { content += data }
            members.append((entry, content))
        }
    } catch { return .failure(error) }
    return .success(members)
}

func code(_ bytes: [UInt8]) -> ErrorCode? {
    if case .failure(let error) = read(bytes) { return error.code }
    return nil
}

struct TarTests {
    static let end = [UInt8](repeating: 0, count: 1024)
    static let one = Array("x".utf8) + [UInt8](repeating: 0, count: 511)

    static let full: [TarEntry] = [
        TarEntry(path: "d".utf8, kind: .directory, mode: 0o1777, uid: 1, gid: 2, modified: .init(seconds: 5)),
        TarEntry(path: "d/f".utf8, kind: .file, mode: 0o4755, uid: 3_000_000_000, size: 3),
        TarEntry(
            path: String(repeating: "long/", count: 60).utf8,
            kind: .symbolicLink,
            linkTarget: String(repeating: "t", count: 300).utf8
        ),
        TarEntry(path: "h".utf8, kind: .hardLink, linkTarget: "d/f".utf8),
        TarEntry(path: "c".utf8, kind: .characterDevice(major: 1, minor: 3)),
        TarEntry(path: "b".utf8, kind: .blockDevice(major: 7, minor: 1)),
        TarEntry(path: "p".utf8, kind: .fifo, modified: .init(seconds: -3, nanoseconds: 5)),
        TarEntry(path: [0x61, 0xff], kind: .file, attributes: [.init(name: "user.a", value: [0, 10, 255])]),
    ]

    @Test(arguments: [1, 7, 512, 100_000]) func whatIsWrittenIsRead(_ step: Int) throws {
        var bytes: [UInt8] = []
        for entry in Self.full {
            bytes += TarWriter.header(entry) + (entry.size == 3 ? [1, 2, 3] + TarWriter.padding(after: 3) : [])
        }
        let members = try read(bytes + TarWriter.end, step: step).get()
        #expect(members.map(\.0) == Self.full)
        #expect(members[1].1 == [1, 2, 3])
    }

    @Test func numbersInBase256() throws {
        var block = Block("f")
        block.put([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe], 108)
        block.put([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe], 136)
        block.seal()
        let entry = try #require(try read(block.bytes + Self.end).get().first).0
        #expect(entry.uid == 4_294_967_294)
        #expect(entry.modified.seconds == -2)
    }

    @Test func namesOfGNU() throws {
        let name = String(repeating: "n", count: 200)
        let bytes =
            Block.extended("L", Array(name.utf8) + [0]) + Block.extended("K", Array("target".utf8) + [0])
            + Block("short", type: "2", magic: "ustar  \u{0}").bytes + Self.end
        let entry = try #require(try read(bytes).get().first).0
        #expect(entry.path == name)
        #expect(entry.linkTarget == Array("target".utf8))
    }

    @Test func timesHaveNanoseconds() throws {
        let bytes = Block.pax([("mtime", "-1.25"), ("uid", "70000")]) + Block("f").bytes + Self.end
        let entry = try #require(try read(bytes).get().first).0
        #expect(entry.modified == .init(seconds: -2, nanoseconds: 750_000_000))
        #expect(entry.uid == 70000)
    }

    @Test func largeSizeNeedsPAXAlone() throws {
        var parser = TarParser()
        let size = 0o77777777777 + 1
        let records = Block.record("size", Array(String(size).utf8))
        #expect(try parser.header(Array(Block.extended("x", records)[..<512])) == .readExtended(records.count))
        try parser.extended(records)
        guard case .entry(let entry) = try parser.header(Block("f").bytes) else { throw Unexpected() }
        #expect(entry.size == Int64(size))
    }

    struct Unexpected: Error {}

    static let lies: [(String, ErrorCode, [UInt8])] = [
        ("ustar 0, PAX 1", .invalidArgument, Block.pax([("size", "1")]) + Block("f").bytes + one),
        ("ustar 1, PAX 0", .invalidArgument, Block.pax([("size", "0")]) + Block("f", size: "00000000001").bytes + one),
        ("PAX twice", .invalidArgument, Block.pax([("path", "a"), ("path", "b")]) + Block("f").bytes),
        (
            "two PAX headers", .invalidArgument,
            Block.pax([("path", "a")]) + Block.pax([("path", "b")]) + Block("f").bytes
        ),
        (
            "PAX and GNU names", .invalidArgument,
            Block.pax([("path", "a")]) + Block.extended("L", [0x62, 0]) + Block("f").bytes
        ),
        (
            "two GNU names", .invalidArgument,
            Block.extended("L", [0x62, 0]) + Block.extended("L", [0x63, 0]) + Block("f").bytes
        ),
        (
            "NUL in PAX path", .invalidArgument,
            Block.extended("x", Block.record("path", [0x61, 0, 0x62])) + Block("f").bytes
        ),
        ("NUL in GNU name", .invalidArgument, Block.extended("L", [0x61, 0, 0x62, 0]) + Block("f").bytes),
        ("negative PAX size", .invalidArgument, Block.pax([("size", "-1")]) + Block("f").bytes),
        ("PAX size with sign", .invalidArgument, Block.pax([("size", "+1")]) + Block("f").bytes),
        ("PAX size too large", .invalidArgument, Block.pax([("size", "99999999999999999999")]) + Block("f").bytes),
        ("PAX length too long", .invalidArgument, Block.extended("x", Array("99 path=a\n".utf8)) + Block("f").bytes),
        ("PAX length too short", .invalidArgument, Block.extended("x", Array("5 path=a\n".utf8)) + Block("f").bytes),
        ("PAX length zero", .invalidArgument, Block.extended("x", Array("0 path=a\n".utf8)) + Block("f").bytes),
        ("PAX without end", .invalidArgument, Block.extended("x", Array("9 path=ab".utf8)) + Block("f").bytes),
        ("PAX without keyword", .invalidArgument, Block.extended("x", Array("5 =a\n".utf8)) + Block("f").bytes),
        ("PAX global path", .unsupported, Block.extended("g", Block.record("path", [0x61])) + Block("f").bytes),
        ("PAX at the end", .invalidArgument, Block.pax([("path", "a")]) + end),
        ("PAX of 2 GiB", .resourceExhausted, Block("x", type: "x", size: "20000000000").bytes),
        ("name of 2 GiB", .resourceExhausted, Block("x", type: "L", size: "20000000000").bytes),
        ("sparse of GNU", .unsupported, Block("f", type: "S").bytes),
        ("sparse of PAX", .unsupported, Block.pax([("GNU.sparse.major", "1")]) + Block("f").bytes),
        ("unknown type", .unsupported, Block("f", type: "Z").bytes),
        ("volume label", .unsupported, Block("f", type: "V").bytes),
        ("directory with content", .invalidArgument, Block("d", type: "5", size: "00000000001").bytes + one),
        ("hard link with content", .invalidArgument, Block("h", type: "1", size: "00000000001").bytes + one),
        ("link without target", .invalidArgument, Block("l", type: "2").bytes),
        ("no name", .invalidArgument, Block("").bytes),
        ("wrong magic", .invalidArgument, Block("f", magic: "uster\u{0}00").bytes),
        ("octal garbage", .invalidArgument, Block("f", size: "0000000000x").bytes),
        ("octal with a hole", .invalidArgument, Block("f", size: "0000 000001").bytes),
        ("size in negative base-256", .invalidArgument, binarySize([0xff] + [UInt8](repeating: 0xff, count: 11))),
        ("size in huge base-256", .invalidArgument, binarySize([0x80] + [UInt8](repeating: 0xff, count: 11))),
        ("lone zero block", .invalidArgument, [UInt8](repeating: 0, count: 512) + Block("f").bytes + end),
        ("hidden behind the end", .invalidArgument, Block("f").bytes + end + Block("g").bytes + end),
        ("truncated content", .invalidArgument, Block("f", size: "00000001001").bytes + one),
        ("truncated header", .invalidArgument, Array(Block("f").bytes[..<300])),
        ("uid that means nobody", .invalidArgument, Block.pax([("uid", "4294967295")]) + Block("f").bytes),
        ("uid too large", .invalidArgument, Block.pax([("uid", "4294967296")]) + Block("f").bytes),
    ]

    static func binarySize(_ size: [UInt8]) -> [UInt8] {
        var block = Block("f")
        block.put(size, 124)
        block.seal()
        return block.bytes
    }

    @Test(arguments: lies.indices) func liesAreRefused(_ index: Int) {
        let (name, expected, bytes) = Self.lies[index]
        #expect(code(bytes) == expected, "\(name)")
    }

    @Test func wrongChecksumIsRefused() {
        var block = Block("f")
        block.bytes[0] = 0x67
        #expect(code(block.bytes + Self.end) == .invalidArgument)
    }

    @Test func commentsForTheWholeArchiveAreHarmless() throws {
        let bytes = Block.extended("g", Block.record("comment", [0x61])) + Block("f").bytes + Self.end
        #expect(try read(bytes).get().count == 1)
    }

    @Test func bytesAtRandomNeverTrap() {
        var random = SplitMix(state: 1)
        for round in 0..<3000 {
            var bytes =
                Block.pax([("path", "a"), ("mtime", "1.5")]) + Block("f", size: "00000000005").bytes + Self.one
                + Self.end
            for _ in 0...(round % 8) {
                bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
            }
            var sealed = Block("f")
            sealed.bytes = Array(bytes[1024..<1536])
            sealed.seal()
            if round % 2 == 0 { bytes.replaceSubrange(1024..<1536, with: sealed.bytes) }
            _ = read(bytes, step: round % 3 == 0 ? 100 : .max)
            _ = read((0..<1024).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        }
    }
}

/// A small generator with a fixed start, so that a failure comes again.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
