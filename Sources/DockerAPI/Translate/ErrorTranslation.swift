import EngineModel
import Kernel

extension APIError {
    /// The reply for an error that a handler threw; nil for an error of unknown kind.
    package static func translate(_ error: any Error) -> APIError? {
        switch error {
        case let error as EngineError: translate(error)
        case let error as KernelError: APIError(code: error.code, message: error.description)
        default: nil
        }
    }

    private static func translate(_ error: EngineError) -> APIError {
        switch error.reason {
        case .notModified: .notModified
        case .conflict: .conflict(error.description)
        // The client finds 126 and 127 by the words of the message; the request as such was at fault.
        case .commandNotFound, .commandNotExecutable: .invalid(error.description)
        case .startFailed where error.code != .unavailable && error.code != .invalidArgument:
            .other(error.description)
        default: APIError(code: error.code, message: error.description)
        }
    }
}
