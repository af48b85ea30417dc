/// Changes that make valid inputs almost valid.
enum Mutation {
    /// Texts that readers of numbers, strings and lists stumble over.
    private static let texts: [String] = [
        "-1", "0", "-0", "18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809",
        "9223372036854775807", "4294967295", "4294967296", "1e999", "1.5", "01", "null", "true", "[]", "{}", "\"\"",
        "\"\\u0000\"", "\"\\uD800\"", "\"\\uDC00\\uD800\"", "\\", "\"", ",", ":", "{", "}", "[", "]", "\u{0}", "//",
        "\"../..\"", "SCMP_ACT_NOTIFY", "%d", "0-8191", "99999999999999999999",
    ]

    /// Bytes with a few changes: flipped, removed, doubled, cut, with parts of others or odd words in between.
    static func damaged(_ bytes: [UInt8], _ others: [[UInt8]], _ random: inout Generator) -> [UInt8] {
        var bytes = bytes
        for _ in 0...random.below(5) {
            guard !bytes.isEmpty else { return bytes }
            let place = random.below(bytes.count)
            switch random.below(9) {
            case 0: bytes[place] ^= 1 << UInt8(random.below(8))
            case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
            case 2: bytes.removeSubrange(place..<min(bytes.count, place + 1 + random.below(8)))
            case 3: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 1 + random.below(64))], at: place)
            case 4: bytes.removeSubrange(place...)
            case 5, 6: replaceToken(in: &bytes, at: place, by: Array(texts[random.below(texts.count)].utf8))
            case 7:
                let other = others[random.below(others.count)]
                let start = random.below(other.count)
                let part = other[start..<min(other.count, start + random.below(128))]
                bytes.replaceSubrange(place..<min(bytes.count, place + random.below(32)), with: part)
            default:
                let many = [UInt8](repeating: Array("[{\"0-,:".utf8)[random.below(7)], count: random.below(300))
                bytes.insert(contentsOf: many, at: place)
            }
        }
        return bytes
    }

    /// Puts something else in the place of the word around a position.
    private static func replaceToken(in bytes: inout [UInt8], at place: Int, by text: [UInt8]) {
        let borders = Set(Array(",:[]{}".utf8))
        var (start, end) = (place, place)
        while start > 0, !borders.contains(bytes[start - 1]) { start -= 1 }
        while end < bytes.count, !borders.contains(bytes[end]) { end += 1 }
        bytes.replaceSubrange(start..<end, with: text)
    }
}
