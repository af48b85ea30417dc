public import Cgroups
public import Kernel
public import OCISpec
public import Sandbox

/// An operation on a container that failed: where, what, on what, and why.
public struct NativeError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The class of the error.
    public let code: ErrorCode
    /// The named step, such as `mounts` or `cgroup`.
    public let stage: String
    /// Verb, such as `mount`.
    public let operation: String
    /// What it was done to; may be empty.
    public let object: String
    /// The kernel's answer, nil when the reason is another.
    public let errno: Errno?
    /// More about the reason; empty when errno says it all.
    public let detail: String

    /// `stage: operation 'object': reason`.
    public var description: String {
        var text = "\(stage): \(operation)"
        if !object.isEmpty { text += " '\(object)'" }
        if !detail.isEmpty { text += ": \(detail)" }
        if let errno, detail.isEmpty { text += ": \(errno)" }
        return text
    }

    /// An operation that a state forbids.
    static func refused(_ stage: String, _ operation: String, _ reason: String, code: ErrorCode) -> NativeError {
        NativeError(code: code, stage: stage, operation: operation, object: "", errno: nil, detail: reason)
    }

    /// A step of a process's set-up.
    public static func sandbox(_ error: SandboxError) -> NativeError {
        NativeError(
            code: error.code,
            stage: error.stage.rawValue,
            operation: error.operation,
            object: error.object,
            errno: error.errno,
            detail: error.detail
        )
    }

    /// A control group that refused.
    public static func cgroup(_ error: CgroupError) -> NativeError {
        guard let cause = error.cause else {
            return NativeError(
                code: error.code,
                stage: "cgroup",
                operation: error.operation,
                object: error.field,
                errno: nil,
                detail: error.message
            )
        }
        return NativeError(
            code: error.code,
            stage: "cgroup",
            operation: cause.operation,
            object: cause.object,
            errno: cause.errno,
            detail: error.message.isEmpty ? cause.detail : "\(error.message): \(cause.errno)"
        )
    }

    /// A document that cannot be read.
    public static func document(_ name: String, _ error: DocumentError) -> NativeError {
        NativeError(
            code: .invalidArgument,
            stage: "specification",
            operation: "read",
            object: name,
            errno: nil,
            detail: error.description
        )
    }
}

/// Runs a step of `Sandbox`.
func sandbox<Result>(_ body: () throws(SandboxError) -> Result) throws(NativeError) -> Result {
    do throws(SandboxError) { return try body() } catch { throw .sandbox(error) }
}

/// Runs a step of `Cgroups`.
func group<Result>(_ body: () throws(CgroupError) -> Result) throws(NativeError) -> Result {
    do throws(CgroupError) { return try body() } catch { throw .cgroup(error) }
}
