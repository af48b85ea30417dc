/// What another program has written, as part of a message: one line, short, and nothing in it that a terminal obeys.
struct Excerpt: CustomStringConvertible {
    /// How many characters are shown.
    static let limit = 200

    /// The line; empty for nothing.
    let description: String

    init(_ bytes: [UInt8]) {
        // Four bytes are the longest character.
        let text = String(decoding: bytes.prefix(4 * Self.limit), as: UTF8.self)
        let words = text.split { $0.isWhitespace }.joined(separator: " ").unicodeScalars
        let shown = words.prefix(Self.limit).map(Self.visible).joined()
        let isWhole = words.count <= Self.limit && bytes.count <= 4 * Self.limit
        description = isWhole ? shown : "\(shown)… (\(bytes.count) bytes)"
    }

    init(_ text: String) { self.init(Array(text.utf8)) }

    private static func visible(_ scalar: Unicode.Scalar) -> String {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            "\\u{\(String(scalar.value, radix: 16))}"
        default: String(scalar)
        }
    }
}
