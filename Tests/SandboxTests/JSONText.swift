import FoundationEssentials
import OCISpec

/// A JSON document that tests change at one place, also into what no encoder writes.
enum JSONText: Decodable {
    case null
    case bool(Bool)
    case integer(Int64)
    case string(String)
    case array([JSONText])
    case object([(key: String, value: JSONText)])
    /// Text as it is.
    case raw(String)

    struct Key: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    init(from decoder: any Decoder) throws {
        if let object = try? decoder.container(keyedBy: Key.self) {
            self = .object(
                try object.allKeys.map { ($0.stringValue, try object.decode(JSONText.self, forKey: $0)) }
                    .sorted { $0.0 < $1.0 }
            )
            return
        }
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let bool = try? value.decode(Bool.self) {
            self = .bool(bool)
        } else if let integer = try? value.decode(Int64.self) {
            self = .integer(integer)
        } else if let string = try? value.decode(String.self) {
            self = .string(string)
        } else {
            self = .array(try value.decode([JSONText].self))
        }
    }

    /// A runtime document.
    init(_ spec: RuntimeSpec) throws {
        self = try JSONDecoder().decode(JSONText.self, from: JSONEncoder().encode(spec))
    }

    var text: String {
        switch self {
        case .null: return "null"
        case .bool(let value): return "\(value)"
        case .integer(let value): return "\(value)"
        case .string(let text): return Self.quoted(text)
        case .array(let elements): return "[" + elements.map(\.text).joined(separator: ",") + "]"
        case .object(let members):
            return "{" + members.map { "\(Self.quoted($0.key)):\($0.value.text)" }.joined(separator: ",") + "}"
        case .raw(let text): return text
        }
    }

    private static func quoted(_ text: String) -> String {
        let scalars = text.unicodeScalars.map { scalar in
            let hex = String(scalar.value, radix: 16)
            if scalar == "\"" || scalar == "\\" { return "\\\(scalar)" }
            return scalar.value < 0x20 ? "\\u" + String(repeating: "0", count: 4 - hex.count) + hex : "\(scalar)"
        }
        return "\"" + scalars.joined() + "\""
    }

    /// The document with another value at a place such as `mounts.[0].type`; nil removes it, what is missing is made.
    func setting(_ path: String, to value: JSONText?) -> JSONText {
        setting(path.split(separator: ".")[...], to: value) ?? .null
    }

    private func setting(_ path: ArraySlice<Substring>, to value: JSONText?) -> JSONText? {
        guard let first = path.first else { return value }
        if first.hasPrefix("["), let index = Int(first.dropFirst().dropLast()) {
            var elements: [JSONText] = []
            if case .array(let present) = self { elements = present }
            while elements.count <= index { elements.append(.object([])) }
            elements[index] = elements[index].setting(path.dropFirst(), to: value) ?? .null
            return .array(elements)
        }
        var members: [(key: String, value: JSONText)] = []
        if case .object(let present) = self { members = present }
        let old = members.first { $0.key == first }?.value ?? .object([])
        members.removeAll { $0.key == first }
        if let new = old.setting(path.dropFirst(), to: value) { members.append((String(first), new)) }
        return .object(members)
    }
}
