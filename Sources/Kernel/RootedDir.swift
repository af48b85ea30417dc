internal import CKernel
internal import Glibc

/// A directory that no path given to it can leave.
///
/// Every path that an image, a volume, an archive or a container can influence is resolved here, once, with
/// `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)`: absolute links and `..` stay inside, as in a chroot, and `/proc`-style
/// magic links are refused. What acts on a name (mkdir, unlink, rename …) resolves the parent and then uses the `*at` call on the
/// parent's descriptor, which does not follow the name itself.
public struct RootedDir: ~Copyable, DescriptorHolder, Sendable {
    private let descriptor: Descriptor

    /// The root's descriptor.
    public var raw: RawDescriptor { descriptor.raw }

    /// Opens a root by an ordinary path, which must be Berth's own.
    ///
    /// - Parameter path: an existing directory; a final symbolic link is refused.
    /// - Throws: `KernelError`.
    public init(_ path: String) throws(KernelError) {
        descriptor = try File.open(path, [.path, .directory, .noFollow])
    }

    /// Takes over an open directory as root.
    ///
    /// - Parameter descriptor: a directory, O_PATH or readable; a detached mount is fine.
    public init(adopting descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// Opens a file below the root.
    ///
    /// - Parameters:
    ///   - path: where, links followed inside the root unless `flags` has `.noFollow`.
    ///   - flags: how.
    ///   - mode: permissions of a created file, before the umask.
    /// - Returns: an owned descriptor, close-on-exec.
    /// - Throws: `KernelError`; errno is `.tooManyLinks` for magic links.
    public func open(
        _ path: some PathText,
        _ flags: OpenFlags = .read,
        mode: UInt32 = 0o600
    ) throws(KernelError) -> Descriptor {
        try resolve(TerminatedPath(path, "open"), flags, mode)
    }

    /// Opens a path none of whose components may be a symbolic link.
    ///
    /// - Parameters:
    ///   - path: below the root.
    ///   - flags: how.
    /// - Returns: an owned descriptor.
    /// - Throws: `KernelError`; errno is `.tooManyLinks` when there is a link.
    public func openWithoutLinks(_ path: some PathText, _ flags: OpenFlags) throws(KernelError) -> Descriptor {
        // RESOLVE_NO_SYMLINKS
        try resolve(TerminatedPath(path, "open"), flags, further: 0x04)
    }

    /// Names a file below the root without opening it (O_PATH): a target for mounts and for changes by descriptor.
    ///
    /// - Parameters:
    ///   - path: where.
    ///   - follow: whether a final symbolic link is followed.
    /// - Returns: an O_PATH descriptor.
    /// - Throws: `KernelError`.
    public func openPath(_ path: some PathText, follow: Bool = false) throws(KernelError) -> Descriptor {
        try open(path, follow ? .path : [.path, .noFollow])
    }

    /// Makes a directory below the root a root of its own.
    ///
    /// - Parameter path: an existing directory, links followed inside the root.
    /// - Returns: the inner root.
    /// - Throws: `KernelError`.
    public func subdirectory(_ path: some PathText) throws(KernelError) -> RootedDir {
        RootedDir(adopting: try open(path, [.path, .directory]))
    }

    /// Opens a regular file for reading; never waits for a pipe or touches a device.
    ///
    /// - Parameter path: where, links followed inside the root.
    /// - Returns: the open file.
    /// - Throws: `KernelError`; errno is `.invalid` when it is something else.
    public func openRegular(_ path: some PathText) throws(KernelError) -> Descriptor {
        // First without opening, because opening a device or pipe can already do something.
        let name = try open(path, .path)
        guard try name.status().isRegular else {
            throw .failed(
                "open",
                String(decoding: path.pathBytes, as: UTF8.self),
                .invalid,
                detail: "not a regular file"
            )
        }
        // The magic link of our own descriptor names exactly the file that was looked at.
        return try File.open(name.procPath, [.read, .nonBlocking, .noControllingTerminal])
    }

    /// Reads a regular file whole.
    ///
    /// - Parameters:
    ///   - path: where, links followed inside the root.
    ///   - limit: the most bytes to accept.
    /// - Returns: its bytes.
    /// - Throws: `KernelError`; errno is `.fileTooBig` when there are more than `limit`, `.invalid` when it is no regular file.
    public func readFile(_ path: some PathText, limit: Int) throws(KernelError) -> [UInt8] {
        try openRegular(path).readToEnd(limit: limit)
    }

    /// The facts about a name.
    ///
    /// - Parameters:
    ///   - path: where.
    ///   - follow: whether a final symbolic link is followed (inside the root).
    /// - Returns: the facts.
    /// - Throws: `KernelError`.
    public func stat(_ path: some PathText, follow: Bool = false) throws(KernelError) -> FileStatus {
        try openPath(path, follow: follow).status()
    }

    /// The text of a symbolic link.
    ///
    /// - Parameter path: the link.
    /// - Returns: its target as it is written, not resolved.
    /// - Throws: `KernelError`; errno is `.invalid` when it is no link.
    public func readlink(_ path: some PathText) throws(KernelError) -> [UInt8] {
        let link = try openPath(path)
        var buffer = [CChar](repeating: 0, count: 4096)
        let count: Int
        do throws(KernelError) {
            count = try system("read link") { unsafe readlinkat(link.raw, "", &buffer, buffer.count) }
        } catch {
            // The kernel says ENOENT for an empty path on a descriptor that is no link.
            throw .failed("read link", path.text, error.errno == .noEntry ? .invalid : error.errno)
        }
        return buffer[..<count].map { UInt8(bitPattern: $0) }
    }

    /// All names in a directory below the root.
    ///
    /// - Parameters:
    ///   - path: an existing directory, links followed inside the root.
    ///   - limit: the most names to accept.
    /// - Returns: the names, in the file system's order.
    /// - Throws: `KernelError`.
    public func readDirectory(_ path: some PathText, limit: Int = 1 << 20) throws(KernelError) -> [DirectoryEntry] {
        try open(path, .directory).readDirectory(limit: limit)
    }

    /// Resolves inside the root.
    func resolve(
        _ path: TerminatedPath,
        _ flags: OpenFlags,
        _ mode: UInt32 = 0,
        further: UInt64 = 0
    ) throws(KernelError) -> Descriptor {
        let creates = flags.contains(.create) || flags.contains(.temporary)
        let bits = UInt64(UInt32(bitPattern: flags.rawValue | O_CLOEXEC))
        var attempts = 0
        while true {
            // RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT
            let number = unsafe ck_openat2(raw, path.pointer, bits, creates ? UInt64(mode) : 0, 0x02 | 0x10 | further)
            if number >= 0 { return Descriptor(adopting: number) }
            let error = Errno.current
            // EAGAIN: a rename elsewhere made ".." uncertain. A container can provoke that, so not for ever.
            attempts += 1
            guard error == .interrupted || (error == .wouldBlock && attempts < 1000) else {
                throw .failed("open", path.text, error)
            }
        }
    }
}

extension PathText {
    /// For messages.
    var text: String { String(decoding: pathBytes, as: UTF8.self) }
}
