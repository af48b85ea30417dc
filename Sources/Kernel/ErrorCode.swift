/// What kind of failure an error is, from a closed list that every face maps once.
public struct ErrorCode: Hashable, Sendable, CustomStringConvertible {
    private enum Value: String, Sendable {
        case notFound, alreadyExists, invalidArgument, failedPrecondition, permissionDenied, resourceExhausted
        case unavailable, timedOut, cancelled, unsupported, `internal`
    }

    private let value: Value

    /// The name of the code, for example `notFound`.
    public var description: String { value.rawValue }

    /// The object does not exist.
    public static let notFound = ErrorCode(value: .notFound)
    /// The object exists already.
    public static let alreadyExists = ErrorCode(value: .alreadyExists)
    /// The request cannot be honoured in any state.
    public static let invalidArgument = ErrorCode(value: .invalidArgument)
    /// The request is sound, the object's present state forbids it.
    public static let failedPrecondition = ErrorCode(value: .failedPrecondition)
    /// The caller may not do this.
    public static let permissionDenied = ErrorCode(value: .permissionDenied)
    /// Memory, disk, descriptors or processes ran out.
    public static let resourceExhausted = ErrorCode(value: .resourceExhausted)
    /// The other side cannot be reached; a later attempt may succeed.
    public static let unavailable = ErrorCode(value: .unavailable)
    /// A deadline passed.
    public static let timedOut = ErrorCode(value: .timedOut)
    /// The caller withdrew the request.
    public static let cancelled = ErrorCode(value: .cancelled)
    /// The kernel, the backend or this version cannot do it.
    public static let unsupported = ErrorCode(value: .unsupported)
    /// Something that should not happen.
    public static let `internal` = ErrorCode(value: .internal)
}
