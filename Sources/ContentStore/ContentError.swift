internal import Archive
public import Kernel
public import OCISpec

/// Why content could not be stored, found, or understood.
public struct ContentError: Error, Sendable, CustomStringConvertible {
    /// The class of the error.
    public let code: ErrorCode
    /// What went wrong, with the object's name and the values.
    public let message: String
    /// The blob that it is about, where it is about one.
    public let blob: Digest?

    /// The message.
    public var description: String { message }

    private init(_ code: ErrorCode, _ message: String, _ blob: Digest? = nil) {
        self.code = code
        self.message = message
        self.blob = blob
    }

    /// There is no such blob.
    static func noBlob(_ digest: Digest) -> ContentError {
        ContentError(.notFound, "blob \(digest) is not there", digest)
    }

    /// Content is not what its digest or size says.
    static func mismatch(_ digest: Digest, _ detail: String) -> ContentError {
        ContentError(.invalidArgument, "blob \(digest) \(detail)", digest)
    }

    /// A document says what it must not say.
    static func invalid(_ message: String, blob: Digest? = nil) -> ContentError {
        ContentError(.invalidArgument, message, blob)
    }

    /// Something is of a kind that is not taken.
    static func unsupported(_ message: String, blob: Digest? = nil) -> ContentError {
        ContentError(.unsupported, message, blob)
    }

    /// Something that a name or a document refers to does not exist.
    static func notFound(_ message: String) -> ContentError { ContentError(.notFound, message) }

    /// A limit was passed.
    static func overLimit(_ message: String, blob: Digest? = nil) -> ContentError {
        ContentError(.resourceExhausted, message, blob)
    }

    /// The store is in a state that forbids the operation.
    static func precondition(_ message: String) -> ContentError { ContentError(.failedPrecondition, message) }

    /// A system call failed.
    static func failed(_ what: String, _ cause: KernelError) -> ContentError {
        ContentError(cause.code, "\(what): \(cause)")
    }

    /// A stream failed.
    static func failed(_ what: String, _ cause: ArchiveError, blob: Digest? = nil) -> ContentError {
        ContentError(cause.code, "\(what): \(cause)", blob)
    }
}

/// Calls the kernel and says what for when it fails.
func kernel<Result: ~Copyable>(
    _ what: @autoclosure () -> String,
    _ body: () throws(KernelError) -> Result
) throws(ContentError) -> Result {
    do throws(KernelError) { return try body() } catch { throw .failed(what(), error) }
}
