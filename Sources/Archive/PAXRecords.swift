/// The keywords of one PAX extended header that Berth understands (POSIX.1-2017 "pax Extended Header").
struct PAXRecords: Equatable {
    var path: [UInt8]?
    var linkPath: [UInt8]?
    var size: Int64?
    var uid: UInt32?
    var gid: UInt32?
    var modified: TarEntry.Time?
    var attributes: [TarEntry.Attribute] = []

    private static let attributePrefix = "SCHILY.xattr."

    init(_ bytes: [UInt8], _ limits: TarParser.Limits) throws(ArchiveError) {
        var seen = Set<String>()
        var rest = bytes[...]
        while !rest.isEmpty {
            let (key, value) = try PAXRecords.next(&rest)
            guard seen.insert(key).inserted else { throw .malformed("PAX header with two values for '\(key)'") }
            try set(key, value)
        }
    }

    /// Accepts a global header only when it changes nothing: a comment.
    static func verifyGlobal(_ bytes: [UInt8], _ limits: TarParser.Limits) throws(ArchiveError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let (key, _) = try next(&rest)
            guard key == "comment" else { throw .unsupported("PAX global header with '\(key)'") }
        }
    }

    /// Takes one record, `length key=value\n`, from the front.
    private static func next(_ rest: inout ArraySlice<UInt8>) throws(ArchiveError) -> (String, ArraySlice<UInt8>) {
        let digits = rest.prefix(8).prefix { $0 != 0x20 }
        let length = try decimal(digits, "record length")
        guard length > 0, length <= rest.count else { throw .malformed("PAX record of impossible length \(length)") }
        let record = rest.prefix(Int(length))
        guard record.endIndex > digits.endIndex + 1, record.last == 0x0a else {
            throw .malformed("PAX record out of form")
        }
        let body = record[(digits.endIndex + 1)...].dropLast()
        guard let equals = body.firstIndex(of: UInt8(ascii: "=")), equals > body.startIndex else {
            throw .malformed("PAX record without a keyword")
        }
        guard let key = String(validating: body[..<equals], as: UTF8.self), !key.utf8.contains(0) else {
            throw .malformed("PAX keyword that is no text")
        }
        rest = rest[record.endIndex...]
        return (key, body[(equals + 1)...])
    }

    private mutating func set(_ key: String, _ value: ArraySlice<UInt8>) throws(ArchiveError) {
        if key.hasPrefix(PAXRecords.attributePrefix) {
            let name = String(key.dropFirst(PAXRecords.attributePrefix.count))
            attributes.append(TarEntry.Attribute(name: name, value: Array(value)))
            return
        }
        guard !key.hasPrefix("GNU.sparse.") else { throw .unsupported("sparse tar member") }
        // An empty value takes the keyword back; the plain header counts then.
        guard !value.isEmpty else { return }
        switch key {
        case "path": path = try PAXRecords.text(value, key)
        case "linkpath": linkPath = try PAXRecords.text(value, key)
        case "size": size = try PAXRecords.decimal(value, key)
        case "uid": uid = try TarHeader.identity(try PAXRecords.decimal(value, key), key)
        case "gid": gid = try TarHeader.identity(try PAXRecords.decimal(value, key), key)
        case "mtime": modified = try PAXRecords.time(value)
        default: break  // atime, ctime, names of owners, comments, other programs' own keywords
        }
    }

    private static func text(_ value: ArraySlice<UInt8>, _ key: String) throws(ArchiveError) -> [UInt8] {
        guard !value.contains(0) else { throw .malformed("PAX '\(key)' with a NUL") }
        return Array(value)
    }

    private static func decimal(_ digits: ArraySlice<UInt8>, _ what: String) throws(ArchiveError) -> Int64 {
        guard !digits.isEmpty, digits.count <= 19, digits.allSatisfy({ (0x30...0x39).contains($0) }),
            let value = Int64(String(decoding: digits, as: UTF8.self))
        else { throw .malformed("PAX header with a malformed \(what)") }
        return value
    }

    /// `[-]seconds[.fraction]`; digits of the fraction after the ninth do not count.
    private static func time(_ value: ArraySlice<UInt8>) throws(ArchiveError) -> TarEntry.Time {
        let negative = value.first == UInt8(ascii: "-")
        let parts = (negative ? value.dropFirst() : value).split(
            separator: UInt8(ascii: "."),
            omittingEmptySubsequences: false
        )
        guard let whole = parts.first, parts.count <= 2 else { throw .malformed("PAX header with a malformed mtime") }
        var seconds = try decimal(whole, "mtime")
        var nanoseconds: Int64 = 0
        if parts.count == 2 {
            let fraction = parts[1].prefix(9)
            guard parts[1].allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw .malformed("PAX header with a malformed mtime")
            }
            for index in 0..<9 {
                let digit = index < fraction.count ? Int64(fraction[fraction.startIndex + index] - 0x30) : 0
                nanoseconds = nanoseconds * 10 + digit
            }
        }
        if negative {
            seconds = nanoseconds > 0 ? -seconds - 1 : -seconds
            nanoseconds = nanoseconds > 0 ? 1_000_000_000 - nanoseconds : 0
        }
        return TarEntry.Time(seconds: seconds, nanoseconds: UInt32(nanoseconds))
    }
}
