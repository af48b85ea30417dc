internal import CKernel
internal import Glibc

/// The mount API of Linux 5.12: file systems are configured, mounted detached, changed, and only then put in place.
public enum Mount {
    /// What a mount allows (`MOUNT_ATTR_*`).
    public struct Attributes: OptionSet, Hashable, Sendable {
        /// The kernel's bits.
        public let rawValue: UInt64

        /// Wraps the kernel's bits.
        public init(rawValue: UInt64) { self.rawValue = rawValue }

        /// No writing through this mount.
        public static let readOnly = Attributes(rawValue: 0x1)
        /// Set-id bits and file capabilities do nothing.
        public static let noSetID = Attributes(rawValue: 0x2)
        /// Devices cannot be opened.
        public static let noDevices = Attributes(rawValue: 0x4)
        /// Nothing can be executed.
        public static let noExecute = Attributes(rawValue: 0x8)
        /// Reading leaves the access time alone.
        public static let noAccessTime = Attributes(rawValue: 0x10)
        /// Reading always sets the access time.
        public static let strictAccessTime = Attributes(rawValue: 0x20)
        /// Reading directories leaves their access time alone.
        public static let noDirectoryAccessTime = Attributes(rawValue: 0x80)
        /// Symbolic links are not followed.
        public static let noSymbolicLinks = Attributes(rawValue: 0x200000)
        /// The mask of the access-time choice, to be cleared before one is set.
        public static let accessTimeMask = Attributes(rawValue: 0x70)
        static let idMap = Attributes(rawValue: 0x100000)
    }

    /// How mounts made at one place appear at its copies.
    public enum Propagation: UInt64, Sendable {
        /// They do not, and copies cannot be made.
        case unbindable = 0x20000
        /// They do not.
        case `private` = 0x40000
        /// Only from the original to this copy.
        case slave = 0x80000
        /// In both directions.
        case shared = 0x100000
    }

    /// Sets the propagation of a mounted directory.
    ///
    /// - Parameters:
    ///   - path: a mount point.
    ///   - propagation: the new type.
    ///   - recursive: whether all mounts below follow.
    /// - Throws: `KernelError`.
    public static func setPropagation(
        _ path: String,
        _ propagation: Propagation,
        recursive: Bool
    ) throws(KernelError) {
        try refuseNUL(path, "set propagation of")
        try system("set propagation of", path) {
            unsafe ck_mount_setattr(File.workingDirectory, path, recursive ? 0x8000 : 0, 0, 0, propagation.rawValue, 0)
        }
    }

    /// Changes a mount that is in place, by path.
    ///
    /// - Parameters:
    ///   - path: a mount point.
    ///   - set: attributes to set.
    ///   - clear: attributes to clear first.
    ///   - recursive: whether all mounts below follow.
    ///   - directory: where a relative path starts; with an empty path, the mount itself.
    /// - Throws: `KernelError`.
    public static func setAttributes(
        _ path: String,
        set: Attributes,
        clear: Attributes = [],
        recursive: Bool = false,
        at directory: RawDescriptor = File.workingDirectory
    ) throws(KernelError) {
        try refuseNUL(path, "change mount")
        try system("change mount", path) {
            unsafe ck_mount_setattr(
                directory,
                path,
                0x1000 | (recursive ? 0x8000 : 0),
                set.rawValue,
                clear.rawValue,
                0,
                0
            )
        }
    }

    /// How a mount is taken away.
    public struct UnmountFlags: OptionSet, Hashable, Sendable {
        /// The kernel's bits.
        public let rawValue: Int32

        /// Wraps the kernel's bits.
        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// Out of sight now, really gone when nobody uses it.
        public static let detach = UnmountFlags(rawValue: 2)
        /// A final symbolic link is not followed.
        public static let noFollow = UnmountFlags(rawValue: 8)
    }

    /// Takes a mount away.
    ///
    /// - Parameters:
    ///   - path: a mount point.
    ///   - flags: how.
    /// - Throws: `KernelError`; errno is `.busy` while it is used, `.invalid` when it is no mount point.
    public static func unmount(_ path: String, _ flags: UnmountFlags = .noFollow) throws(KernelError) {
        try refuseNUL(path, "unmount")
        try system("unmount", path) { unsafe umount2(path, flags.rawValue) }
    }

    /// Makes a mount the root of this mount namespace and takes the old root away.
    ///
    /// Afterwards root and working directory are the new root. `pivot_root(".", ".")` stacks the old root on the new one, so
    /// no directory is needed for it; with it goes what was mounted on it, also on its root.
    ///
    /// - Parameter root: an open directory that is a mount point in this namespace.
    /// - Throws: `KernelError`; errno is `.busy` when something is still mounted over the new root.
    public static func pivotRoot(to root: RawDescriptor) throws(KernelError) {
        try system("enter new root") { fchdir(root) }
        try system("pivot root") { unsafe ck_pivot_root(".", ".") }
        try system("enter root", "/") { unsafe chdir("/") }
        // "/.." is what lies topmost there, where everybody arrives who enters this mount namespace later.
        let wanted = try BorrowedDescriptor(root).status().mountID
        for _ in 0..<16 {
            if try FileStatus.read(File.workingDirectory, "/..", 0).mountID == wanted { return }
            try system("detach old root") { unsafe umount2("/..", 2) }
        }
        throw .failed("detach old root", "/", .busy)
    }

