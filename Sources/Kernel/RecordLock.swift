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
