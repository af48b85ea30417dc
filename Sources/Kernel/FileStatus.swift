internal import CKernel
internal import Glibc

/// What kind of file a name is.
public enum FileKind: UInt32, Sendable {
    /// A regular file.
    case regular = 0o100000
    /// A directory.
    case directory = 0o040000
    /// A symbolic link.
    case symbolicLink = 0o120000
    /// A character device.
    case characterDevice = 0o020000
    /// A block device.
    case blockDevice = 0o060000
    /// A named pipe.
    case fifo = 0o010000
    /// A socket.
    case socket = 0o140000
}

/// A device number.
public struct DeviceNumber: Hashable, Sendable {
    /// The driver.
    public var major: UInt32
    /// The device of that driver.
    public var minor: UInt32

    /// Makes a number from its parts.
    public init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }
}

/// The facts about a file (`statx(2)`).
public struct FileStatus: Hashable, Sendable {
    /// What it is; nil for a kind that Linux does not have today.
    public let kind: FileKind?
    /// Permission bits with set-id and sticky, 0 to 0o7777.
    public let permissions: UInt32
    /// The owner.
    public let uid: UInt32
    /// The group.
    public let gid: UInt32
    /// Bytes of content.
    public let size: Int64
    /// Bytes that it occupies on disk.
    public let allocatedSize: Int64
    /// How many names it has.
    public let linkCount: UInt32
    /// Its number in its file system.
    public let inode: UInt64
    /// The file system's device.
    public let device: DeviceNumber
    /// The device that a device file stands for.
    public let representedDevice: DeviceNumber
    /// The mount it was reached through; unique while that mount lives.
    public let mountID: UInt64
    /// Whether it is the root of its mount.
    public let isMountRoot: Bool
    /// Last reading.
    public let accessed: Timestamp
    /// Last change of content.
    public let modified: Timestamp
    /// Last change of anything.
    public let changed: Timestamp

    /// Whether it is a directory.
    public var isDirectory: Bool { kind == .directory }
    /// Whether it is a regular file.
    public var isRegular: Bool { kind == .regular }

    static func read(_ directory: RawDescriptor, _ path: String, _ flags: Int32) throws(KernelError) -> FileStatus {
        var facts = ck_statx()
        try system("stat", path) { unsafe ck_statx(directory, path, flags, &facts) }
        return FileStatus(facts)
    }

    private init(_ facts: ck_statx) {
        kind = FileKind(rawValue: facts.mode & 0o170000)
        permissions = facts.mode & 0o7777
        uid = facts.uid
        gid = facts.gid
        size = Int64(clamping: facts.size)
        allocatedSize = Int64(clamping: facts.blocks) * 512
        linkCount = facts.nlink
        inode = facts.ino
        device = DeviceNumber(major: facts.dev_major, minor: facts.dev_minor)
        representedDevice = DeviceNumber(major: facts.rdev_major, minor: facts.rdev_minor)
        mountID = facts.mnt_id
        isMountRoot = facts.is_mount_root != 0
        accessed = Timestamp(seconds: facts.atime_sec, nanoseconds: facts.atime_nsec)
        modified = Timestamp(seconds: facts.mtime_sec, nanoseconds: facts.mtime_nsec)
        changed = Timestamp(seconds: facts.ctime_sec, nanoseconds: facts.ctime_nsec)
    }
}

/// Which time a file shall have.
public enum TimeChange: Hashable, Sendable {
    /// This one.
    case set(Timestamp)
    /// The present.
    case now
    /// As it is.
    case keep

    var timespec: Glibc.timespec {
        switch self {
        case .set(let time): Glibc.timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds))
        case .now: Glibc.timespec(tv_sec: 0, tv_nsec: (1 << 30) - 1)
        case .keep: Glibc.timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)
        }
    }
}

// Operations on the file that a descriptor is open on. Those marked so also work through O_PATH descriptors.
extension DescriptorHolder where Self: ~Copyable {
    /// The facts about the open file; works with O_PATH.
    ///
    /// - Throws: `KernelError`.
    public func status() throws(KernelError) -> FileStatus { try FileStatus.read(raw, "", 0x1000) }

    /// Sets the permission bits; works with O_PATH, and never follows anything.
    ///
    /// - Parameter permissions: 0 to 0o7777.
    /// - Throws: `KernelError`.
    public func changeMode(_ permissions: UInt32) throws(KernelError) {
        // fchmod refuses O_PATH descriptors, so fchmodat2 (Linux 6.6); before that /proc/self/fd names exactly the file.
        if unsafe ck_fchmodat2(raw, "", permissions, 0x1000) == 0 { return }
        guard Errno.current == .noSystemCall else { throw .failed("change mode", .current) }
        // Where the file is really open no /proc is needed, which in a container may be anything.
        if fchmod(raw, permissions) == 0 { return }
        try system("change mode") { unsafe chmod(procPath, permissions) }
    }

