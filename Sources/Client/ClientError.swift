import Kernel

/// Why a call to the daemon failed.
public struct ClientError: Error, Sendable, Equatable, CustomStringConvertible {
    private enum Reason: Equatable {
        case unreachable, absent, disconnected, protocolViolation, answered(Int), leaving, invalidArgument, operation
    }

    private let reason: Reason

    /// What went wrong, for a person.
    public let description: String

    /// The HTTP status of the daemon's answer; nil where there was none.
    public var status: Int? {
        switch reason {
        case .answered(let status): status
        case .leaving: 503
        default: nil
        }
    }

    /// Whether nobody answers at the socket: the call was not made.
    public var isUnreachable: Bool {
        reason == .unreachable || reason == .absent
    }

    /// Whether the daemon is between two lives, so that the same request is worth another attempt.
    ///
    /// - Parameter isRepeatable: Whether it does no harm when the request is carried out twice.
    /// - Returns: False for an answer, and for everything that another attempt does not cure.
    public func mayPass(isRepeatable: Bool) -> Bool {
        switch reason {
        // The socket is there and nobody listens: the request was not made.
        case .unreachable: true
        case .disconnected, .leaving: isRepeatable
        default: false
        }
    }

    /// Whether the connection ended in the middle of a call: the daemon may or may not have done its part.
    public var isDisconnected: Bool {
        reason == .disconnected
    }

    static func unreachable(_ host: Host, _ error: Errno) -> ClientError {
        ClientError(
            reason: error == .connectionRefused || error == .wouldBlock ? .unreachable : .absent,
            description:
                "cannot reach berthd at \(host): \(error.description). Is it running? Start it with `berthd`, or name another one with --host or "
                + Host.environmentVariable
        )
    }

    static func disconnected(_ host: Host) -> ClientError {
        ClientError(
            reason: .disconnected,
            description: "berthd at \(host) closed the connection in the middle of its answer"
        )
    }

    static func protocolViolation(_ what: String) -> ClientError {
        ClientError(reason: .protocolViolation, description: "the answer is not understood: \(what)")
    }

    static func answered(_ status: Int, _ message: String, isLeaving: Bool) -> ClientError {
        ClientError(reason: isLeaving ? .leaving : .answered(status), description: message)
    }

    static func invalidHost(_ text: String) -> ClientError {
        ClientError(reason: .invalidArgument, description: "'\(text)' is not a host: unix://PATH is")
    }

    /// A path with a name in it that is empty.
    static func emptyName(in path: String) -> ClientError {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false)
        let place = segments.dropFirst().firstIndex(of: "") ?? segments.endIndex
        let noun = place > segments.startIndex ? segments[place - 1] : ""
        let what = noun == "exec" ? "exec session" : String(noun.hasSuffix("s") ? noun.dropLast() : noun)
        let name = noun == "exec" ? "id" : "name or id"
        return ClientError(reason: .invalidArgument, description: "the \(name) of the \(what) is empty")
    }

    static func operation(_ what: String) -> ClientError {
        ClientError(reason: .operation, description: what)
    }
}
