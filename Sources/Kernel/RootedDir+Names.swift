internal import CKernel
internal import Glibc

// What makes, moves and removes names. The parent is resolved inside the root; the name itself is never followed.
extension RootedDir {
    /// Makes a directory.
    ///
    /// - Parameters:
    ///   - path: where; the parent must exist.
    ///   - mode: permissions, before the umask.
    /// - Throws: `KernelError`; errno is `.exists` when the name is taken.
    public func mkdir(_ path: some PathText, mode: UInt32 = 0o755) throws(KernelError) {
        try onName(path, "make directory") { unsafe mkdirat($0, $1, mode) }
    }

    /// Makes a directory and what is missing of its parents, following links (also dangling ones) inside the root.
    ///
    /// - Parameters:
    ///   - path: where.
    ///   - mode: permissions of what is made, before the umask.
    /// - Returns: an O_PATH descriptor of the directory.
    /// - Throws: `KernelError`; errno is `.notDirectory` when something else is in the way.
    @discardableResult
    public func mkdirAll(_ path: some PathText, mode: UInt32 = 0o755) throws(KernelError) -> Descriptor {
        try mkdirAll(path.pathBytes, mode, linksLeft: 40)
    }

    private func mkdirAll(_ path: [UInt8], _ mode: UInt32, linksLeft: Int) throws(KernelError) -> Descriptor {
        do throws(KernelError) { return try open(path, [.path, .directory]) } catch  where error.errno == .noEntry {}
        var prefix: [UInt8] = []
        for component in path.split(separator: UInt8(ascii: "/")) {
            prefix += [UInt8(ascii: "/")] + component
            do throws(KernelError) {
                _ = try open(prefix, [.path, .directory])
                continue
            } catch  where error.errno == .noEntry {}
            do throws(KernelError) { try mkdir(prefix, mode: mode) } catch  where error.errno == .exists {
                // Taken, but opening it finds nothing: made by somebody in between, or a dangling link.
                guard try stat(prefix).kind == .symbolicLink else { continue }
                guard linksLeft > 0 else { throw .failed("make directory", path.text, .tooManyLinks) }
                let target = try readlink(prefix)
                let isAbsolute = target.first == UInt8(ascii: "/")
                let parent = try ParentAndName(prefix, "make directory").parent
                _ = try mkdirAll(
                    isAbsolute ? target : parent + [UInt8(ascii: "/")] + target,
                    mode,
                    linksLeft: linksLeft - 1
                )
            }
        }
        return try open(path, [.path, .directory])
    }

    /// Makes an empty file for something to be mounted on, with its missing parents; an existing file is left as it is.
    ///
    /// - Parameters:
    ///   - path: where, links followed inside the root.
    ///   - mode: permissions of a new file, before the umask.
    /// - Returns: an O_PATH descriptor of the file.
    /// - Throws: `KernelError`.
    @discardableResult
    public func makeFileTarget(_ path: some PathText, mode: UInt32 = 0o644) throws(KernelError) -> Descriptor {
        do throws(KernelError) { return try openPath(path, follow: true) } catch  where error.errno == .noEntry {}
        let place = try ParentAndName(path, "make file")
        _ = try mkdirAll(place.parent)
        do throws(KernelError) {
            _ = try create(path, mode: mode)
        } catch  where error.errno == .exists {
            // A dangling link: O_CREAT through openat2 makes its target inside the root.
            _ = try open(path, [.write, .create, .nonBlocking, .noControllingTerminal], mode: mode)
        }
        return try openPath(path, follow: true)
    }