    /// Makes a directory the root of the calling process (`chroot(2)`) and enters it.
    ///
    /// - Parameter root: an open directory.
    /// - Throws: `KernelError`.
    public static func changeRoot(to root: RawDescriptor) throws(KernelError) {
        try system("enter new root") { fchdir(root) }
        try system("change root") { unsafe ck_chroot(".") }
    }
}

/// A file system while it is being configured (`fsopen(2)`).
public struct FileSystemContext: ~Copyable, Sendable {
    private let descriptor: Descriptor
    private let type: String

    /// Starts a new file system.
    ///
    /// - Parameter type: for example `overlay`.
    /// - Throws: `KernelError`; errno is `.noDevice` for an unknown type.
    public init(_ type: String) throws(KernelError) {
        try refuseNUL(type, "open file system")
        descriptor = Descriptor(adopting: try system("open file system", type) { unsafe ck_fsopen(type, 1) })
        self.type = type
    }

    /// Starts to change the file system of a mount that is in place (`fspick(2)`); `reconfigure` does it.
    ///
    /// - Parameters:
    ///   - mount: the root of the mount, O_PATH is enough.
    ///   - type: how to call it in errors.
    /// - Throws: `KernelError`.
    public init(changing mount: RawDescriptor, type: String) throws(KernelError) {
        // FSPICK_CLOEXEC | FSPICK_EMPTY_PATH
        descriptor = Descriptor(adopting: try system("change file system", type) { unsafe ck_fspick(mount, "", 1 | 8) })
        self.type = type
    }

    /// Puts the options that were set in force on a file system that exists.
    ///
    /// - Throws: `KernelError` with the kernel's own message in `detail`.
    public consuming func reconfigure() throws(KernelError) {
        try configure("reconfigure") { ck_fsconfig(descriptor.raw, 7, nil, nil, 0) }
    }

    /// Sets an option without value.
    ///
    /// - Parameter key: for example `ro`.
    /// - Throws: `KernelError` with the kernel's own message in `detail`.
    public func set(_ key: String) throws(KernelError) {
        try refuseNUL(key, "set option")
        try configure(key) { unsafe ck_fsconfig(descriptor.raw, 0, key, nil, 0) }
    }

    /// Sets an option to a text.
    ///
    /// - Parameters:
    ///   - key: for example `size`.
    ///   - value: below 256 bytes.
    /// - Throws: `KernelError` with the kernel's own message in `detail`.
    public func set(_ key: String, _ value: String) throws(KernelError) {
        try refuseNUL(key, "set option")
        try refuseNUL(value, "set option \(key)")
        try configure(key) { unsafe ck_fsconfig(descriptor.raw, 1, key, value, 0) }
    }

    /// Sets an option to an open file, for example overlay's `lowerdir+` (Linux 6.13; before that give a path).
    ///
    /// - Parameters:
    ///   - key: the option.
    ///   - file: an open file or directory.
    /// - Throws: `KernelError` with the kernel's own message in `detail`.
    public func set(_ key: String, _ file: RawDescriptor) throws(KernelError) {
        try refuseNUL(key, "set option")
        try configure(key) { unsafe ck_fsconfig(descriptor.raw, 5, key, nil, file) }
    }

    /// Makes the file system and mounts it, not yet anywhere.
    ///
    /// - Parameter attributes: what the mount allows.
    /// - Returns: the detached mount.
    /// - Throws: `KernelError` with the kernel's own message in `detail`.
    public consuming func mount(_ attributes: Mount.Attributes = []) throws(KernelError) -> DetachedMount {
        try configure("create") { ck_fsconfig(descriptor.raw, 6, nil, nil, 0) }
        let number = try system("mount", type) { ck_fsmount(descriptor.raw, 1, UInt32(attributes.rawValue)) }
        return DetachedMount(Descriptor(adopting: number))
    }

    private func configure(_ key: String, _ call: () -> Int32) throws(KernelError) {
        do throws(KernelError) { try system("configure \(type)", key, call) } catch {
            throw .failed(error.operation, error.object, error.errno, detail: messages())
        }
    }

