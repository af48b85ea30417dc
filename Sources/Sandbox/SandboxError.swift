internal import Cgroups
internal import DocumentTexts
public import Kernel

/// The steps of setting up a process, as errors name them.
public enum SandboxStage: String, Sendable, CaseIterable {
    /// The document cannot be applied.
    case specification
    /// Namespaces are made or joined.
    case namespaces
    /// The process is cloned.
    case clone
    /// The process enters its cgroups.
    case cgroup
    /// The root filesystem.
    case rootfs
    /// The other mounts.
    case mounts
    /// Device files and links.
    case devices
    /// The terminal.
    case console
    /// Masked and read-only paths.
    case masks
    /// Kernel parameters and host name.
    case sysctl
    /// Programs run at points of the life cycle.
    case hooks
    /// Loopback interface.
    case network
    /// User and group names.
    case user
    /// Resource limits and out-of-memory score.
    case limits
    /// Working directory.
    case workingDirectory = "working directory"
    /// Ids, groups and capabilities.
    case credentials
    /// What the process may do with files.
    case rules = "access rules"
    /// System call filter.
    case seccomp
    /// The program itself.
    case exec
    /// The conversation between the two processes.
    case handshake
}

/// A step that failed: where, what, on what, and why.
public struct SandboxError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The step.
    public let stage: SandboxStage
    /// Verb, such as `mount`.
    public let operation: String
    /// What it was done to.
    public let object: String
    /// The kernel's answer, nil when the reason is another.
    public let errno: Errno?
    /// More about the reason; empty when errno says it all.
    public let detail: String
    /// The class of the error.
    public let code: ErrorCode

    /// `stage: operation 'object': reason`.
    public var description: String {
        var text = "\(stage.rawValue): \(operation)"
        if !object.isEmpty { text += " '\(object)'" }
        if !detail.isEmpty { text += ": \(detail)" }
        if let errno, detail.isEmpty { text += ": \(errno)" }
        return text
    }

    init(
        stage: SandboxStage,
        operation: String,
        object: String,
        errno: Errno?,
        detail: String,
        code: ErrorCode
    ) {
        self.stage = stage
        self.operation = operation
        self.object = object
        self.errno = errno
        self.detail = detail
        self.code = code
    }

    /// This error, with a second one told beside it.
    func beside(_ other: SandboxError) -> SandboxError {
        let first = detail.isEmpty ? errno.map { "\($0)" } ?? "" : detail
        return SandboxError(
            stage: stage,
            operation: operation,
            object: object,
            errno: errno,
            detail: "\(first); also \(other)",
            code: code
        )
    }

    static func failed(_ stage: SandboxStage, _ error: KernelError) -> SandboxError {
        SandboxError(
            stage: stage,
            operation: error.operation,
            object: error.object,
            errno: error.errno,
            detail: error.detail,
            code: error.code
        )
    }

    static func failed(_ stage: SandboxStage, _ operation: String, _ object: String, _ errno: Errno) -> SandboxError {
        SandboxError(stage: stage, operation: operation, object: object, errno: errno, detail: "", code: errno.code)
    }

    static func invalid(_ field: String, _ reason: String) -> SandboxError {
        SandboxError(
            stage: .specification,
            operation: "check",
            object: field,
            errno: nil,
            detail: reason,
            code: .invalidArgument
        )
    }

    static func unsupported(_ field: String) -> SandboxError {
        SandboxError(
            stage: .specification,
            operation: "apply",
            object: field,
            errno: nil,
            detail: "not supported by this backend",
            code: .unsupported
        )
    }

    static func refused(
        _ stage: SandboxStage,
        _ operation: String,
        _ object: String,
        _ reason: String,
        code: ErrorCode = .failedPrecondition
    ) -> SandboxError {
        SandboxError(stage: stage, operation: operation, object: object, errno: nil, detail: reason, code: code)
    }
}

/// Reads texts of the document, or of the container's files, as one step: their errors get the step's name.
func reading<Result>(
    _ stage: SandboxStage,
    _ body: () throws(TextError) -> Result
) throws(SandboxError) -> Result {
    do throws(TextError) { return try body() } catch {
        throw .refused(stage, error.operation, error.object, error.reason, code: error.code)
    }
}

/// Works on groups of resources; an error of the document is one of its field.
func limiting<Result>(_ body: () throws(CgroupError) -> Result) throws(SandboxError) -> Result {
    do throws(CgroupError) { return try body() } catch {
        let isDocument = error.code == .invalidArgument || error.code == .unsupported
        let reason = error.message.isEmpty ? error.cause.map { "\($0)" } ?? "" : error.message
        throw .refused(isDocument ? .specification : .limits, error.operation, error.field, reason, code: error.code)
    }
}

/// Runs calls to the kernel as one step: their errors get the step's name.
func step<Result: ~Copyable>(
    _ stage: SandboxStage,
    _ body: () throws(KernelError) -> Result
) throws(SandboxError) -> Result {
    do throws(KernelError) { return try body() } catch { throw .failed(stage, error) }
}
