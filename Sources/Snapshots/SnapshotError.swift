internal import Archive
internal import ContentStore
public import Kernel
public import OCISpec

/// Why a layer could not be unpacked or a container's file system not be made.
public struct SnapshotError: Error, Sendable, CustomStringConvertible {
    /// The class of the error.
    public let code: ErrorCode
    /// What went wrong, with the object's name and the values.
    public let message: String
    /// The layer or blob that it is about, where it is about one.
    public let blob: Digest?

    /// The message.
    public var description: String { message }

    private init(_ code: ErrorCode, _ message: String, _ blob: Digest? = nil) {
        self.code = code
        self.message = message
        self.blob = blob
    }

    /// A layer says what it must not say.
    static func invalid(_ message: String) -> SnapshotError { SnapshotError(.invalidArgument, message) }

    /// Something is of a kind that is not taken.
    static func unsupported(_ message: String) -> SnapshotError { SnapshotError(.unsupported, message) }

    /// A limit was passed.
    static func overLimit(_ message: String) -> SnapshotError { SnapshotError(.resourceExhausted, message) }

    /// There is no such snapshot.
    static func notFound(_ message: String) -> SnapshotError { SnapshotError(.notFound, message) }

    /// There is another snapshot of that name.
    static func exists(_ message: String) -> SnapshotError { SnapshotError(.alreadyExists, message) }

    /// A system call failed.
    static func failed(_ what: String, _ cause: KernelError) -> SnapshotError {
        SnapshotError(cause.code, "\(what): \(cause)")
    }

    /// A stream failed.
    static func failed(_ what: String, _ cause: ArchiveError) -> SnapshotError {
        SnapshotError(cause.code, "\(what): \(cause)")
    }

    /// The content store failed.
    static func failed(_ cause: ContentError) -> SnapshotError { SnapshotError(cause.code, cause.message, cause.blob) }

    /// The same error with the layer that it is about.
    func about(_ layer: Digest) -> SnapshotError {
        guard blob == nil else { return self }
        return SnapshotError(code, "unpack layer \(layer): \(message)", layer)
    }
}

/// Calls the kernel and says what for when it fails.
func kernel<Result: ~Copyable>(
    _ what: @autoclosure () -> String,
    _ body: () throws(KernelError) -> Result
) throws(SnapshotError) -> Result {
    do throws(KernelError) { return try body() } catch { throw .failed(what(), error) }
}
