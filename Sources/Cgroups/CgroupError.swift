public import Kernel

/// A control group that cannot be made, changed or asked.
public struct CgroupError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure it is.
    public let code: ErrorCode
    /// What was tried, for example `set memory.limit`.
    public let operation: String
    /// The field of the OCI resources that is meant; empty when none.
    public let field: String
    /// Why, in words.
    public let message: String
    /// The call that failed, if one did.
    public let cause: KernelError?

    /// One line.
    public var description: String {
        let reason = cause.map { "\($0)" } ?? message
        return message.isEmpty || cause == nil ? "\(operation): \(reason)" : "\(operation): \(message): \(reason)"
    }

    /// A call that failed.
    static func failed(
        _ operation: String,
        field: String = "",
        _ cause: KernelError,
        message: String = ""
    ) -> CgroupError {
        CgroupError(code: cause.code, operation: operation, field: field, message: message, cause: cause)
    }

    /// A limit that this host has no means for.
    static func unsupported(_ field: String, _ message: String) -> CgroupError {
        CgroupError(code: .unsupported, operation: "set \(field)", field: field, message: message, cause: nil)
    }

    /// A value outside the field's range.
    static func invalid(_ field: String, _ message: String) -> CgroupError {
        CgroupError(code: .invalidArgument, operation: "set \(field)", field: field, message: message, cause: nil)
    }

    /// A state that forbids the operation.
    static func precondition(_ operation: String, field: String = "", _ message: String) -> CgroupError {
        CgroupError(code: .failedPrecondition, operation: operation, field: field, message: message, cause: nil)
    }

    /// A wait whose time was up.
    static func timedOut(_ operation: String, _ message: String) -> CgroupError {
        CgroupError(code: .timedOut, operation: operation, field: "", message: message, cause: nil)
    }

    /// systemd refused, or could not be asked.
    static func systemd(_ operation: String, _ code: ErrorCode, _ message: String) -> CgroupError {
        CgroupError(code: code, operation: operation, field: "", message: message, cause: nil)
    }

    /// The name of something that exists already, and why it cannot be used.
    static func exists(_ path: String, _ reason: String) -> CgroupError {
        CgroupError(
            code: .alreadyExists,
            operation: "create cgroup '\(path)'",
            field: "",
            message: "it exists, and \(reason)",
            cause: nil
        )
    }
}
