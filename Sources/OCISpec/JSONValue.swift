// A JSON reader for the documents that stand between a client and a started container.
//
// `Codable` reads the same documents, and everything else uses it. A shim reads each of its documents once, as the first
// thing it does for a start; the general decoder costs it more time than all system calls of its set-up together, and more
// memory than it may have. This reader does only what these documents need. The same values can be written, for what a
// runtime command keeps and prints.

/// A JSON value (RFC 8259).
package enum JSONValue: Sendable {
    case null
    case bool(Bool)
    /// A whole number from -2^63 to 2^64 - 1.
    case integer(negative: Bool, magnitude: UInt64)
    /// A number that is none of those; no document has a use for it.
    case otherNumber
    case string(String)
    case array([JSONValue])
    case object([(key: String, value: JSONValue)])

    var kind: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .otherNumber: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// Why a document could not be read.
public struct DocumentError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Where in the document, such as `process.user`; empty for the whole.
    public private(set) var path: String
    /// What is wrong there.
    public let reason: String

    /// The place and the reason.
    public var description: String { path.isEmpty ? reason : "\(path): \(reason)" }

    static func malformed(_ reason: String, at offset: Int) -> DocumentError {
        DocumentError(path: "", reason: "not valid JSON: \(reason) at byte \(offset)")
    }

    static func repeated(_ key: String, at offset: Int) -> DocumentError {
        DocumentError(path: key, reason: "the member is there twice, again at byte \(offset)")
    }

    static func unexpected(_ value: JSONValue, wanted: String) -> DocumentError {
        DocumentError(path: "", reason: "\(value.kind) instead of \(wanted)")
    }

    static func missing(_ key: String) -> DocumentError { DocumentError(path: key, reason: "missing") }

    static func invalid(_ reason: String) -> DocumentError { DocumentError(path: "", reason: reason) }

    /// The same where the text is read: of its errors only one about a member has a place in the document.
    func leaving(_ key: String) -> DocumentError { path.isEmpty ? self : inside(key) }

    /// The same error seen from one level further out.
    func inside(_ key: String) -> DocumentError {
        DocumentError(path: path.isEmpty ? key : "\(key).\(path)", reason: reason)
    }
}
