/// A JSON object whose last member is a check value of all bytes before it, so that a changed byte is noticed.
///
/// It finds damage; it protects from nobody. An object without one is of an earlier version and is believed.
package enum CheckedObject {
    private static let name = Array(#","check":""#.utf8)
    private static let end = Array("\"}".utf8)
    private static let digits = 16

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
    /// - Parameter object: its bytes, with or without a newline behind it.
    /// - Returns: false when its check value is that of other bytes.
    package static func isSound(_ object: some BidirectionalCollection<UInt8>) -> Bool {
        let object = Array(object.last == 0x0a ? object.dropLast() : object[...])
        let tail = name.count + digits + end.count
        guard object.count > tail else { return true }
        let body = object.dropLast(tail)
        let rest = object.suffix(tail)
        return !rest.starts(with: name) || rest.dropFirst(name.count).elementsEqual(value(body) + end)
    }

    /// 64-bit FNV-1a, in hexadecimal digits.
    private static func value(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let hash: UInt64 = bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let text = String(hash, radix: 16)
        return Array((String(repeating: "0", count: digits - text.utf8.count) + text).utf8)
    }
}
