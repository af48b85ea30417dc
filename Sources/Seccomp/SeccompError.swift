public import Kernel

/// What went wrong with a profile or a program.
public struct SeccompError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The class of the error.
    public let code: ErrorCode
    /// Lower-case text with the object and its values.
    public let message: String
    /// What of the profile is meant, such as `syscalls[3].args`; empty for the whole.
    public let field: String

    /// The message.
    public var description: String { message }

    init(code: ErrorCode, message: String, field: String = "") {
        self.code = code
        self.message = message
        self.field = field
    }

    static func invalidProfile(_ message: String, at field: String = "") -> SeccompError {
        SeccompError(code: .invalidArgument, message: "seccomp profile: \(message)", field: field)
    }

    static func unsupported(_ message: String, at field: String = "") -> SeccompError {
        SeccompError(code: .unsupported, message: "seccomp profile: \(message)", field: field)
    }

    /// The same error, told of a part of what it is about.
    func inside(_ part: String) -> SeccompError {
        SeccompError(code: code, message: message, field: field.isEmpty ? part : "\(part).\(field)")
    }

    static func wrongVerdict(_ call: String) -> SeccompError {
        SeccompError(
            code: .internal,
            message: "compile seccomp profile: the program disagrees with the profile on \(call)"
        )
    }

    static func malformedProgram(_ reason: String) -> SeccompError {
        SeccompError(code: .invalidArgument, message: "seccomp program: \(reason)")
    }

    static func file(_ error: KernelError) -> SeccompError {
        SeccompError(code: error.code, message: error.description)
    }
}
