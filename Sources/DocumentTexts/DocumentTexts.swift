// Texts with a grammar of their own inside of documents and images: users and groups, lists of numbers, kernel parameters.
//
// They come from others and are read with bounds, by nobody else's code; what they say is applied elsewhere. A text that
// is not exactly of its grammar is an error, never something near to it.

package import Kernel

/// A text that is not of its grammar, or that names what is not there.
package struct TextError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The class of the error.
    package let code: ErrorCode
    /// What was done, such as `check`.
    package let operation: String
    /// The field that the text stands in, or the text itself.
    package let object: String
    /// Why it is refused.
    package let reason: String

    /// `operation 'object': reason`.
    package var description: String { "\(operation) '\(object)': \(reason)" }

    static func invalid(_ field: String, _ reason: String) -> TextError {
        TextError(code: .invalidArgument, operation: "check", object: field, reason: reason)
    }

    static func refused(_ operation: String, _ object: String, _ reason: String, code: ErrorCode) -> TextError {
        TextError(code: code, operation: operation, object: object, reason: reason)
    }
}
