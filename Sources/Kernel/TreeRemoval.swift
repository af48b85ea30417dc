internal import CKernel
internal import Glibc

/// Removes trees name by name, always relative to an open directory, so that no link is ever followed.
enum TreeRemoval {
    /// Most names of one directory that are in memory at once.
    private static let batch = 4096

    /// Removes `name` in `directory` with all that is in it.
    ///
    /// Each level holds one descriptor; what lies deeper than `depth` is renamed into `directory` first, under a name of chance, and
    /// a crash in between leaves it there.
    static func remove(_ name: some PathText, in directory: RawDescriptor, depth: Int = 512) throws(KernelError) {
        var deep: [String] = []
        try removeLevel(name, in: directory, depth, top: directory, &deep)
        while let next = deep.popLast() { try removeLevel(next, in: directory, depth, top: directory, &deep) }
    }

    private static func removeLevel(
        _ name: some PathText,
        in directory: RawDescriptor,
        _ depth: Int,
        top: RawDescriptor,
        _ deep: inout [String]
    ) throws(KernelError) {
        let path = try TerminatedPath(name, "remove")
        guard unsafe unlinkat(directory, path.pointer, 0) != 0 else { return }
        let number = Errno.current
        guard number == .isDirectory || number == .notPermitted || number == .notEmpty else {
            throw .failed("remove", path.text, number)
        }
        guard depth > 0 else {
            let higher = ".remove." + Random.hex(8)
            try system("move", path.text) { unsafe renameat(directory, path.pointer, top, higher) }
            return deep.append(higher)
        }
        let child = try open(path, in: directory)
        while case let entries = try child.readFirstEntries(batch), !entries.isEmpty {
            var removed = 0
            for entry in entries {
                do throws(KernelError) {
                    try removeLevel(entry.nameBytes, in: child.raw, depth - 1, top: top, &deep)
                    removed += 1
                } catch  where error.errno == .noEntry {}
            }
            // Names that are listed and not there would be listed for ever; the next call says what is wrong.
            if removed == 0 { break }
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