    /// Makes a new regular file, open for writing.
    ///
    /// - Parameters:
    ///   - path: where; the parent must exist.
    ///   - mode: permissions, before the umask.
    /// - Returns: the open file.
    /// - Throws: `KernelError`; errno is `.exists` when the name is taken, also by a link.
    public func create(_ path: some PathText, mode: UInt32 = 0o644) throws(KernelError) -> Descriptor {
        Descriptor(
            adopting: try onName(path, "create file") {
                unsafe ck_openat($0, $1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
            }
        )
    }

    /// Makes a device, a pipe, a socket or an empty file.
    ///
    /// - Parameters:
    ///   - path: where; the parent must exist.
    ///   - kind: `.characterDevice`, `.blockDevice`, `.fifo`, `.socket` or `.regular`.
    ///   - permissions: before the umask.
    ///   - device: what a device stands for.
    /// - Throws: `KernelError`; errno is `.exists` when the name is taken.
    public func mknod(
        _ path: some PathText,
        _ kind: FileKind,
        permissions: UInt32,
        device: DeviceNumber = DeviceNumber(major: 0, minor: 0)
    ) throws(KernelError) {
        try onName(path, "make node") {
            unsafe ck_mknodat($0, $1, kind.rawValue | permissions, device.major, device.minor)
        }
    }

    /// Makes a symbolic link.
    ///
    /// - Parameters:
    ///   - path: where; the parent must exist.
    ///   - target: the link's text, stored as it is.
    /// - Throws: `KernelError`; errno is `.exists` when the name is taken.
    public func symlink(_ path: some PathText, to target: some PathText) throws(KernelError) {
        let text = try TerminatedPath(target, "make link to")
        try onName(path, "make link") { unsafe symlinkat(text.pointer, $0, $1) }
    }

    /// Gives an existing file a second name (a hard link).
    ///
    /// - Parameters:
    ///   - path: the new name; its parent must exist.
    ///   - existing: a name inside the root; when it is a symbolic link, the link itself gets the second name.
    /// - Throws: `KernelError`; errno is `.exists` when the name is taken.
    public func link(_ path: some PathText, toExisting existing: some PathText) throws(KernelError) {
        let place = try ParentAndName(existing, "link to")
        let folder = try open(place.parent, [.path, .directory])
        let name = try TerminatedPath(place.name, "link to")
        try onName(path, "make hard link") { unsafe linkat(folder.raw, name.pointer, $0, $1, 0) }
    }

    /// How a rename treats the new name.
    public enum RenameMode: UInt32, Sendable {
        /// What was there is replaced.
        case replace = 0
        /// The call fails when something is there.
        case noReplace = 1
        /// Both names change places.
        case exchange = 2
    }

    /// Renames.
    ///
    /// - Parameters:
    ///   - path: what.
    ///   - newPath: its new name, on the same mount.
    ///   - mode: how the new name is treated.
    /// - Throws: `KernelError`.
    public func rename(
        _ path: some PathText,
        to newPath: some PathText,
        _ mode: RenameMode = .replace
    ) throws(KernelError) {
        let place = try ParentAndName(path, "rename")
        let folder = try open(place.parent, [.path, .directory])
        let name = try TerminatedPath(place.name, "rename")
        try onName(newPath, "rename to") { unsafe ck_renameat2(folder.raw, name.pointer, $0, $1, mode.rawValue) }
    }

    /// Removes a name that is not a directory.
    ///
    /// - Parameter path: what.
    /// - Throws: `KernelError`; errno is `.noEntry` when there is nothing.
    public func unlink(_ path: some PathText) throws(KernelError) {
        try onName(path, "remove") { unsafe unlinkat($0, $1, 0) }
    }

    /// Removes an empty directory.
    ///
    /// - Parameter path: what.
    /// - Throws: `KernelError`; errno is `.noEntry` when there is nothing.
    public func rmdir(_ path: some PathText) throws(KernelError) {
        try onName(path, "remove directory") { unsafe unlinkat($0, $1, AT_REMOVEDIR) }
    }

    /// Removes a name with all that is below it; follows no link and crosses no mount.
    ///
    /// - Parameter path: what.
    /// - Returns: false when there was nothing.
    /// - Throws: `KernelError`; part of the tree may be gone.
    @discardableResult
    public func removeTree(_ path: some PathText) throws(KernelError) -> Bool {
        let place = try ParentAndName(path, "remove")
        do throws(KernelError) {
            let folder = try open(place.parent, [.path, .directory])
            try TreeRemoval.remove(place.name, in: folder.raw)
        } catch  where error.errno == .noEntry {
            return false
        }
        return true
    }

    /// Removes all that is in the root and leaves the root itself.
    ///
    /// - Throws: `KernelError`; part of the content may be gone.
    public func removeContents() throws(KernelError) {
        for entry in try readDirectory(".") {
            do throws(KernelError) { try TreeRemoval.remove(entry.nameBytes, in: raw) } catch
                where error.errno == .noEntry
            {}
        }
    }

    /// Runs a `*at` call on a name and its parent.
    @discardableResult
    private func onName(
        _ path: some PathText,
        _ operation: @autoclosure () -> String,
        _ call: (RawDescriptor, [CChar]) -> Int32
    ) throws(KernelError) -> Int32 {
        let place = try ParentAndName(path, operation())
        let folder = try open(place.parent, [.path, .directory])
        let name = try TerminatedPath(place.name, operation())
        return try system(operation(), path.text) { call(folder.raw, name.pointer) }
    }
}
