// Archives as streams: a source of bytes (`ByteSource`), decompression (`Decompressor`) and tar (`TarReader`,
// `TarWriter`). `TarParser` under the reader is the only tar parser of Berth: image layers, image archives and copies into
// containers all mean the same entries, whatever a hostile writer put in the headers (GNU, ustar and PAX must agree).
//
// Nothing here is read ahead without bound: memory is the buffers plus one header. Blocking; one thread per object.

public import Kernel

/// A stream of bytes, read from its beginning to its end once.
public protocol ByteSource: AnyObject {
    /// Reads some bytes into the front of a buffer, blocking until there is at least one.
    ///
    /// - Parameter buffer: Overwritten from index 0; its count, which stays, is the most that is read. Not empty.
    /// - Returns: Number of bytes read; 0 at the end, and again after it.
    /// - Throws: What the source met; the stream is over then.
    func read(into buffer: inout [UInt8]) throws(ArchiveError) -> Int
}

/// Why an archive could not be read or written.
public struct ArchiveError: Error, Sendable, CustomStringConvertible {
    /// The class of the error.
    public let code: ErrorCode
    /// What went wrong, with the object's name and the values.
    public let message: String
    /// The failed system call, when there was one.
    public let cause: KernelError?

    /// The message, and the cause behind it.
    public var description: String { cause.map { "\(message): \($0)" } ?? message }

    /// The bytes break the format, or say two things at once.
    public static func malformed(_ message: String) -> ArchiveError {
        ArchiveError(code: .invalidArgument, message: message, cause: nil)
    }

    /// The stream ends too early.
    public static func truncated(_ message: String) -> ArchiveError {
        ArchiveError(code: .invalidArgument, message: "truncated " + message, cause: nil)
    }

    /// The bytes are of a kind that is not taken.
    public static func unsupported(_ message: String) -> ArchiveError {
        ArchiveError(code: .unsupported, message: message, cause: nil)
    }

    /// A limit was passed.
    public static func overLimit(_ message: String) -> ArchiveError {
        ArchiveError(code: .resourceExhausted, message: message, cause: nil)
    }

    /// The time for the work is over.
    public static func deadline(_ message: String) -> ArchiveError {
        ArchiveError(code: .timedOut, message: message, cause: nil)
    }

    /// A system call failed.
    public static func failed(_ message: String, _ cause: KernelError) -> ArchiveError {
        ArchiveError(code: cause.code, message: message, cause: cause)
    }
}

/// Bytes that are in memory already.
public final class BytesSource: ByteSource {
    private let bytes: [UInt8]
    private var position = 0
    private let step: Int

    /// Creates a source over an array.
    ///
    /// - Parameters:
    ///   - bytes: The stream.
    ///   - step: Most bytes given at once; tests use small ones.
    public init(_ bytes: [UInt8], step: Int = .max) {
        self.bytes = bytes
        self.step = step
    }

    /// Gives the next bytes.
    public func read(into buffer: inout [UInt8]) throws(ArchiveError) -> Int {
        let count = min(buffer.count, bytes.count - position, step)
        guard count > 0 else { return 0 }
        buffer.replaceSubrange(0..<count, with: bytes[position..<position + count])
        position += count
        return count
    }
}
