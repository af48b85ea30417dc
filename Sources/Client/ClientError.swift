/// Why a call to the daemon failed.
public struct ClientError: Error, Sendable, Equatable, CustomStringConvertible {
    private enum Reason: Equatable {
        case unreachable, disconnected, protocolViolation, answered(Int), invalidArgument, operation
    }

    private let reason: Reason

    /// What went wrong, for a person.
    public let description: String

    /// The HTTP status of the daemon's answer; nil where there was none.
    public var status: Int? {
        guard case .answered(let status) = reason else { return nil }
        return status
    }

    /// Whether nobody answers at the socket: the call was not made.
    public var isUnreachable: Bool {
        reason == .unreachable
    }

    /// Whether the connection ended in the middle of a call: the daemon may or may not have done its part.
    public var isDisconnected: Bool {
        reason == .disconnected
    }

    static func unreachable(_ host: Host, _ problem: String) -> ClientError {
        ClientError(
            reason: .unreachable,
            description:
                "cannot reach berthd at \(host): \(problem). Is it running? Start it with `berthd`, or name another one with --host or "
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

    static func answered(_ status: Int, _ message: String) -> ClientError {
        ClientError(reason: .answered(status), description: message)
    }

    static func invalidHost(_ text: String) -> ClientError {
        ClientError(reason: .invalidArgument, description: "'\(text)' is not a host: unix://PATH is")
    }

    static func operation(_ what: String) -> ClientError {
        ClientError(reason: .operation, description: what)
    }
}
