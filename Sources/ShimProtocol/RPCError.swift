public import Kernel
import SwiftProtobuf

/// Why a call failed: what a ttrpc response carries instead of a payload.
public struct RPCError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The code on the wire.
    ///
    /// Codes that nobody has defined are kept.
    public let status: StatusCode
    /// For people; callers decide by `status` and `failure`.
    public let message: String
    /// Where a step failed, when the shim said so.
    public let failure: ShimFailure?

    /// The code in the project's own list.
    public var code: ErrorCode {
        status.errorCode
    }

    /// The message, or the code where there is none.
    public var description: String {
        message.isEmpty ? "status \(status.rawValue)" : message
    }

    init(_ status: StatusCode, _ message: String, failure: ShimFailure? = nil) {
        self.status = status
        self.message = message
        self.failure = failure
    }
}

// What handlers answer ------------------------------------------------------------------------------------------------

extension RPCError {
    /// A failure with a code of the project's list.
    public static func failed(_ code: ErrorCode, _ message: String) -> RPCError {
        RPCError(StatusCode(code), message)
    }

    /// A step of a backend that failed, with everything that a caller may want to know about it.
    public static func failed(_ code: ErrorCode, _ message: String, at failure: ShimFailure) -> RPCError {
        RPCError(StatusCode(code), message, failure: failure)
    }

    /// The request asks for something that cannot be.
    public static func invalidArgument(_ what: String) -> RPCError {
        RPCError(.invalidArgument, what)
    }

    /// The container or exec session is not there.
    public static func notFound(_ what: String) -> RPCError {
        RPCError(.notFound, what)
    }

    /// The id is taken.
    public static func alreadyExists(_ what: String) -> RPCError {
        RPCError(.alreadyExists, what)
    }

    /// The thing is there but not in a state for this.
    public static func failedPrecondition(_ what: String) -> RPCError {
        RPCError(.failedPrecondition, what)
    }

    /// A bound was reached.
    public static func resourceExhausted(_ what: String) -> RPCError {
        RPCError(.resourceExhausted, what)
    }

    /// The shim has no such service, method or ability.
    public static func unimplemented(_ what: String) -> RPCError {
        RPCError(.unimplemented, what)
    }

    /// The caller may not do this.
    public static func permissionDenied(_ what: String) -> RPCError {
        RPCError(.permissionDenied, what)
    }

    /// The caller's time is over.
    public static func timedOut(_ what: String) -> RPCError {
        RPCError(.deadlineExceeded, what)
    }

    static func messageTooLarge(_ length: Int) -> RPCError {
        RPCError(.resourceExhausted, "message of \(length) bytes: more than \(TTRPCFrame.maximumDataLength)")
    }

    static func undecodable(_ what: String) -> RPCError {
        RPCError(.invalidArgument, "decode \(what): not a valid message")
    }

    /// The other side has gone.
    public static let connectionClosed = RPCError(.unavailable, "connection closed")
}

// On the wire ---------------------------------------------------------------------------------------------------------

extension RPCError {
    /// The error that a response carried.
    ///
    /// Details other than `berth.shim.v1.Failure` are dropped.
    public init(_ status: RPCStatus) {
        let failure = status.details.lazy.compactMap { detail in
            // A detail that cannot be decoded says nothing; the code and the message remain.
            try? detail.decode(ShimFailure.self)
        }.first
        self.init(StatusCode(rawValue: status.code), status.message, failure: failure)
    }

    /// The error as a response carries it.
    public var wire: RPCStatus {
        var wire = RPCStatus()
        wire.code = status.rawValue
        wire.message = message
        if let failure {
            wire.details = [Google_Protobuf_Any(packed: failure)]
        }
        return wire
    }
}
