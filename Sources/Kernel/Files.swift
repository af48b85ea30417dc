internal import CKernel
internal import Glibc

/// How a file is opened, as the bits of open(2); O_CLOEXEC is always added.
public struct OpenFlags: OptionSet, Hashable, Sendable {
    /// The kernel's bits.
    public let rawValue: Int32

    /// Wraps the kernel's bits.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// For reading only.
    public static let read: OpenFlags = []
    /// For writing only.
    public static let write = OpenFlags(rawValue: O_WRONLY)
    /// For both.
    public static let readWrite = OpenFlags(rawValue: O_RDWR)
    /// Create when absent.
    public static let create = OpenFlags(rawValue: O_CREAT)
    /// With `create`: fail when present.
    public static let exclusive = OpenFlags(rawValue: O_EXCL)
    /// Empty the file.
    public static let truncate = OpenFlags(rawValue: O_TRUNC)
    /// Write at the end.
    public static let append = OpenFlags(rawValue: O_APPEND)
    /// Only a directory.
    public static let directory = OpenFlags(rawValue: O_DIRECTORY)
    /// Fail when the last component is a symbolic link (with `path`: open the link itself).
    public static let noFollow = OpenFlags(rawValue: O_NOFOLLOW)
    /// Calls fail rather than wait.
    public static let nonBlocking = OpenFlags(rawValue: O_NONBLOCK)
    /// Never become the controlling terminal.
    public static let noControllingTerminal = OpenFlags(rawValue: O_NOCTTY)
    /// Name the file without opening it.
    public static let path = OpenFlags(rawValue: 0o10000000)
    /// Make a nameless file in the directory.
    public static let temporary = OpenFlags(rawValue: 0o20200000)
}

/// Files that only Berth's own configuration names, by ordinary paths.
///
/// Paths that an image, a volume, an archive or a container can influence go through `RootedDir` instead.
public enum File {
    /// The directory that relative paths start from when none is given (AT_FDCWD).
    public static let workingDirectory: RawDescriptor = -100

    /// Opens a file.
    ///
    /// - Parameters:
    ///   - path: where it is.
    ///   - flags: how.
    ///   - mode: permissions of a created file, before the umask.
    ///   - directory: where relative paths start.
    /// - Returns: an owned descriptor, close-on-exec.
    /// - Throws: `KernelError`.
    public static func open(
        _ path: String,
        _ flags: OpenFlags = .read,
        mode: UInt32 = 0o600,
        at directory: RawDescriptor = workingDirectory
    ) throws(KernelError) -> Descriptor {
        try refuseNUL(path, "open")
        return Descriptor(
            adopting: try system("open", path) { unsafe ck_openat(directory, path, flags.rawValue | O_CLOEXEC, mode) }
        )
    }

    /// Reads a whole file.
    ///
    /// - Parameters:
    ///   - path: where it is.
    ///   - limit: the most bytes to accept.
    ///   - directory: where relative paths start.
    /// - Returns: its bytes.
    /// - Throws: `KernelError`; errno is `.fileTooBig` when there are more than `limit`.
    public static func read(
        _ path: String,
        limit: Int,
        at directory: RawDescriptor = workingDirectory
    ) throws(KernelError) -> [UInt8] {
        let file = try open(path, .read, at: directory)
        do throws(KernelError) { return try file.readToEnd(limit: limit) } catch { throw error.about(path) }
    }

    /// Reads a whole file as text; bytes that are not UTF-8 become replacement characters.
    ///
    /// - Parameters:
    ///   - path: where it is.
    ///   - limit: the most bytes to accept.
    ///   - directory: where relative paths start.
    /// - Returns: its text.
    /// - Throws: `KernelError`.
    public static func readText(
        _ path: String,
        limit: Int = 1 << 20,
        at directory: RawDescriptor = workingDirectory
    ) throws(KernelError) -> String {
        String(decoding: try read(path, limit: limit, at: directory), as: UTF8.self)
    }

