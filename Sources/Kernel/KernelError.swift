/// A call into the kernel that failed.
public struct KernelError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried, a verb with its kind of object, for example `mount overlay on`.
    public let operation: String
    /// What it was tried on, usually a path; empty when there is none.
    public let object: String
    /// Why the kernel refused.
    public let errno: Errno
    /// What the kernel or Berth knows beyond errno; empty when nothing.
    public let detail: String

    /// The kind of failure.
    public var code: ErrorCode { errno.code }

    /// Whether descriptors or memory were short: nothing is known of the object, and the same call may succeed a moment later.
    public var isShortage: Bool {
        [.tooManyDescriptors, .tooManyFiles, .noMemory, .wouldBlock].contains(errno)
    }

    /// One line, for example `open '/x': no such file or directory`.
    public var description: String {
        var text = operation
        if !object.isEmpty { text += " '\(object)'" }
        text += ": \(errno)"
        if !detail.isEmpty { text += " (\(detail))" }
        return text
    }

    private init(operation: String, object: String, errno: Errno, detail: String) {
        self.operation = operation
        self.object = object
        self.errno = errno
        self.detail = detail
    }

    /// A system call that failed with an error number.
    ///
    /// - Parameters:
    ///   - operation: what was tried.
    ///   - object: what it was tried on.
    ///   - errno: the kernel's answer.
    ///   - detail: what is known beyond errno.
    /// - Returns: the error.
    public static func failed(
        _ operation: String,
        _ object: String,
        _ errno: Errno,
        detail: String = ""
    ) -> KernelError {
        KernelError(operation: operation, object: object, errno: errno, detail: detail)
    }

    /// A system call without an object that failed with an error number.
    ///
    /// - Parameters:
    ///   - operation: what was tried.
    ///   - errno: the kernel's answer.
    ///   - detail: what is known beyond errno.
    /// - Returns: the error.
    public static func failed(_ operation: String, _ errno: Errno, detail: String = "") -> KernelError {
        KernelError(operation: operation, object: "", errno: errno, detail: detail)
    }

    /// The same failure, told of another object; for callers that know the object by a better name.
    ///
    /// - Parameter object: the better name.
    /// - Returns: the renamed error.
    public func about(_ object: String) -> KernelError {
        KernelError(operation: operation, object: object, errno: errno, detail: detail)
    }
}

/// Runs a system call until it is not interrupted, and turns -1 into an error.
@discardableResult
@inline(__always)
func system<Result: FixedWidthInteger & SignedInteger>(
    _ operation: @autoclosure () -> String,
    _ object: @autoclosure () -> String = "",
    _ call: () -> Result
) throws(KernelError) -> Result {
    while true {
        let result = call()
        if result != -1 { return result }
        let number = Errno.current
        if number == .interrupted { continue }
        throw .failed(operation(), object(), number)
    }
}

/// Refuses text that the kernel would read only up to its first NUL.
func refuseNUL(_ text: String, _ operation: @autoclosure () -> String) throws(KernelError) {
    guard !text.utf8.contains(0) else { throw .failed(operation(), text, .invalid, detail: "contains a NUL byte") }
}
