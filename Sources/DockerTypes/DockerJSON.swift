import FoundationEssentials

/// Reading and writing of Docker's JSON, with errors that a person can act on.
public enum DockerJSON {
    /// A document that is not what was expected.
    public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
        /// What is wrong and where, such as `HostConfig.Memory: expected a number`.
        public let description: String
    }

    /// The bytes of `value` as JSON, without a line feed; `/` is not escaped.
    ///
    /// - Throws: `EncodingError` for a value that JSON cannot hold, such as a number that is not finite.
    public static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    /// The value that `bytes` hold.
    ///
    /// - Throws: ``Failure`` that names the field and what it should be.
    public static func decode<Value: Decodable>(
        _ type: Value.Type,
        from bytes: some Sequence<UInt8>
    ) throws(Failure) -> Value {
        let data = Data(bytes)
        do {
            return try JSONDecoder().decode(type, from: data)
        } catch let error as DecodingError {
            // The decoder calls a number that does not fit its field invalid JSON and does not say where it stands.
            let number = (try? JSONDecoder().decode(LooseJSON.self, from: data))?.unfitNumber(at: "")
            throw Failure(description: number ?? describe(error))
        } catch {
            throw Failure(description: "not valid JSON")
        }
    }

    private static func describe(_ error: DecodingError) -> String {
        switch error {
        case .typeMismatch(let type, let context):
            return located(context, "expected \(name(of: type))")
        case .valueNotFound(let type, let context):
            return located(context, "expected \(name(of: type)), found null")
        case .keyNotFound(let key, let context):
            return located(context, "field '\(key.stringValue)' is missing")
        case .dataCorrupted(let context):
            return located(context, context.codingPath.isEmpty ? "not valid JSON" : "value out of range")
        @unknown default:
            return "not valid JSON"
        }
    }

    private static func located(_ context: DecodingError.Context, _ text: String) -> String {
        var path = ""
        for key in context.codingPath {
            if let index = key.intValue {
                path += "[\(index)]"
            } else {
                path += path.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
        return path.isEmpty ? text : "\(path): \(text)"
    }

    private static func name(of type: Any.Type) -> String {
        switch type {
        case is String.Type, is GoTime.Type: "a string"
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is any BinaryFloatingPoint.Type: "a number"
        case is [Any].Type, is any RangeReplaceableCollection.Type: "an array"
        default: "an object"
        }
    }
}

/// Any JSON document, read only to find a number that no field of a whole number can hold.
private enum LooseJSON: Decodable {
    case object([String: LooseJSON])
    case array([LooseJSON])
    case number(Double)
    case other

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        // Each attempt that fails only says that the value is of another kind.
        if let value = try? container.decode([String: LooseJSON].self) {
            self = .object(value)
        } else if let value = try? container.decode([LooseJSON].self) {
            self = .array(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else {
            self = .other
        }
    }

    /// The first number below `path` that is not whole or too large, as a message.
    func unfitNumber(at path: String) -> String? {
        switch self {
        case .number(let value) where Int(exactly: value) == nil && UInt64(exactly: value) == nil:
            return "\(path): expected a whole number in range"
        case .number, .other:
            return nil
        case .array(let items):
            return items.enumerated().lazy.compactMap { $1.unfitNumber(at: "\(path)[\($0)]") }.first
        case .object(let fields):
            return fields.sorted { $0.key < $1.key }.lazy.compactMap { key, value in
                value.unfitNumber(at: path.isEmpty ? key : "\(path).\(key)")
            }.first
        }
    }
}
