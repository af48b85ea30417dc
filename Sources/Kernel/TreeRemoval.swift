internal import CKernel
internal import Glibc

/// Removes trees name by name, always relative to an open directory, so that no link is ever followed.
enum TreeRemoval {
    /// Removes `name` in `directory` with all that is in it.
    ///
    /// Directories deeper than `depth` are refused: each level holds a descriptor.
    static func remove(_ name: String, in directory: RawDescriptor, depth: Int = 512) throws(KernelError) {
        guard unsafe unlinkat(directory, name, 0) != 0 else { return }
        let number = Errno.current
        guard number == .isDirectory || number == .notPermitted || number == .notEmpty else {
            throw .failed("remove", name, number)
        }
        guard depth > 0 else { throw .failed("remove", name, .nameTooLong, detail: "directories too deep") }
        // RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH: a mounted directory is not ours to empty.
        let child = Descriptor(
            adopting: try system("open directory", name) {
                unsafe ck_openat2(
                    directory,
                    name,
                    UInt64(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
                    0,
                    0x01 | 0x02 | 0x04 | 0x08
                )
            }
        )
        for entry in try child.readDirectory() {
            do throws(KernelError) { try remove(entry.name, in: child.raw, depth: depth - 1) } catch
                where error.errno == .noEntry
            {}
        }
        try system("remove directory", name) { unsafe unlinkat(directory, name, AT_REMOVEDIR) }
    }
}
