public import Kernel

/// What went wrong with a profile or a program.
public struct SeccompError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The class of the error.
    public let code: ErrorCode
    /// Lower-case text with the object and its values.
    public let message: String

    /// The message.
    public var description: String { message }

    static func invalidProfile(_ message: String) -> SeccompError {
        SeccompError(code: .invalidArgument, message: "seccomp profile: \(message)")
    }

    static func unsupported(_ message: String) -> SeccompError {
        SeccompError(code: .unsupported, message: "seccomp profile: \(message)")
    }

    static func compile(_ operation: String, _ status: Int32) -> SeccompError {
        SeccompError(code: .internal, message: "compile seccomp profile: \(operation): error \(-status)")
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
