internal import CKernel
internal import Glibc

/// An error number of the kernel.
public struct Errno: RawRepresentable, Hashable, Sendable, Error {
    /// The number, for example 2.
    public let rawValue: Int32

    /// Wraps a number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    init(_ rawValue: Int32) { self.rawValue = rawValue }

    /// The calling thread's errno; meaningful only right after a failed call.
    @inline(__always)
    static var current: Errno { Errno(errno) }
}

extension Errno {
    /// EPERM.
    public static let notPermitted = Errno(EPERM)
    /// ENOENT.
    public static let noEntry = Errno(ENOENT)
    /// ESRCH.
    public static let noProcess = Errno(ESRCH)
    /// EINTR.
    public static let interrupted = Errno(EINTR)
    /// EIO.
    public static let inputOutput = Errno(EIO)
    /// ENXIO.
    public static let noDeviceOrAddress = Errno(ENXIO)
    /// E2BIG.
    public static let argumentListTooLong = Errno(E2BIG)
    /// ENOEXEC.
    public static let execFormat = Errno(ENOEXEC)
    /// EBADF.
    public static let badDescriptor = Errno(EBADF)
    /// ECHILD.
    public static let noChild = Errno(ECHILD)
    /// EAGAIN, the same number as EWOULDBLOCK.
    public static let wouldBlock = Errno(EAGAIN)
    /// ENOMEM.
    public static let noMemory = Errno(ENOMEM)
    /// EACCES.
    public static let accessDenied = Errno(EACCES)
    /// EBUSY.
    public static let busy = Errno(EBUSY)
    /// EEXIST.
    public static let exists = Errno(EEXIST)
    /// EXDEV.
    public static let crossDevice = Errno(EXDEV)
    /// ENODEV.
    public static let noDevice = Errno(ENODEV)
    /// ENOTDIR.
    public static let notDirectory = Errno(ENOTDIR)
    /// EISDIR.
    public static let isDirectory = Errno(EISDIR)
    /// EINVAL.
    public static let invalid = Errno(EINVAL)
    /// EMFILE.
    public static let tooManyDescriptors = Errno(EMFILE)
    /// ENFILE.
    public static let tooManyFiles = Errno(ENFILE)
    /// ENOTTY.
    public static let notTerminal = Errno(ENOTTY)
    /// EFBIG.
    public static let fileTooBig = Errno(EFBIG)
    /// ENOSPC.
    public static let noSpace = Errno(ENOSPC)
    /// EROFS.
    public static let readOnly = Errno(EROFS)
    /// EPIPE.
    public static let brokenPipe = Errno(EPIPE)
    /// ERANGE.
    public static let outOfRange = Errno(ERANGE)
    /// ENAMETOOLONG.
    public static let nameTooLong = Errno(ENAMETOOLONG)
    /// ENOSYS.
    public static let noSystemCall = Errno(ENOSYS)
    /// ENOTEMPTY.
    public static let notEmpty = Errno(ENOTEMPTY)
    /// ELOOP.
    public static let tooManyLinks = Errno(ELOOP)
    /// ENODATA.
    public static let noData = Errno(ENODATA)
    /// EOVERFLOW.
    public static let overflow = Errno(EOVERFLOW)
    /// EOPNOTSUPP, the same number as ENOTSUP.
    public static let notSupported = Errno(EOPNOTSUPP)
    /// EADDRINUSE.
    public static let addressInUse = Errno(EADDRINUSE)
    /// ECONNREFUSED.
    public static let connectionRefused = Errno(ECONNREFUSED)
    /// ECONNRESET.
    public static let connectionReset = Errno(ECONNRESET)
    /// ENOTCONN.
    public static let notConnected = Errno(ENOTCONN)
    /// ETIMEDOUT.
    public static let timedOut = Errno(ETIMEDOUT)
    /// EINPROGRESS.
    public static let inProgress = Errno(EINPROGRESS)
    /// EDQUOT.
    public static let quotaExceeded = Errno(EDQUOT)
    /// ECANCELED.
    public static let cancelled = Errno(ECANCELED)
    /// EPROTO.
    public static let badProtocol = Errno(EPROTO)
    /// EMSGSIZE.
    public static let messageTooLong = Errno(EMSGSIZE)
    /// ETOOMANYREFS: more descriptors are on their way in messages than their sender may have open.
    public static let tooManyReferences = Errno(ETOOMANYREFS)
}

extension Errno {
    /// The constant's name, such as `EPERM`; the number where it has none.
    public var name: String {
        guard let text = unsafe ck_errno_name(rawValue) else { return "\(rawValue)" }
        // Sound: a constant text of the C library, NUL-terminated.
        return unsafe String(cString: text)
    }
}

extension Errno: CustomStringConvertible {
    /// The C library's text, its first letter in lower case, for example `no such file or directory`.
    public var description: String {
        guard let text = unsafe strerror(rawValue) else { return "errno \(rawValue)" }
        // Sound: strerror's result is NUL-terminated and copied before anything else runs on this thread.
        let string = unsafe String(cString: text)
        let second = string.utf8.dropFirst().first ?? 0
        // "RFS specific error" and "I/O error" keep their abbreviation.
        guard UInt8(ascii: "a")...UInt8(ascii: "z") ~= second else { return string }
        return string.prefix(1).lowercased() + string.dropFirst()
    }

    /// The kind of failure this number usually stands for.
    public var code: ErrorCode {
        switch self {
        case .noEntry, .noProcess, .noDevice, .noData, .notDirectory: .notFound
        case .exists, .addressInUse: .alreadyExists
        case .invalid, .argumentListTooLong, .nameTooLong, .outOfRange, .execFormat, .isDirectory, .tooManyLinks:
            .invalidArgument
        case .busy, .notEmpty, .readOnly, .crossDevice, .noChild, .notConnected: .failedPrecondition
        case .notPermitted, .accessDenied: .permissionDenied
        case .noMemory, .noSpace, .tooManyDescriptors, .tooManyFiles, .quotaExceeded, .fileTooBig, .messageTooLong:
            .resourceExhausted
        case .wouldBlock, .connectionRefused, .connectionReset, .brokenPipe: .unavailable
        case .timedOut: .timedOut
        case .cancelled, .interrupted: .cancelled
        case .noSystemCall, .notSupported, .notTerminal: .unsupported
        default: .internal
        }
    }
}
