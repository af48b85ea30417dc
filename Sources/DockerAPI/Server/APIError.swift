package import HTTPTypes
package import Kernel

/// A failed request: the status and the text that the client gets.
package struct APIError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The HTTP status.
    package let status: HTTPResponse.Status
    /// The text of the body's `message`; empty for a reply without a body (304).
    package let message: String

    private init(_ status: HTTPResponse.Status, _ message: String) {
        self.status = status
        self.message = message
    }

    /// Status and text.
    package var description: String {
        "\(status.code): \(message)"
    }

    /// 400: the request makes no sense.
    package static func invalid(_ message: String) -> APIError { APIError(.badRequest, message) }
    /// 404: what the request names does not exist.
    package static func notFound(_ message: String) -> APIError { APIError(.notFound, message) }
    /// 409: the state of the object does not allow it.
    package static func conflict(_ message: String) -> APIError { APIError(.conflict, message) }
    /// 403: not allowed.
    package static func forbidden(_ message: String) -> APIError { APIError(.forbidden, message) }
    /// 304: nothing to do; has no body.
    package static let notModified = APIError(.notModified, "")
    /// 413: the body is over its bound.
    package static func tooLarge(_ message: String) -> APIError { APIError(.contentTooLarge, message) }
    /// 501: not offered.
    package static func notImplemented(_ message: String) -> APIError { APIError(.notImplemented, message) }
    /// 503: not available now.
    package static func unavailable(_ message: String) -> APIError { APIError(.serviceUnavailable, message) }
    /// 500: anything else.
    package static func other(_ message: String) -> APIError { APIError(.internalServerError, message) }
    /// 404 for a method and path that no handler has.
    package static let pageNotFound = APIError(.notFound, "page not found")

    /// The one place that maps the closed list of error codes to statuses.
    package init(code: ErrorCode, message: String) {
        switch code {
        case .notFound: self = .notFound(message)
        case .alreadyExists, .failedPrecondition: self = .conflict(message)
        case .invalidArgument: self = .invalid(message)
        case .permissionDenied: self = .forbidden(message)
        case .unsupported: self = .notImplemented(message)
        case .unavailable: self = .unavailable(message)
        default: self = .other(message)
        }
    }
}
