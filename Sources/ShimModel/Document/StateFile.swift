package import Kernel

/// `<bundle>/state`, which is written at every change.
package enum StateFile {
    /// Its name in the bundle.
    package static let name = "state"
    private static let fresh = ".state.new"

    /// Replaces the file: readers see the old or the new content and nothing between.
    ///
    /// The two names change places, and the old content goes. A rename over the file would make some file systems (ext4 with
    /// auto_da_alloc) write the new content to the disk first, which costs many milliseconds and is of no use: a state does not outlive
    /// the boot.
    ///
    /// - Throws: `KernelError`; the old content is untouched then.
    package static func write(_ bundle: String, _ bytes: [UInt8]) throws(KernelError) {
        let directory = try RootedDir(bundle)
        // Left by a crash.
        try File.remove(fresh, at: directory.raw)
        let file = try File.open(fresh, [.write, .create, .exclusive, .noFollow], at: directory.raw)
        do throws(KernelError) {
            try file.writeAll(bytes)
            try replace(directory)
        } catch {
            // The first error is what matters; what is left is removed by the next write.
            _ = try? File.remove(fresh, at: directory.raw)
            throw error
        }
    }

    private static func replace(_ directory: borrowing RootedDir) throws(KernelError) {
        do throws(KernelError) {
            try directory.rename(fresh, to: name, .exchange)
        } catch  where error.errno == .noEntry || error.errno == .invalid {
            // There is no old one, or the file system cannot exchange names.
            return try directory.rename(fresh, to: name)
        }
        try File.remove(fresh, at: directory.raw)
    }
}
