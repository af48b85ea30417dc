import ContentStore
public import Kernel
import Snapshots

/// Why the engine refused or failed.
///
/// `code` is what a face maps; `reason` tells apart the cases of one code that clients treat differently; `message` is for
/// people, with the words that Docker's clients look for where they look for any.
public struct EngineError: Error, Sendable, CustomStringConvertible {
    /// The case within a code.
    public enum Reason: Sendable, Equatable {
        /// Nothing special.
        case general
        /// The request is already so: starting what runs, stopping what is stopped. Not a failure (HTTP 304).
        case notModified
        /// The name or object is in use (HTTP 409).
        case conflict
        /// There is no such container.
        case noSuchContainer
        /// There is no such image: a client may pull it and try again.
        case noSuchImage
        /// There is no such exec session.
        case noSuchExec
        /// The start failed: the program does not exist (exit code 127).
        case commandNotFound
        /// The start failed: the program is there but cannot be run (exit code 126).
        case commandNotExecutable
        /// The start failed otherwise (exit code 125).
        case startFailed
    }

    /// Which step of a life cycle failed, and in which call.
    public struct Failure: Sendable, Equatable {
        /// The step, such as `rootfs` or `exec`.
        public var stage: String
        /// The call, such as `mount overlay`.
        public var operation: String
        /// What it was done to, such as a path.
        public var object: String
        /// The kernel's answer; nil where no system call failed.
        public var errno: Errno?

        /// A failure of `operation` on `object` in `stage`.
        public init(stage: String, operation: String, object: String, errno: Errno?) {
            self.stage = stage
            self.operation = operation
            self.object = object
            self.errno = errno
        }
    }

    /// The class of the error.
    public var code: ErrorCode
    /// The case within the class.
    public var reason: Reason
    /// One line for people.
    public var message: String
    /// The step that failed, where one did.
    public var failure: Failure?
    /// What went wrong while undoing the failed step, beside the first error.
    public var cleanUpErrors: [String]

    package init(
        _ code: ErrorCode,
        _ message: String,
        reason: Reason = .general,
        failure: Failure? = nil,
        cleanUpErrors: [String] = []
    ) {
        self.code = code
        self.reason = reason
        self.message = message
        self.failure = failure
        self.cleanUpErrors = cleanUpErrors
    }

    /// The message, and what the clean-up could not do.
    public var description: String {
        cleanUpErrors.isEmpty ? message : message + " (clean-up: " + cleanUpErrors.joined(separator: "; ") + ")"
    }

    /// The exit code that a command-line client ends with after a failed start: 127, 126 or 125.
    public var startExitCode: Int {
        switch reason {
        case .commandNotFound: 127
        case .commandNotExecutable: 126
        default: 125
        }
    }
}

extension EngineError {
    package static func noSuchContainer(_ reference: String) -> EngineError {
        EngineError(.notFound, "No such container: \(reference)", reason: .noSuchContainer)
    }

    package static func noSuchImage(_ reference: String) -> EngineError {
        EngineError(.notFound, "No such image: \(reference)", reason: .noSuchImage)
    }

    package static func noSuchExec(_ id: String) -> EngineError {
        EngineError(.notFound, "No such exec instance: \(id)", reason: .noSuchExec)
    }

    package static func ambiguous(_ prefix: String) -> EngineError {
        EngineError(.invalidArgument, "Multiple IDs found with provided prefix: \(prefix)")
    }

    package static func nameInUse(_ name: String, by id: ContainerID) -> EngineError {
        EngineError(
            .alreadyExists,
            "Conflict. The container name \"/\(name)\" is already in use by container \"\(id)\". "
                + "You have to remove (or rename) that container to be able to reuse that name.",
            reason: .conflict
        )
    }

    package static func invalid(_ message: String) -> EngineError {
        EngineError(.invalidArgument, message)
    }

    package static func conflict(_ message: String) -> EngineError {
        EngineError(.failedPrecondition, message, reason: .conflict)
    }

    package static func notModified(_ message: String) -> EngineError {
        EngineError(.failedPrecondition, message, reason: .notModified)
    }

    package static func unsupported(_ message: String) -> EngineError {
        EngineError(.unsupported, message)
    }

    package static func unreachable(_ id: ContainerID, _ what: String) -> EngineError {
        EngineError(.unavailable, "container \(id): its shim does not answer: \(what)")
    }

    /// The same of one with which there is no connection.
    package static func unreachable(_ id: ContainerID, _ silence: SilentShim?) -> EngineError {
        guard silence?.refusal != nil, let silence else { return unreachable(id, "there is no connection") }
        return EngineError(.unavailable, "container \(id): \(silence.summary)")
    }

    package static func internalFailure(_ message: String) -> EngineError {
        EngineError(.internal, message)
    }

    /// Any error as the engine's own: one that already is stays as it is.
    package static func wrap(_ error: any Error, _ what: String) -> EngineError {
        switch error {
        case let error as EngineError: error
        case let error as KernelError: EngineError(error.code, "\(what): \(error)")
        case let error as ContentError: EngineError(error.code, error.message)
        case let error as SnapshotError: EngineError(error.code, error.message)
        case is CancellationError: EngineError(.cancelled, "\(what): cancelled")
        case let error as OtherProtocol: EngineError(.unsupported, "\(what): the shim \(error)")
        default: EngineError(.internal, "\(what): \(error)")
        }
    }
}
