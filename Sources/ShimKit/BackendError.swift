public import Kernel

/// A step of a backend that failed.
public struct BackendError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What the callers of the shim decide by.
    public let code: ErrorCode
    /// The named step, such as "mounts" or "exec".
    public let stage: String
    /// The call that failed, such as "mount overlay".
    public let operation: String
    /// What it was applied to, such as a path; may be empty.
    public let object: String
    /// What the kernel said, when it was the kernel.
    public let errno: Errno?
    /// More for people; may be empty.
    public let detail: String

    private init(
        code: ErrorCode,
        stage: String,
        operation: String,
        object: String,
        errno: Errno?,
        detail: String
    ) {
        self.code = code
        self.stage = stage
        self.operation = operation
        self.object = object
        self.errno = errno
        self.detail = detail
    }

    /// A call to the kernel that failed.
    public static func failed(
        stage: String,
        operation: String,
        object: String = "",
        errno: Errno,
        code: ErrorCode? = nil
    ) -> BackendError {
        BackendError(
            code: code ?? errno.code,
            stage: stage,
            operation: operation,
            object: object,
            errno: errno,
            detail: ""
        )
    }

    /// A call to the kernel that failed, as `Kernel` reports it.
    public static func failed(stage: String, _ error: KernelError, code: ErrorCode? = nil) -> BackendError {
        BackendError(
            code: code ?? error.code,
            stage: stage,
            operation: error.operation,
            object: error.object,
            errno: error.errno,
            detail: ""
        )
    }

    /// A step that cannot be done for a reason other than the kernel's, or for one that another program has told in its words.
    ///
    /// - Parameters:
    ///   - stage: The named step.
    ///   - operation: What was to be done.
    ///   - object: To what; may be empty.
    ///   - code: What callers decide by.
    ///   - detail: The reason; control characters in it are escaped.
    ///   - errno: What the kernel said to that other program, where that is known.
    /// - Returns: The error.
    public static func refused(
        stage: String,
        operation: String,
        object: String = "",
        code: ErrorCode,
        detail: String,
        errno: Errno? = nil
    ) -> BackendError {
        BackendError(
            code: code,
            stage: stage,
            operation: operation,
            object: object,
            errno: errno,
            detail: printable(detail)
        )
    }

    /// What another program has told may be anything, and is shown on terminals: what no terminal prints stands as `\u{1b}`.
    private static func printable(_ text: String) -> String {
        func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar.value {
            case 0x09, 0x0a: true
            // Control characters, and marks that change the order of what is around them.
            case 0..<0x20, 0x7f...0x9f, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0xfeff: false
            default: true
            }
        }
        guard !text.unicodeScalars.allSatisfy(isPrintable) else { return text }
        return text.unicodeScalars.reduce(into: "") { result, scalar in
            if isPrintable(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            }
        }
    }

    /// `stage: operation object: reason`.
    public var description: String {
        var text = stage.isEmpty ? operation : "\(stage): \(operation)"
        if !object.isEmpty {
            text += " '\(object)'"
        }
        // In words that are another program's, it is said already.
        if let errno, detail.isEmpty {
            text += ": \(errno)"
        }
        return detail.isEmpty ? text : "\(text): \(detail)"
    }
}
