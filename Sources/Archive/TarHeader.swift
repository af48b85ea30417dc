/// The fields of one 512-byte header block, before any extended header is applied.
///
/// The layout is that of POSIX.1-2017 "ustar interchange format"; GNU's `ustar  ` magic and v7 blocks without magic share
/// its first 257 bytes.
struct TarHeader {
    static let size = 512

    var name: [UInt8]
    var mode: UInt32
    var uid: UInt32
    var gid: UInt32
    var size: Int64
    var modified: Int64
    var type: UInt8
    var linkName: [UInt8]
    var major: UInt32
    var minor: UInt32

    init(_ block: [UInt8]) throws(ArchiveError) {
        try TarHeader.verifyChecksum(block)
        let ustar = Array(block[257..<265]) == Array("ustar\u{0}00".utf8)
        let gnu = Array(block[257..<265]) == Array("ustar  \u{0}".utf8)
        guard ustar || gnu || block[257..<265].allSatisfy({ $0 == 0 }) else {
            throw .malformed("tar header with an unknown magic")
        }
        name = Array(TarHeader.text(block[0..<100]))
        linkName = Array(TarHeader.text(block[157..<257]))
        type = block[156]
        // Some writers leave file type bits in the mode; only the permission bits mean anything.
        mode = UInt32(truncatingIfNeeded: try TarHeader.number(block[100..<108], "mode") & 0o7777)
        uid = try TarHeader.identity(try TarHeader.number(block[108..<116], "uid"), "uid")
        gid = try TarHeader.identity(try TarHeader.number(block[116..<124], "gid"), "gid")
        size = try TarHeader.number(block[124..<136], "size")
        modified = try TarHeader.number(block[136..<148], "mtime", signed: true)
        major = 0
        minor = 0
        if type == UInt8(ascii: "3") || type == UInt8(ascii: "4") {
            major = try TarHeader.identity(try TarHeader.number(block[329..<337], "device major"), "device major")
            minor = try TarHeader.identity(try TarHeader.number(block[337..<345], "device minor"), "device minor")
        }
        if ustar {
            let prefix = TarHeader.text(block[345..<500])
            if !prefix.isEmpty { name = prefix + [UInt8(ascii: "/")] + name }
        }
    }

    /// Whether the block is all zeros, as the two at the end of an archive are.
    static func isZero(_ block: [UInt8]) -> Bool { block.allSatisfy { $0 == 0 } }

    private static func verifyChecksum(_ block: [UInt8]) throws(ArchiveError) {
        var sum: Int64 = 8 * 0x20
        for index in 0..<size where !(148..<156).contains(index) { sum += Int64(block[index]) }
        guard try number(block[148..<156], "checksum") == sum else {
            throw .malformed("tar header with a wrong checksum")
        }
    }

    /// Bytes up to the first NUL or the field's end.
    ///
    /// Names are bytes on Linux, in no character set.
    private static func text(_ field: ArraySlice<UInt8>) -> ArraySlice<UInt8> { field.prefix { $0 != 0 } }

    /// Octal digits among blanks, or GNU's base-256 form.
    static func number(_ field: ArraySlice<UInt8>, _ what: String, signed: Bool = false) throws(ArchiveError) -> Int64 {
        if let first = field.first, first & 0x80 != 0 { return try binary(field, what, signed: signed) }
        let digits = field.drop { $0 == 0x20 || $0 == 0 }.prefix { $0 != 0x20 && $0 != 0 }
        let rest = field[digits.endIndex...]
        guard rest.allSatisfy({ $0 == 0x20 || $0 == 0 }) || digits.isEmpty else {
            throw .malformed("tar header with a malformed \(what)")
        }
        var value: Int64 = 0
        for digit in digits {
            guard (0x30...0x37).contains(digit) else { throw .malformed("tar header with a malformed \(what)") }
            value = value << 3 | Int64(digit - 0x30)  // a field has at most 12 digits, 36 bits
        }
        return value
    }

    private static func binary(_ field: ArraySlice<UInt8>, _ what: String, signed: Bool) throws(ArchiveError) -> Int64 {
        guard let first = field.first else { return 0 }
        let negative = first & 0x40 != 0
        guard first == 0x80 || (first == 0xff && signed) else {
            throw .malformed("tar header with \(what) out of range")
        }
        var value: Int64 = negative ? -1 : 0
        for byte in field.dropFirst() {
            let (high, overflow) = value.multipliedReportingOverflow(by: 256)
            guard !overflow else { throw .malformed("tar header with \(what) out of range") }
            value = high | Int64(byte)
        }
        return value
    }

    /// A number of a user, group or device: 32 bits.
    static func identity(_ value: Int64, _ what: String) throws(ArchiveError) -> UInt32 {
        // The largest value means "no change" to chown(2), so it names nobody.
        guard let id = UInt32(exactly: value), id != .max else { throw .malformed("tar header with \(what) \(value)") }
        return id
    }
}
