import Kernel

/// A container's id: 64 lower-case hexadecimal digits.
public struct ContainerID: Hashable, Sendable, Comparable, Codable, CustomStringConvertible {
    /// The 64 digits.
    public let description: String

    /// The id that `text` spells, or nil when it is not 64 lower-case hexadecimal digits.
    public init?(_ text: String) {
        guard HexIdentifier.isValid(text) else { return nil }
        description = text
    }

    /// A fresh random id.
    public static func random() -> ContainerID {
        ContainerID(unchecked: HexIdentifier.random())
    }

    private init(unchecked text: String) {
        description = text
    }

    /// The first 12 digits, as people read them.
    public var short: String { String(description.prefix(12)) }

    /// Decodes an id, refusing anything that is not one.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let id = ContainerID(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a container id: '\(text)'")
        }
        self = id
    }

    /// Encodes the 64 digits.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// Orders by the digits.
    public static func < (left: ContainerID, right: ContainerID) -> Bool { left.description < right.description }
}

/// An exec session's id: 64 lower-case hexadecimal digits.
public struct ExecID: Hashable, Sendable, Codable, CustomStringConvertible {
    /// The 64 digits.
    public let description: String

    /// The id that `text` spells, or nil when it is not 64 lower-case hexadecimal digits.
    public init?(_ text: String) {
        guard HexIdentifier.isValid(text) else { return nil }
        description = text
    }

    /// A fresh random id.
    public static func random() -> ExecID {
        ExecID(unchecked: HexIdentifier.random())
    }

    private init(unchecked text: String) {
        description = text
    }

    /// Decodes an id, refusing anything that is not one.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let id = ExecID(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an exec id: '\(text)'")
        }
        self = id
    }

    /// Encodes the 64 digits.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

package enum HexIdentifier {
    package static let length = 64

    static func isValid(_ text: String) -> Bool {
        text.utf8.count == length && isHex(text)
    }

    package static func isHex(_ text: String) -> Bool {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    package static func random() -> String {
        var generator = SystemRandomNumberGenerator()
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(length)
        for _ in 0..<(length / 16) {
            var word = generator.next()
            for _ in 0..<16 {
                text.append(digits[Int(word & 15)])
                word >>= 4
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
