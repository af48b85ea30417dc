/// What can be read from a JSON value.
protocol JSONReadable {
    /// Reads the value.
    init(json: JSONValue) throws(DocumentError)
}

/// A JSON object as the source of a document's fields.
///
/// What nobody asks for is ignored; `null` counts as absent.
struct JSONObject {
    private let members: [(key: String, value: JSONValue)]

    init(_ value: JSONValue) throws(DocumentError) {
        guard case .object(let members) = value else { throw .unexpected(value, wanted: "an object") }
        self.members = members
    }

    /// The field's value, nil when absent.
    func read<Value: JSONReadable>(_ key: String) throws(DocumentError) -> Value? {
        guard let value = members.first(where: { $0.key == key })?.value else { return nil }
        if case .null = value { return nil }
        do throws(DocumentError) { return try Value(json: value) } catch { throw error.inside(key) }
    }

    /// The value of a field that must be there.
    func require<Value: JSONReadable>(_ key: String) throws(DocumentError) -> Value {
        guard let value: Value = try read(key) else { throw .missing(key) }
        return value
    }
}

extension String: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        guard case .string(let text) = json else { throw .unexpected(json, wanted: "a string") }
        self = text
    }
}

extension Bool: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        guard case .bool(let value) = json else { throw .unexpected(json, wanted: "a boolean") }
        self = value
    }
}

extension FixedWidthInteger {
    init(json: JSONValue) throws(DocumentError) {
        guard case .integer(let negative, let magnitude) = json else {
            throw .unexpected(json, wanted: "a whole number")
        }
        let value: Self? =
            negative ? Self(exactly: Int64(truncatingIfNeeded: 0 &- magnitude)) : Self(exactly: magnitude)
        guard let value else { throw .invalid("the number is out of range") }
        self = value
    }
}

extension Int: JSONReadable {}
extension Int32: JSONReadable {}
extension Int64: JSONReadable {}
extension UInt16: JSONReadable {}
extension UInt32: JSONReadable {}
extension UInt64: JSONReadable {}

extension Array: JSONReadable where Element: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        guard case .array(let elements) = json else { throw .unexpected(json, wanted: "an array") }
        self = []
        reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            do throws(DocumentError) { append(try Element(json: element)) } catch { throw error.inside("[\(index)]") }
        }
    }
}

extension Dictionary: JSONReadable where Key == String, Value: JSONReadable {
    init(json: JSONValue) throws(DocumentError) {
        guard case .object(let members) = json else { throw .unexpected(json, wanted: "an object") }
        self = [:]
        for member in members {
            do throws(DocumentError) { self[member.key] = try Value(json: member.value) } catch {
                throw error.inside(member.key)
            }
        }
    }
}

extension JSONReadable where Self: RawRepresentable, RawValue == String {
    init(json: JSONValue) throws(DocumentError) {
        let text = try String(json: json)
        guard let value = Self(rawValue: text) else { throw .invalid("unknown value '\(text)'") }
        self = value
    }
}
