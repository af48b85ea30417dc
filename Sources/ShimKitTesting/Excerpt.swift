/// What another program has written, as part of a message: one line, short, and nothing in it that a terminal obeys.
struct Excerpt: CustomStringConvertible {
    /// The line; empty for nothing.
    let description: String

    /// Shows so many characters.
    init(_ bytes: [UInt8], limit: Int = 200) {
        // Four bytes are the longest character.
        let text = String(decoding: bytes.prefix(4 * limit), as: UTF8.self)
        let words = text.split { $0.isWhitespace }.joined(separator: " ").unicodeScalars
        let shown = words.prefix(limit).map(Self.visible).joined()
        let isWhole = words.count <= limit && bytes.count <= 4 * limit
        description = isWhole ? shown : "\(shown)… (\(bytes.count) bytes)"
    }

    init(_ text: String, limit: Int = 200) { self.init(Array(text.utf8), limit: limit) }

    /// Why a check failed, which may be the words of a shim.
    static func reason(_ text: String) -> String { Excerpt(text, limit: 2000).description }

    private static func visible(_ scalar: Unicode.Scalar) -> String {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            "\\u{\(String(scalar.value, radix: 16))}"
        default: String(scalar)
        }
    }
}
