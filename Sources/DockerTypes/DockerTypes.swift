// DockerTypes: the JSON documents of the Docker Engine API at version 1.51, as values.
//
// The server and the client share them, so a field's spelling exists once. Two rules hold for every type:
// a field that Docker always sends is a `@Zero` property, which takes its zero value when the peer leaves the field out or
// sends null; a field that Docker leaves out when it is empty is optional, and nil is left out. One that Docker sends as null is both.
// A type is built by `init()` and then filled in.

/// A type with a value that stands for "not said", as in Go.
public protocol ZeroValue {
    /// The zero value.
    init()
}

extension String: ZeroValue {}
extension Bool: ZeroValue {}
extension Int: ZeroValue {}
extension UInt64: ZeroValue {}
extension Array: ZeroValue {}
extension Dictionary: ZeroValue {}

extension Optional: ZeroValue {
    /// Nothing, which is sent as null.
    public init() { self = nil }
}

/// A field that is always sent and that is zero when the peer does not send it or sends null.
@propertyWrapper
public struct Zero<Value: ZeroValue> {
    /// The field's value.
    public var wrappedValue: Value

    /// The zero value.
    public init() {
        wrappedValue = Value()
    }

    /// A given value.
    public init(wrappedValue: Value) {
        self.wrappedValue = wrappedValue
    }
}

extension Zero: Sendable where Value: Sendable {}
extension Zero: Equatable where Value: Equatable {}

extension Zero: Encodable where Value: Encodable {
    /// Encodes the bare value.
    public func encode(to encoder: any Encoder) throws {
        try wrappedValue.encode(to: encoder)
    }
}

extension Zero: Decodable where Value: Decodable {
    /// Decodes the bare value; null is the zero value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? Value() : try container.decode(Value.self)
    }
}

extension KeyedDecodingContainer {
    /// What synthesised decoding calls for a `@Zero` property: a missing key or null is the zero value.
    public func decode<Value: Decodable & ZeroValue>(_ type: Zero<Value>.Type, forKey key: Key) throws -> Zero<Value> {
        Zero(wrappedValue: try decodeIfPresent(Value.self, forKey: key) ?? Value())
    }
}

extension KeyedEncodingContainer {
    /// What synthesised encoding calls for a `@Zero` property: the bare value.
    public mutating func encode<Value: Encodable & ZeroValue>(_ value: Zero<Value>, forKey key: Key) throws {
        try encode(value.wrappedValue, forKey: key)
    }
}

/// The value of a set that is written as an object, such as `{"80/tcp": {}}`.
public struct Empty: Codable, Sendable, Equatable, ZeroValue {
    /// The only value.
    public init() {}

    /// Accepts anything, because only the key carries meaning.
    public init(from decoder: any Decoder) throws {}

    /// Encodes `{}`.
    public func encode(to encoder: any Encoder) throws {
        _ = encoder.container(keyedBy: NoKeys.self)
    }

    private enum NoKeys: CodingKey {}
}

/// A list of strings that a client may also send as one string.
public struct StringList: Codable, Sendable, Equatable, ExpressibleByArrayLiteral, ZeroValue {
    /// The strings.
    public var values: [String]

    /// An empty list.
    public init() {
        values = []
    }

    /// A list of `values`.
    public init(_ values: [String]) {
        self.values = values
    }

    /// A list of `elements`.
    public init(arrayLiteral elements: String...) {
        values = elements
    }

    /// Decodes an array of strings or one string.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let one = try? container.decode(String.self) {
            // Not a string is the usual case, and what follows reports what is wrong with anything else.
            values = [one]
        } else {
            values = try container.decode([String].self)
        }
    }

    /// Encodes an array of strings.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(values)
    }
}

/// A time as Go writes it: RFC 3339 with up to nine fractional digits, year 1 for "never".
public struct GoTime: Codable, Sendable, Equatable, ExpressibleByStringLiteral, ZeroValue {
    /// The text.
    public var text: String

    /// The time that means "never".
    public static let never = GoTime("0001-01-01T00:00:00Z")

    /// Never.
    public init() {
        self = .never
    }

    /// The time that `text` names; the text is not checked.
    public init(_ text: String) {
        self.text = text
    }

    /// The time that the literal names.
    public init(stringLiteral value: String) {
        text = value
    }

    /// Whether this is the time that means "never"; empty text counts.
    public var isNever: Bool {
        text.isEmpty || text.hasPrefix("0001-01-01T00:00:00")
    }

    /// Decodes a string.
    public init(from decoder: any Decoder) throws {
        text = try decoder.singleValueContainer().decode(String.self)
    }

    /// Encodes the text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