    /// Writes an existing file of a kernel file system (procfs, sysfs, cgroupfs) in one call.
    ///
    /// - Parameters:
    ///   - path: where it is.
    ///   - text: what to write.
    ///   - directory: where relative paths start.
    /// - Throws: `KernelError` with the path.
    public static func writeOnce(
        _ path: String,
        _ text: String,
        at directory: RawDescriptor = workingDirectory
    ) throws(KernelError) {
        let file = try open(path, .write, at: directory)
        var text = text
        let count = try system("write", path) {
            text.withUTF8 { unsafe Glibc.write(file.raw, $0.baseAddress, $0.count) }
        }
        guard count == text.utf8.count else { throw .failed("write", path, .inputOutput, detail: "short write") }
    }

    /// Replaces a file so that readers, and a machine after a crash, see the old or the new content and nothing between.
    ///
    /// A crash may leave a file `.NAME.XXXXXXXX.tmp` beside it.
    ///
    /// - Parameters:
    ///   - path: where it is; the directory must exist.
    ///   - bytes: the new content.
    ///   - mode: permissions, exact whatever the umask is.
    ///   - durable: whether file and directory are fsynced, so that the content survives a power cut.
    ///   - directory: where relative paths start.
    /// - Throws: `KernelError`; the old content is untouched then.
    public static func writeAtomically(
        _ path: String,
        _ bytes: [UInt8],
        mode: UInt32 = 0o600,
        durable: Bool,
        at directory: RawDescriptor = workingDirectory
    ) throws(KernelError) {
        let (parent, name) = split(path)
        let folder = try open(parent, [.directory, .path], at: directory)
        let temporary = ".\(name).\(Random.hex(4)).tmp"
        let file = try open(temporary, [.write, .create, .exclusive, .noFollow], mode: mode, at: folder.raw)
        do throws(KernelError) {
            try system("change mode of", path) { fchmod(file.raw, mode) }
            try file.writeAll(bytes)
            if durable { try system("sync", path) { fsync(file.raw) } }
            try system("rename to", path) { unsafe renameat(folder.raw, temporary, folder.raw, name) }
        } catch {
            // The first error is what matters; a left-over temporary file is harmless and named as such.
            _ = unsafe unlinkat(folder.raw, temporary, 0)
            throw error.object.isEmpty ? error.about(path) : error
        }
        if durable {
            let readable = try open(".", [.directory], at: folder.raw)
            try system("sync directory of", path) { fsync(readable.raw) }
        }
    }

    /// Makes a directory.
    ///
    /// - Parameters:
    ///   - path: where.
    ///   - mode: permissions, before the umask.
    ///   - directory: where relative paths start.
    /// - Throws: `KernelError`; errno is `.exists` when there is something already.
    public static func makeDirectory(
        _ path: String,
        mode: UInt32 = 0o700,
        at directory: RawDescriptor = workingDirectory
    ) throws(KernelError) {
        try refuseNUL(path, "make directory")
        try system("make directory", path) { unsafe mkdirat(directory, path, mode) }
    }

    /// Makes a directory and its missing parents; what exists is left as it is.
    ///
    /// - Parameters:
    ///   - path: where.
    ///   - mode: permissions of what is made, before the umask.
    /// - Throws: `KernelError`.
    public static func makeDirectories(_ path: String, mode: UInt32 = 0o700) throws(KernelError) {
        do throws(KernelError) {
            try makeDirectory(path, mode: mode)
        } catch  where error.errno == .exists {
            return
        } catch  where error.errno == .noEntry {
            let parent = split(path).parent
            guard parent != path, parent != "/", parent != "." else { throw error }
            try makeDirectories(parent, mode: mode)
            do throws(KernelError) { try makeDirectory(path, mode: mode) } catch  where error.errno == .exists {}
        }
    }

    /// Removes a name that is not a directory.
    ///
    /// - Parameters:
    ///   - path: what to remove; a symbolic link is removed itself.
    ///   - directory: where relative paths start.
    /// - Returns: false when there was nothing.
    /// - Throws: `KernelError`.
    @discardableResult
    public static func remove(
        _ path: String,
        at directory: RawDescriptor = workingDirectory
    ) throws(KernelError) -> Bool {
        try refuseNUL(path, "remove")
        return try absentIsFalse { () throws(KernelError) in
            try system("remove", path) { unsafe unlinkat(directory, path, 0) }
        }
    }