    /// Sets owner and group; works with O_PATH, also of a symbolic link itself.
    ///
    /// - Parameters:
    ///   - uid: the owner.
    ///   - gid: the group.
    /// - Throws: `KernelError`.
    public func changeOwner(uid: UInt32, gid: UInt32) throws(KernelError) {
        try system("change owner") { unsafe fchownat(raw, "", uid, gid, 0x1000) }
    }

    /// Sets the times; works with O_PATH, also of a symbolic link itself (Linux 5.8).
    ///
    /// - Parameters:
    ///   - accessed: time of last reading.
    ///   - modified: time of last change.
    /// - Throws: `KernelError`.
    public func changeTimes(accessed: TimeChange, modified: TimeChange) throws(KernelError) {
        let times = [accessed.timespec, modified.timespec]
        try system("change times") { unsafe utimensat(raw, "", times, 0x1000) }
    }

    /// Sets the length.
    ///
    /// - Parameter length: bytes; what is beyond is cut, what is missing reads as zero.
    /// - Throws: `KernelError`.
    public func truncate(to length: Int64) throws(KernelError) {
        try system("truncate") { ftruncate(raw, Int(length)) }
    }

    /// Waits until content and facts are on the disk.
    ///
    /// - Throws: `KernelError`.
    public func sync() throws(KernelError) { try system("sync") { fsync(raw) } }

    /// Takes the disk space of the file up to a length that it has at least from then on; what is there stays.
    ///
    /// - Parameter length: in bytes.
    /// - Throws: `KernelError`; errno is `.noSpace` when the disk is full.
    public func allocate(upTo length: Int64) throws(KernelError) {
        let number = posix_fallocate(raw, 0, Int(length))
        guard number == 0 else { throw .failed("take space for file", Errno(rawValue: number)) }
    }

    /// Waits until everything that was written to the open file's file system is on the disk.
    ///
    /// - Throws: `KernelError`.
    public func syncFileSystem() throws(KernelError) { try system("sync file system") { ck_syncfs(raw) } }

    /// Moves the offset.
    ///
    /// - Parameter offset: bytes from the start.
    /// - Throws: `KernelError`.
    public func seek(to offset: Int64) throws(KernelError) { try system("seek") { lseek(raw, Int(offset), SEEK_SET) } }

    /// Moves the offset to the end.
    ///
    /// - Returns: the length of the file.
    /// - Throws: `KernelError`.
    @discardableResult
    public func seekToEnd() throws(KernelError) -> Int64 { Int64(try system("seek") { lseek(raw, 0, SEEK_END) }) }

    /// Takes or refuses the advisory lock of the whole open file (`flock(2)`), without waiting.
    ///
    /// - Parameter exclusive: whether nobody else may hold it.
    /// - Returns: false when somebody else holds it.
    /// - Throws: `KernelError`.
    public func tryLock(exclusive: Bool = true) throws(KernelError) -> Bool {
        do throws(KernelError) {
            try system("lock") { flock(raw, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) }
        } catch  where error.errno == .wouldBlock {
            return false
        }
        return true
    }

    /// Takes the advisory lock of the whole open file (`flock(2)`), which nobody else may hold; waits for its holder.
    ///
    /// The kernel lets go of it when its holder dies.
    ///
    /// - Throws: `KernelError`.
    public func lock() throws(KernelError) { try system("lock") { flock(raw, LOCK_EX) } }

    /// Takes the advisory lock of the whole open file (`flock(2)`) as soon as nobody else holds it.
    ///
    /// The lock is the open file's: a child that its holder has just cloned has that too, until it becomes another program. So the lock of
    /// a process that is gone may be held for some moments yet.
    ///
    /// - Parameter patience: how long to wait at most; looked at every 10 ms.
    /// - Returns: false when somebody holds it even then.
    /// - Throws: `KernelError`.
    public func lock(within patience: Duration) throws(KernelError) -> Bool {
        let deadline = Clock.monotonic.now + patience
        while try !tryLock() {
            guard Clock.monotonic.now < deadline else { return false }
            Clock.sleep(.milliseconds(10))
        }
        return true
    }

    /// Gives the advisory lock back before its holder ends.
    public func unlock() {
        // Cannot fail on an open file.
        _ = flock(raw, LOCK_UN)
    }

    /// The identity of the file system's type, for example 0x9fa0 for procfs (`fstatfs(2)`).
    ///
    /// - Throws: `KernelError`.
    public func fileSystemType() throws(KernelError) -> Int {
        var facts = statfs()
        try system("stat file system") { unsafe fstatfs(raw, &facts) }
        return Int(facts.f_type)
    }
}
