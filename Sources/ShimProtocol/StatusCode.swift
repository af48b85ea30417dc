public import Kernel

/// A status code of gRPC and ttrpc.
public struct StatusCode: RawRepresentable, Sendable, Hashable {
    /// The number on the wire.
    public let rawValue: Int32

    /// Makes a code of its number on the wire.
    public init(rawValue: Int32) {
        self.rawValue = rawValue
    }

    /// The call succeeded.
    public static let ok = StatusCode(rawValue: 0)
    /// The caller gave up.
    public static let cancelled = StatusCode(rawValue: 1)
    /// What plain errors of a Go shim arrive as.
    public static let unknown = StatusCode(rawValue: 2)
    /// The request cannot be right.
    public static let invalidArgument = StatusCode(rawValue: 3)
    /// The caller's time is over.
    public static let deadlineExceeded = StatusCode(rawValue: 4)
    /// No such container, exec session or process.
    public static let notFound = StatusCode(rawValue: 5)
    /// The id is taken.
    public static let alreadyExists = StatusCode(rawValue: 6)
    /// Not allowed.
    public static let permissionDenied = StatusCode(rawValue: 7)
    /// A limit was reached.
    public static let resourceExhausted = StatusCode(rawValue: 8)
    /// Not in a state for this.
    public static let failedPrecondition = StatusCode(rawValue: 9)
    /// A conflict with another call.
    public static let aborted = StatusCode(rawValue: 10)
    /// Beyond the end.
    public static let outOfRange = StatusCode(rawValue: 11)
    /// The shim has no such ability.
    public static let unimplemented = StatusCode(rawValue: 12)
    /// A fault of the shim.
    public static let `internal` = StatusCode(rawValue: 13)
    /// The other side is not there.
    public static let unavailable = StatusCode(rawValue: 14)
    /// Something is lost for good.
    public static let dataLoss = StatusCode(rawValue: 15)
    /// The caller is not who it must be.
    public static let unauthenticated = StatusCode(rawValue: 16)
}

extension StatusCode {
    /// The number for a code of the project's list.
    public init(_ code: ErrorCode) {
        switch code {
        case .notFound: self = .notFound
        case .alreadyExists: self = .alreadyExists
        case .invalidArgument: self = .invalidArgument
        case .failedPrecondition: self = .failedPrecondition
        case .permissionDenied: self = .permissionDenied
        case .resourceExhausted: self = .resourceExhausted
        case .unavailable: self = .unavailable
        case .timedOut: self = .deadlineExceeded
        case .cancelled: self = .cancelled
        case .unsupported: self = .unimplemented
        default: self = .internal
        }
    }

    /// The code of the project's list; numbers without one of their own are `internal`.
    public var errorCode: ErrorCode {
        switch self {
        case .cancelled: .cancelled
        case .invalidArgument, .outOfRange: .invalidArgument
        case .deadlineExceeded: .timedOut
        case .notFound: .notFound
        case .alreadyExists: .alreadyExists
        case .permissionDenied, .unauthenticated: .permissionDenied
        case .resourceExhausted: .resourceExhausted
        case .failedPrecondition, .aborted: .failedPrecondition
        case .unimplemented: .unsupported
        case .unavailable: .unavailable
        default: .internal
        }
    }
}
