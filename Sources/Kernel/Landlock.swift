internal import CKernel
internal import Glibc

/// Landlock: what processes may do with files, by rules that they cannot lose (`landlock(7)`, Linux 5.13).
///
/// A rule is about the file or directory itself, wherever it is mounted, and what lies beneath; a process may do what any rule on the way up
/// to the root allows. Whoever is held to rules about files can also mount, unmount and move mounts no more.
public enum Landlock {
    /// The newest version of the interface that the kernel has; 0 where there is none, or where it is turned off.
    public static var version: Int { Int(max(ck_landlock_version(), 0)) }

    /// What can be done with files (`LANDLOCK_ACCESS_FS_*`, include/uapi/linux/landlock.h).
    public struct Access: OptionSet, Hashable, Sendable {
        /// The kernel's bits.
        public let rawValue: UInt64

        /// Wraps the kernel's bits.
        public init(rawValue: UInt64) { self.rawValue = rawValue }

        /// To execute a file.
        public static let execute = Access(rawValue: 1 << 0)
        /// To open a file for writing.
        public static let writeFile = Access(rawValue: 1 << 1)
        /// To open a file for reading.
        public static let readFile = Access(rawValue: 1 << 2)
        /// To list a directory.
        public static let readDirectory = Access(rawValue: 1 << 3)
        /// To remove directories and other files, and to make those that are neither devices nor moved from elsewhere.
        public static let changeDirectories = Access(rawValue: 0b1_0111_1011_0000)
        /// To make devices.
        public static let makeDevices = Access(rawValue: 1 << 6 | 1 << 11)
        /// To link or move files from one directory to another (version 2).
        public static let refer = Access(rawValue: 1 << 13)
        /// To cut files off (version 3).
        public static let truncate = Access(rawValue: 1 << 14)
        /// To control devices that are opened from now on (version 5).
        public static let controlDevices = Access(rawValue: 1 << 15)

        /// What a rule for something that is no directory can allow.
        public static let ofFiles: Access = [.execute, .writeFile, .readFile, .truncate, .controlDevices]

        /// Everything that a version knows.
        ///
        /// - Parameter version: As of `Landlock.version`.
        /// - Returns: Nothing for version 0.
        public static func known(to version: Int) -> Access {
            switch version {
            case ...0: []
            case 1: Access(rawValue: 1 << 13 - 1)
            case 2: Access(rawValue: 1 << 14 - 1)
            case 3, 4: Access(rawValue: 1 << 15 - 1)
            default: Access(rawValue: 1 << 16 - 1)
            }
        }
    }

    /// What can be done to processes that are not held to the same rules (`LANDLOCK_SCOPE_*`, version 6).
    public struct Scopes: OptionSet, Hashable, Sendable {
        /// The kernel's bits.
        public let rawValue: UInt64

        /// Wraps the kernel's bits.
        public init(rawValue: UInt64) { self.rawValue = rawValue }

        /// No connection to their abstract UNIX sockets.
        public static let abstractSockets = Scopes(rawValue: 1)
        /// No signals.
        public static let signals = Scopes(rawValue: 2)
    }
}

/// Rules that processes can be held to.
public struct LandlockRules: Sendable {
    /// The kernel's object; copies of it have the same rules, also in other processes.
    public let descriptor: SharedDescriptor

    /// Takes over rules that somebody has made.
    ///
    /// - Parameter descriptor: As of another value.
    public init(_ descriptor: SharedDescriptor) { self.descriptor = descriptor }

    /// Makes a set without any rule.
    ///
    /// - Parameters:
    ///   - access: What is refused where no rule allows it.
    ///   - scopes: What ends at those who are held to the same.
    /// - Throws: `KernelError`; errno is `.invalid` for what this kernel does not know, `.noSystemCall` or `.notSupported` without Landlock.
    public init(handling access: Landlock.Access, scoping scopes: Landlock.Scopes = []) throws(KernelError) {
        let number = try system("make access rules") { ck_landlock_create(access.rawValue, scopes.rawValue) }
        descriptor = SharedDescriptor(Descriptor(adopting: number))
    }

    /// Adds a rule.
    ///
    /// - Parameters:
    ///   - access: What is allowed; at least one thing, and for something that is no directory nothing beyond `ofFiles`.
    ///   - place: The open file or directory, O_PATH is enough.
    /// - Returns: False for what has no place that rules could be about, such as a pipe or a socket: it is never refused.
    /// - Throws: `KernelError`.
    @discardableResult
    public func allow(_ access: Landlock.Access, beneath place: RawDescriptor) throws(KernelError) -> Bool {
        if ck_landlock_allow(descriptor.raw, access.rawValue, place) == 0 { return true }
        let errno = Errno.current
        if errno.rawValue == EBADFD { return false }
        throw .failed("add access rule", errno)
    }

    /// Holds the calling thread, and all that it makes, to the rules for ever.
    ///
    /// - Throws: `KernelError`; needs no_new_privs or CAP_SYS_ADMIN.
    public func restrict() throws(KernelError) {
        try system("restrict access") { ck_landlock_restrict(descriptor.raw) }
    }
}

extension DescriptorHolder where Self: ~Copyable {
    /// What the descriptor was opened for.
    ///
    /// - Returns: Whether it can be read from and written to.
    /// - Throws: `KernelError`.
    public func openedFor() throws(KernelError) -> (reading: Bool, writing: Bool) {
        let mode = try system("ask for mode") { ck_fcntl(raw, F_GETFL, 0) } & O_ACCMODE
        return (mode != O_WRONLY, mode != O_RDONLY)
    }
}
