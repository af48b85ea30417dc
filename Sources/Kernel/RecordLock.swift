internal import CKernel
internal import Glibc

/// A lock that belongs to a process (`fcntl(2)` F_SETLK): it goes with the process, whatever children or duplicates are left, and
/// lives through exec as long as the descriptor does.
///
/// Closing **any** descriptor of the file in the process gives the lock up.
public enum RecordLock {
    /// Takes the lock of the whole file, which nobody else may hold, without waiting.
    ///
    /// - Parameter file: open for writing.
    /// - Returns: nil when the caller holds it now; otherwise the number of the process that does.
    /// - Throws: `KernelError`.
    public static func take(_ file: RawDescriptor) throws(KernelError) -> Int32? {
        while true {
            if ck_record_lock(file, 0, nil) == 0 { return nil }
            let errno = Errno.current
            guard errno == .wouldBlock || errno == .accessDenied else { throw .failed("lock", errno) }
            // Nobody: it was given up between the two calls.
            if let holder = try holder(file) { return holder }
        }
    }

    /// Who holds the lock of a file.
    ///
    /// - Parameter file: an open file; the caller's own lock does not count.
    /// - Returns: the number of the process; nil when nobody does.
    /// - Throws: `KernelError`.
    public static func holder(_ file: RawDescriptor) throws(KernelError) -> Int32? {
        var pid: Int32 = 0
        try system("ask about lock") { unsafe ck_record_lock(file, 1, &pid) }
        return pid == 0 ? nil : pid
    }
}

/// A lock of a part of a file that belongs to the open file (`fcntl(2)` F_OFD_SETLK): it goes with the last descriptor of it.
///
/// It is refused by, and refuses, locks of processes of the same range, also those of the caller's own process.
public enum RangeLock {
    /// How a range is locked.
    public enum Kind: Int32, Sendable {
        /// Together with others of this kind.
        case shared = 1
        /// Alone.
        case exclusive = 2
    }

    /// Takes the lock, or makes one that this open file has into it, without waiting.
    ///
    /// - Parameters:
    ///   - kind: how.
    ///   - range: which bytes; they need not be there.
    ///   - file: open for reading, and for `exclusive` also for writing.
    /// - Returns: false when somebody else holds a lock that does not allow it.
    /// - Throws: `KernelError`.
    public static func take(
        _ kind: Kind,
        _ range: Range<Int64>,
        of file: RawDescriptor
    ) throws(KernelError) -> Bool {
        do throws(KernelError) {
            try system("lock part of file") {
                ck_range_lock(file, kind.rawValue, Int(range.lowerBound), Int(range.upperBound - range.lowerBound))
            }
        } catch  where [.wouldBlock, .accessDenied].contains(error.errno) {
            return false
        }
        return true
    }
}
