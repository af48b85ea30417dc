package import Kernel

/// The bound of a shim's own log, which lies in memory that all containers share.
///
/// It is opened for appending, so that whoever has it open goes on at its new end.
package enum ShimLogBound {
    /// A longer one is cut.
    package static let limit: Int64 = 1 << 20
    /// What is kept: the beginning, which says what began to go wrong.
    package static let kept: Int64 = 512 << 10

    /// Cuts a log that is too long; whatever else the descriptor is of, such as a manager's pipe, is left alone.
    ///
    /// - Returns: whether it was too long.
    package static func cut(_ log: BorrowedDescriptor) throws(KernelError) -> Bool {
        let status = try log.status()
        guard status.isRegular, status.size > limit else { return false }
        try log.truncate(to: kept)
        try log.writeAll("\n... what stood here is cut: a log of a shim has \(limit >> 10) KiB at most ...\n")
        return true
    }

    /// Cuts those of some logs that are too long.
    ///
    /// - Returns: whether any was.
    package static func cut(_ paths: [String]) -> Bool {
        var hasCut = false
        for path in paths {
            // Most are short, or of a container that does not run. What is no file would be waited for.
            guard let status = try? File.status(path), status.isRegular, status.size > limit,
                let log = try? File.open(path, [.write, .append])
            else { continue }
            // One that cannot be cut now is looked at again.
            if (try? cut(BorrowedDescriptor(log.raw))) == true { hasCut = true }
        }
        return hasCut
    }
}
