/// A JSON object whose last member is a check value of all bytes before it, so that a changed byte is noticed.
///
/// It finds damage; it protects from nobody. An object without one is of an earlier version, or another program's, and is believed.
package enum CheckedObject {
    private static let name = Array(#","check":""#.utf8)
    private static let end = Array("\"}".utf8)
    private static let digits = 16
    private static let tail = name.count + digits + end.count

    /// An object with its check value.
    ///
    /// - Parameter object: its bytes, which end in a brace, with one member at least.
    /// - Returns: the longer object.
    package static func sealed(_ object: [UInt8]) -> [UInt8] {
        let body = object.dropLast()
        return Array(body) + name + value(body) + end
    }

    /// Whether an object is as it was written.
    ///
    /// What carries a check value is known by its shape, in which one byte may be wrong: that is damage as well.
    ///
    /// - Parameter object: its bytes, with or without a newline behind it.
    /// - Returns: false when its check value is that of other bytes.
    package static func isSound(_ object: some BidirectionalCollection<UInt8>) -> Bool {
        let object = Array(object.last == 0x0a ? object.dropLast() : object[...])
        // White space at its end was a newline; a reader of JSON would not mind.
        guard object.first == UInt8(ascii: "{"), object.last == UInt8(ascii: "}") else { return false }
        guard object.count > tail else { return true }
        let (body, rest) = (object.dropLast(tail), object.suffix(tail))
        let shape = name + Array(repeating: 0, count: digits) + end
        let isFixed = { (place: Int) in place < name.count || place >= name.count + digits }
        let likeness = zip(rest, shape).enumerated().count { isFixed($0.offset) && $0.element.0 == $0.element.1 }
        // By chance some of an object's last bytes are the same; hardly half of them.
        guard likeness > (name.count + end.count) / 2 else { return true }
        return rest.elementsEqual(name + value(body) + end)
    }

    /// Whether an object is as it was written by a program that gives all of them a check value.
    ///
    /// - Parameter object: its bytes.
    /// - Returns: false also for one without.
    package static func isSealed(_ object: [UInt8]) -> Bool {
        guard object.count > tail else { return false }
        return object.suffix(tail).elementsEqual(name + value(object.dropLast(tail)) + end)
    }

    /// What is wrong with lines of which each is such an object; nil for nothing.
    ///
    /// - Parameter lines: with a newline behind each.
    /// - Returns: The first line that is wrong.
    package static func damage(ofLines lines: [UInt8]) -> String? {
        guard let last = lines.last else { return nil }
        guard last == 0x0a else { return "its last line is cut" }
        var number = 0
        for line in lines.dropLast().split(separator: 0x0a, omittingEmptySubsequences: false) {
            number += 1
            guard isSound(line) else { return "line \(number) is another than was written" }
        }
        return nil
    }

    /// 64-bit FNV-1a: any single changed byte gives another value.
    package static func fingerprint(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    /// A check value in hexadecimal digits.
    private static func value(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let text = String(fingerprint(bytes), radix: 16)
        return Array((String(repeating: "0", count: digits - text.utf8.count) + text).utf8)
    }
}
