internal import CKernel
internal import Glibc

/// Bytes in a nameless file that nobody can change any more: how one program hands its state to the next.
public enum SealedMemory {
    // F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE.
    private static let seals = 1 | 2 | 4 | 8
    private static let addSeals: Int32 = 1033
    private static let getSeals: Int32 = 1034

    /// Makes one with `bytes` as its content (`memfd_create(2)` and all seals).
    ///
    /// - Parameters:
    ///   - name: what `/proc/PID/fd` shows.
    ///   - bytes: the content.
    /// - Returns: the file, at its beginning, close-on-exec.
    /// - Throws: `KernelError`.
    public static func make(_ name: String, _ bytes: [UInt8]) throws(KernelError) -> Descriptor {
        try refuseNUL(name, "make sealed memory")
        // MFD_CLOEXEC and MFD_ALLOW_SEALING.
        let file = Descriptor(adopting: try system("make sealed memory") { unsafe ck_memfd_create(name, 3) })
        try file.writeAll(bytes)
        try system("seal memory") { ck_fcntl(file.raw, addSeals, seals) }
        return file
    }

    /// Reads one that came from another program.
    ///
    /// - Parameters:
    ///   - file: the file; where it is being read does not matter.
    ///   - limit: the most bytes that it may have.
    /// - Returns: the content.
    /// - Throws: `KernelError`; errno is `.notPermitted` when it could still change, `.fileTooBig` over the limit.
    public static func read(_ file: RawDescriptor, limit: Int) throws(KernelError) -> [UInt8] {
        let found = try system("read the seals of memory") { ck_fcntl(file, getSeals, 0) }
        guard Int(found) & seals == seals else { throw .failed("read sealed memory", .notPermitted) }
        let holder = BorrowedDescriptor(file)
        let size = try holder.status().size
        guard size <= limit else { throw .failed("read sealed memory", .fileTooBig) }
        return try holder.read(upTo: Int(size), at: 0)
    }
}
