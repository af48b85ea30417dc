internal import CKernel
internal import Glibc

/// Removes trees name by name, always relative to an open directory, so that no link is ever followed.
///
/// What a container left behind may be deeper than there are descriptors and wider than there is memory: directories are read
/// piece by piece, and one that lies too deep is first moved up to the top of the tree.
enum TreeRemoval {
    /// How many levels are open at once.
    private static let depth = 128

    /// Removes `name` in `directory` with all that is in it.
    static func remove(_ name: some PathText, in directory: RawDescriptor) throws(KernelError) {
        let path = try TerminatedPath(name, "remove")
        guard let top = try openUnlessRemoved(path, in: directory) else { return }
        var lifted = true
        while lifted {
            lifted = false
            try empty(top.raw, top: top.raw, depth: depth, &lifted)
        }
        try system("remove directory", path.text) { unsafe unlinkat(directory, path.pointer, AT_REMOVEDIR) }
    }

    /// Removes all that is in a directory, except for what it moves up to `top`, which then sets `lifted`.
    private static func empty(
        _ directory: RawDescriptor,
        top: RawDescriptor,
        depth: Int,
        _ lifted: inout Bool
    ) throws(KernelError) {
        let reader = try File.open(".", .directory, at: directory)
        // Removing while reading may hide names from the reader, so the last pass is one that finds nothing.
        while try pass(reader, top: top, depth: depth, &lifted) { try reader.seek(to: 0) }
    }

    /// Reads the directory once and removes what it finds.
    ///
    /// - Returns: whether it found anything.
    private static func pass(
        _ reader: borrowing Descriptor,
        top: RawDescriptor,
        depth: Int,
        _ lifted: inout Bool
    ) throws(KernelError) -> Bool {
        var found = false
        while true {
            let entries = try reader.readDirectoryPart()
            if entries.isEmpty { return found }
            for entry in entries {
                // At the top, what was lifted in this round waits for the next.
                if depth == self.depth, lifted, entry.nameBytes.starts(with: liftedPrefix) { continue }
                found = true
                do throws(KernelError) {
                    try removeEntry(entry.nameBytes, reader.raw, top, depth, &lifted)
                } catch  where error.errno == .noEntry {}
            }
        }
    }

    private static func removeEntry(
        _ name: [UInt8],
        _ directory: RawDescriptor,
        _ top: RawDescriptor,
        _ depth: Int,
        _ lifted: inout Bool
    ) throws(KernelError) {
        let path = try TerminatedPath(name, "remove")
        guard let child = try openUnlessRemoved(path, in: directory) else { return }
        if depth == 0 {
            let newName = try TerminatedPath(liftedPrefix + Array(Random.hex(8).utf8), "move")
            try system("move", path.text) { unsafe renameat(directory, path.pointer, top, newName.pointer) }
            lifted = true
            return
        }
        try empty(child.raw, top: top, depth: depth - 1, &lifted)
        try system("remove directory", path.text) { unsafe unlinkat(directory, path.pointer, AT_REMOVEDIR) }
    }

    private static let liftedPrefix = Array(".berth-lifted-".utf8)

    /// Removes a name, or opens it when it is a directory.
    ///
    /// A mounted directory is not ours to empty, and a name that became a link meanwhile is not the directory that was seen.
    private static func openUnlessRemoved(
        _ path: TerminatedPath,
        in directory: RawDescriptor
    ) throws(KernelError) -> Descriptor? {
        if unsafe unlinkat(directory, path.pointer, 0) == 0 { return nil }
        let refusal = Errno.current
        guard refusal == .isDirectory || refusal == .notPermitted else { throw .failed("remove", path.text, refusal) }
        let flags = UInt64(OpenFlags.path.rawValue | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        // RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
        let resolve: UInt64 = 0x01 | 0x02 | 0x04 | 0x08
        do throws(KernelError) {
            return Descriptor(
                adopting: try system("open directory", path.text) {
                    unsafe ck_openat2(directory, path.pointer, flags, 0, resolve)
                }
            )
        } catch  where error.errno == .notDirectory {
            // Not a directory after all: the first answer stands.
            throw .failed("remove", path.text, refusal)
        }
    }
}
