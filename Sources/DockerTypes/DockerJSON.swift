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
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw Failure(description: describe(error))
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
            return located(context, context.codingPath.isEmpty ? corrupted(context) : "value out of range")
        @unknown default:
            return "not valid JSON"
        }
    }

    /// The decoder reports a number that does not fit its field without the field's place, but with the number.
    private static func corrupted(_ context: DecodingError.Context) -> String {
        let cause = context.underlyingError.map { "\($0)" } ?? context.debugDescription
        guard cause.contains("not representable") || cause.contains("NotRepresentable") else { return "not valid JSON" }
        let number = cause.split { !"+-.eE0123456789".contains($0) }.first { $0.contains(where: \.isNumber) }
        return "number \(number ?? "") is out of range or not whole"
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
