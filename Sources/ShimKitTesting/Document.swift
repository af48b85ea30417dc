/// A JSON document under construction, of any shape: a check also writes what no reader accepts.
public indirect enum Document: Sendable, Equatable {
    /// Nothing; as a member of an object, no member.
    case null
    /// True or false.
    case flag(Bool)
    /// A whole number.
    case number(Int128)
    /// A string.
    case text(String)
    /// An array.
    case list([Document])
    /// An object.
    case object([String: Document])

    /// A member of an object.
    ///
    /// Setting one turns what is no object into one.
    public subscript(name: String) -> Document {
        get {
            guard case .object(let members) = self else { return .null }
            return members[name] ?? .null
        }
        set {
            var members: [String: Document] = [:]
            if case .object(let present) = self { members = present }
            members[name] = newValue == .null ? nil : newValue
            self = .object(members)
        }
    }

    /// The elements of an array; none of anything else.
    public var elements: [Document] {
        get {
            guard case .list(let elements) = self else { return [] }
            return elements
        }
        set { self = .list(newValue) }
    }

    /// A string's text.
    public var string: String? {
        guard case .text(let text) = self else { return nil }
        return text
    }

    /// The document as JSON.
    public var json: String {
        switch self {
        case .null: "null"
        case .flag(let value): String(value)
        case .number(let value): String(value)
        case .text(let value): Self.quote(value)
        case .list(let elements): "[" + elements.map(\.json).joined(separator: ",") + "]"
        case .object(let members):
            "{"
                + members.sorted { $0.key < $1.key }.map { "\(Self.quote($0.key)):\($0.value.json)" }
                .joined(separator: ",") + "}"
        }
    }

    private static func quote(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case "\n": "\\n"
            case "\t": "\\t"
            default: String(scalar)
            }
        }
        return "\"\(escaped.joined())\""
    }
}

extension Document: ExpressibleByStringInterpolation, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// A string.
    public init(stringLiteral value: String) { self = .text(value) }
    /// True or false.
    public init(booleanLiteral value: Bool) { self = .flag(value) }
    /// A whole number.
    public init(integerLiteral value: Int128) { self = .number(value) }
    /// An array.
    public init(arrayLiteral elements: Document...) { self = .list(elements) }
    /// An object; of two members of one name the later holds.
    public init(dictionaryLiteral members: (String, Document)...) {
        self = .object(Dictionary(members) { $1 })
    }

    /// An array of strings.
    public static func texts(_ values: [String]) -> Document { .list(values.map { .text($0) }) }
}
