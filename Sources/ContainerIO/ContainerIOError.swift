public import Kernel

/// Why an operation on a container's log or stdio failed.
public struct ContainerIOError: Error, CustomStringConvertible, Sendable {
    /// The class of the failure.
    public let code: ErrorCode
    /// What was attempted, on what, and why it failed.
    public let message: String

    private init(code: ErrorCode, message: String) {
        self.code = code
        self.message = message
    }

    /// The message.
    public var description: String { message }

    /// A call of the kernel failed.
    static func kernel(_ error: KernelError) -> ContainerIOError {
        ContainerIOError(code: error.code, message: error.description)
    }

    /// A stdio address that cannot be used.
    static func badAddress(_ address: String, _ reason: String) -> ContainerIOError {
        ContainerIOError(code: .invalidArgument, message: "open stdio '\(address)': \(reason)")
    }

    /// A kind of stdio that this build does not serve.
    static func unsupportedAddress(_ address: String) -> ContainerIOError {
        ContainerIOError(code: .unsupported, message: "open stdio '\(address)': scheme not served")
    }

    /// An attachment that cannot be made.
    static func attachRefused(_ reason: String, code: ErrorCode) -> ContainerIOError {
        ContainerIOError(code: code, message: "attach client: \(reason)")
    }

    /// The caller cancelled a blocking read.
    static let cancelled = ContainerIOError(code: .cancelled, message: "read log: cancelled")
}
