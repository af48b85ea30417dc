internal import CKernel
internal import Glibc

/// Removes trees name by name, always relative to an open directory, so that no link is ever followed.
enum TreeRemoval {
    /// Removes `name` in `directory` with all that is in it.
    ///
    /// Each level holds one descriptor, so directories deeper than `depth` are refused.
    static func remove(_ name: some PathText, in directory: RawDescriptor, depth: Int = 512) throws(KernelError) {
        let path = try TerminatedPath(name, "remove")
        guard unsafe unlinkat(directory, path.pointer, 0) != 0 else { return }
        let number = Errno.current
        guard number == .isDirectory || number == .notPermitted || number == .notEmpty else {
            throw .failed("remove", path.text, number)
        }
        guard depth > 0 else { throw .failed("remove", path.text, .nameTooLong, detail: "directories too deep") }
        let child = try open(path, in: directory)
        for entry in try child.readDirectory() {
            do throws(KernelError) {
                try remove(entry.nameBytes, in: child.raw, depth: depth - 1)
            } catch  where error.errno == .noEntry {}
        }
        try system("remove directory", path.text) { unsafe unlinkat(directory, path.pointer, AT_REMOVEDIR) }
    }

    /// A mounted directory is not ours to empty, and a name that became a link meanwhile is not the directory that was seen.
    private static func open(_ path: TerminatedPath, in directory: RawDescriptor) throws(KernelError) -> Descriptor {
        let flags = UInt64(O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        // RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
        let resolve: UInt64 = 0x01 | 0x02 | 0x04 | 0x08
        return Descriptor(
            adopting: try system("open directory", path.text) {
                unsafe ck_openat2(directory, path.pointer, flags, 0, resolve)
            }
        )
    }
}
