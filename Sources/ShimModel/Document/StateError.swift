package import Kernel

/// A state of a shim that cannot be used.
package struct StateError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What callers decide by.
    package let code: ErrorCode
    /// What is wrong with it.
    package let description: String

    private init(_ code: ErrorCode, _ description: String) {
        (self.code, self.description) = (code, description)
    }

    /// The bytes are no state, or a damaged one.
    package static func damaged(_ reason: String) -> StateError {
        StateError(.invalidArgument, "state: \(reason)")
    }

    /// It is a state, of a form that this program does not read.
    static func version(_ reason: String) -> StateError {
        StateError(.unsupported, "state: \(reason)")
    }

    /// It is a state of something else.
    package static func mismatch(_ reason: String) -> StateError {
        StateError(.failedPrecondition, "state: \(reason)")
    }

    /// Something beside the state failed.
    package static func failed(_ code: ErrorCode, _ reason: String) -> StateError {
        StateError(code, reason)
    }
}
