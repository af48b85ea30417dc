extension JSONValue {
    /// Reads a text.
    ///
    /// - Parameter bytes: The text, UTF-8.
    /// - Throws: Where and why it is not JSON.
    package init(parsing bytes: [UInt8]) throws(DocumentError) { self = try JSONParser.parse(bytes) }

    /// A whole number.
    package static func number(_ value: some FixedWidthInteger) -> JSONValue {
        .integer(negative: value < 0, magnitude: UInt64(value.magnitude))
    }

    /// Texts in their order.
    package static func strings(_ values: [String]) -> JSONValue { .array(values.map { .string($0) }) }

    /// Texts by name, sorted.
    package static func strings(_ values: [String: String]) -> JSONValue {
        .object(values.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
    }

    /// The member of an object; nil for anything else, and for `null`.
    package subscript(_ key: String) -> JSONValue? {
        guard case .object(let members) = self, let value = members.first(where: { $0.key == key })?.value else {
            return nil
        }
        if case .null = value { return nil }
        return value
    }

    /// The text of a string.
    package var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    /// The value of a boolean.
    package var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The value of a whole number that fits.
    package func integer<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value? {
        guard case .integer(let negative, let magnitude) = self else { return nil }
        return negative ? Value(exactly: Int64(truncatingIfNeeded: 0 &- magnitude)) : Value(exactly: magnitude)
    }

    /// The texts of an object's members.
    package var stringsByName: [String: String]? {
        guard case .object(let members) = self else { return nil }
        var result: [String: String] = [:]
        for member in members { result[member.key] = member.value.string }
        return result
    }

    /// The value as JSON text.
    ///
    /// - Parameter indented: Whether for people: two blanks a level, one member a line.
    /// - Returns: The text, without a new line at its end.
    package func text(indented: Bool = false) -> String {
        var text = ""
        write(to: &text, indented ? 0 : nil)
        return text
    }

    /// Writes at a level of indentation, nil for none.
    private func write(to text: inout String, _ level: Int?) {
        switch self {
        case .null, .otherNumber: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let negative, let magnitude): text += negative ? "-\(magnitude)" : "\(magnitude)"
        case .string(let value): text += Self.quoted(value)
        case .array(let elements):
            Self.writeList("[", "]", elements, to: &text, level) { element, text, level in
                element.write(to: &text, level)
            }
        case .object(let members):
            Self.writeList("{", "}", members, to: &text, level) { member, text, level in
                text += Self.quoted(member.key) + (level == nil ? ":" : ": ")
                member.value.write(to: &text, level)
            }
        }
    }

    private static func writeList<Element>(
        _ opening: String,
        _ closing: String,
        _ elements: [Element],
        to text: inout String,
        _ level: Int?,
        _ write: (Element, inout String, Int?) -> Void
    ) {
        text += opening
        for (index, element) in elements.enumerated() {
            if index > 0 { text += "," }
            if let level { text += "\n" + String(repeating: "  ", count: level + 1) }
            write(element, &text, level.map { $0 + 1 })
        }
        if let level, !elements.isEmpty { text += "\n" + String(repeating: "  ", count: level) }
        text += closing
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\u{0}"..<"\u{20}":
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