    /// Removes an empty directory.
    ///
    /// - Parameters:
    ///   - path: what to remove.
    ///   - directory: where relative paths start.
    /// - Returns: false when there was nothing.
    /// - Throws: `KernelError`.
    @discardableResult
    public static func removeDirectory(
        _ path: String,
        at directory: RawDescriptor = workingDirectory
    ) throws(KernelError) -> Bool {
        try refuseNUL(path, "remove directory")
        return try absentIsFalse { () throws(KernelError) in
            try system("remove directory", path) { unsafe unlinkat(directory, path, AT_REMOVEDIR) }
        }
    }

    /// Removes a file or a directory with all that is in it, without following links or crossing mounts.
    ///
    /// - Parameter path: what to remove.
    /// - Returns: false when there was nothing.
    /// - Throws: `KernelError`; part of the tree may be gone.
    @discardableResult
    public static func removeTree(_ path: String) throws(KernelError) -> Bool {
        let (parent, name) = split(path)
        return try absentIsFalse { () throws(KernelError) in
            let folder = try open(parent, [.directory, .path])
            try TreeRemoval.remove(name, in: folder.raw)
        }
    }

    /// Renames; replaces what is at the new name.
    ///
    /// - Parameters:
    ///   - path: what.
    ///   - newPath: its new name, on the same file system.
    ///   - directory: where relative paths start.
    /// - Throws: `KernelError`.
    public static func rename(
        _ path: String,
        to newPath: String,
        at directory: RawDescriptor = workingDirectory
    ) throws(KernelError) {
        try refuseNUL(path, "rename")
        try refuseNUL(newPath, "rename")
        try system("rename", path) { unsafe renameat(directory, path, directory, newPath) }
    }

    /// Whether something is there; a symbolic link counts itself.
    ///
    /// - Parameters:
    ///   - path: where.
    ///   - directory: where relative paths start.
    /// - Returns: false also when it cannot be known.
    public static func exists(_ path: String, at directory: RawDescriptor = workingDirectory) -> Bool {
        unsafe faccessat(directory, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0
    }

    /// Whether a path leads to something.
    ///
    /// - Parameter path: where.
    /// - Returns: false only when the kernel says that there is nothing.
    /// - Throws: `KernelError` when it cannot be known.
    public static func isThere(_ path: String) throws(KernelError) -> Bool {
        do throws(KernelError) { _ = try status(path) } catch  where [.noEntry, .notDirectory].contains(error.errno) {
            return false
        }
        return true
    }

    /// The facts about a path.
    ///
    /// - Parameters:
    ///   - path: where.
    ///   - follow: whether a final symbolic link is followed.
    ///   - directory: where relative paths start.
    /// - Returns: the facts.
    /// - Throws: `KernelError`.
    public static func status(
        _ path: String,
        follow: Bool = false,
        at directory: RawDescriptor = workingDirectory
    ) throws(KernelError) -> FileStatus {
        try refuseNUL(path, "stat")
        return try FileStatus.read(directory, path, follow ? 0 : AT_SYMLINK_NOFOLLOW)
    }

    /// The parent and the last component: `a/b/` gives `a` and `b`, `b` gives `.` and `b`, `/b` gives `/` and `b`.
    package static func split(_ path: String) -> (parent: String, name: String) {
        var bytes = path.utf8[...]
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return (".", String(Substring(bytes))) }
        var parent = bytes[..<slash]
        while parent.count > 1, parent.last == UInt8(ascii: "/") { parent.removeLast() }
        let name = String(Substring(bytes[bytes.index(after: slash)...]))
        return (parent.isEmpty ? "/" : String(Substring(parent)), name)
    }

    private static func absentIsFalse(_ body: () throws(KernelError) -> Void) throws(KernelError) -> Bool {
        do throws(KernelError) { try body() } catch  where error.errno == .noEntry { return false }
        return true
    }
}