    /// What the file system said about the failure: lines that start with a letter for the level and a space.
    private func messages() -> String {
        var lines: [String] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        while lines.count < 8 {
            let count = unsafe Glibc.read(descriptor.raw, &buffer, buffer.count)
            guard count > 0 else { break }
            lines.append(
                String(decoding: buffer[..<count].dropFirst(2).filter { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
            )
        }
        return lines.joined(separator: "; ")
    }
}

/// A mount that is not in any mount namespace's tree yet.
public struct DetachedMount: ~Copyable, DescriptorHolder, Sendable {
    private let descriptor: Descriptor

    /// The root of the mount, an O_PATH descriptor; the mount goes when the last one is closed before `attach`.
    public var raw: RawDescriptor { descriptor.raw }

    /// Takes over an open detached mount.
    ///
    /// - Parameter descriptor: from fsmount or open_tree.
    public init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }

    /// Copies a place as a mount of its own (a bind mount), not yet anywhere.
    ///
    /// - Parameters:
    ///   - path: the file or directory; a final symbolic link is followed. Empty: `directory` itself.
    ///   - directory: where a relative path starts.
    ///   - recursive: whether mounts below come along.
    /// - Throws: `KernelError`.
    public init(
        cloning path: String,
        at directory: RawDescriptor = File.workingDirectory,
        recursive: Bool = false
    ) throws(KernelError) {
        try refuseNUL(path, "clone mount of")
        // OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH [| AT_RECURSIVE]
        let flags = 1 | UInt32(O_CLOEXEC) | 0x1000 | (recursive ? 0x8000 : 0)
        descriptor = Descriptor(
            adopting: try system("clone mount of", path) { unsafe ck_open_tree(directory, path, flags) }
        )
    }

    /// Gives up ownership as a plain descriptor.
    ///
    /// - Returns: the mount's root.
    public consuming func intoDescriptor() -> Descriptor { descriptor }

    /// Changes what the mount allows.
    ///
    /// - Parameters:
    ///   - set: attributes to set.
    ///   - clear: attributes to clear first.
    ///   - recursive: whether all mounts below follow.
    /// - Throws: `KernelError`.
    public func setAttributes(
        set: Mount.Attributes = [],
        clear: Mount.Attributes = [],
        recursive: Bool = false
    ) throws(KernelError) {
        try change(set, clear, propagation: nil, recursive: recursive, userNamespace: 0)
    }

    /// Sets the mount's propagation.
    ///
    /// - Parameters:
    ///   - propagation: the new type.
    ///   - recursive: whether all mounts below follow.
    /// - Throws: `KernelError`.
    public func setPropagation(_ propagation: Mount.Propagation, recursive: Bool = false) throws(KernelError) {
        try change([], [], propagation: propagation, recursive: recursive, userNamespace: 0)
    }

    /// Shows the files' owners through the id mapping of a user namespace.
    ///
    /// - Parameters:
    ///   - userNamespace: an open user namespace.
    ///   - recursive: whether all mounts below follow.
    /// - Throws: `KernelError`; errno is `.invalid` where the file system cannot (overlay itself, tmpfs before Linux 6.3).
    public func setIDMap(_ userNamespace: RawDescriptor, recursive: Bool = false) throws(KernelError) {
        try change(.idMap, [], propagation: nil, recursive: recursive, userNamespace: UInt64(userNamespace))
    }

    private func change(
        _ set: Mount.Attributes,
        _ clear: Mount.Attributes,
        propagation: Mount.Propagation?,
        recursive: Bool,
        userNamespace: UInt64
    ) throws(KernelError) {
        let flags: UInt32 = 0x1000 | (recursive ? 0x8000 : 0)
        try system("change mount") {
            unsafe ck_mount_setattr(
                raw,
                "",
                flags,
                set.rawValue,
                clear.rawValue,
                propagation?.rawValue ?? 0,
                userNamespace
            )
        }
    }

    /// Puts the mount in place, on top of what is there.
    ///
    /// - Parameters:
    ///   - target: an open (O_PATH) file or directory in this mount namespace: exactly what it names is covered.
    ///   - object: how to call the target in errors.
    /// - Throws: `KernelError`; errno is `.notDirectory` when one is a directory and the other is not.
    public func attach(to target: RawDescriptor, object: String = "") throws(KernelError) {
        // MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
        try system("mount on", object) { unsafe ck_move_mount(raw, "", target, "", 0x04 | 0x40) }
    }

    /// Puts the mount in place, on top of what is there.
    ///
    /// - Parameters:
    ///   - target: an open (O_PATH) file or directory in this mount namespace: exactly what it names is covered.
    ///   - object: how to call the target in errors.
    /// - Throws: `KernelError`.
    public func attach(
        to target: borrowing some DescriptorHolder & ~Copyable,
        object: String = ""
    ) throws(KernelError) {
        try attach(to: target.raw, object: object)
    }

    /// Puts the mount in place by an ordinary path, which must be Berth's own.
    ///
    /// - Parameter path: an existing file or directory; a final symbolic link is followed.
    /// - Throws: `KernelError`.
    public func attach(toPath path: String) throws(KernelError) {
        try refuseNUL(path, "mount on")
        // MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS
        try system("mount on", path) { unsafe ck_move_mount(raw, "", File.workingDirectory, path, 0x04 | 0x10) }
    }
}
