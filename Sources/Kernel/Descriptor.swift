internal import CKernel
internal import Glibc

/// The number of an open file, without ownership.
///
/// Calls that only use a descriptor take this; the caller keeps the owner alive for as long as the call runs. So bind the owner to a
/// name first: in `use(try open(path).raw)` the temporary owner ends, and closes, before `use` runs.
public typealias RawDescriptor = Int32

/// Whatever holds an open descriptor; gives reading, writing and status to every holder.
public protocol DescriptorHolder: ~Copyable {
    /// The number, valid as long as the holder lives.
    var raw: RawDescriptor { get }
}

/// An owned descriptor: it is closed when the value ends.
///
/// Everything in Kernel that makes one sets close-on-exec at birth.
public struct Descriptor: ~Copyable, DescriptorHolder, Sendable {
    /// The number, valid as long as this value lives.
    public let raw: RawDescriptor

    /// Takes ownership of an open descriptor.
    ///
    /// - Parameter raw: a descriptor that nobody else will close.
    public init(adopting raw: RawDescriptor) { self.raw = raw }

    deinit {
        // Linux releases the number even when close fails, so there is nothing to retry and nobody to tell.
        _ = Glibc.close(raw)
    }

    /// Gives up ownership.
    ///
    /// - Returns: the number, which the caller must close.
    public consuming func release() -> RawDescriptor {
        let number = raw
        discard self
        return number
    }

    /// Closes now and reports what the kernel says, which on network file systems can be a lost write.
    ///
    /// - Throws: `KernelError`; the descriptor is closed all the same.
    public consuming func close() throws(KernelError) {
        let number = release()
        // EINTR also means closed on Linux.
        if Glibc.close(number) == -1, Errno.current != .interrupted { throw .failed("close", .current) }
    }
}

/// An owned descriptor that can be kept in collections and captured by callbacks.
///
/// It is closed when the last reference goes.
public final class SharedDescriptor: DescriptorHolder, Sendable {
    private let descriptor: Descriptor

    /// The number, valid as long as this object lives.
    public var raw: RawDescriptor { descriptor.raw }

    /// Takes over an owned descriptor.
    ///
    /// - Parameter descriptor: what to share.
    public init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}

/// A descriptor that somebody else owns, for example standard input.
public struct BorrowedDescriptor: DescriptorHolder, Sendable {
    /// The number.
    public let raw: RawDescriptor

    /// Names a descriptor without owning it.
    ///
    /// - Parameter raw: the number.
    public init(_ raw: RawDescriptor) { self.raw = raw }

    /// Descriptor 0.
    public static let standardInput = BorrowedDescriptor(0)
    /// Descriptor 1.
    public static let standardOutput = BorrowedDescriptor(1)
    /// Descriptor 2.
    public static let standardError = BorrowedDescriptor(2)
}

extension DescriptorHolder where Self: ~Copyable {
    /// A second descriptor of the same open file, close-on-exec.
    ///
    /// - Parameter minimum: the lowest number that the copy may have.
    /// - Returns: the copy.
    /// - Throws: `KernelError`, `resourceExhausted` when descriptors ran out.
    public func duplicate(minimum: Int32 = 3) throws(KernelError) -> Descriptor {
        Descriptor(adopting: try system("duplicate descriptor") { ck_fcntl(raw, F_DUPFD_CLOEXEC, Int(minimum)) })
    }

    /// Sets or clears O_NONBLOCK on the open file (all its descriptors share it).
    ///
    /// - Parameter on: whether calls shall fail rather than wait.
    /// - Throws: `KernelError`.
    public func setNonBlocking(_ on: Bool = true) throws(KernelError) {
        let flags = try system("read descriptor flags") { ck_fcntl(raw, F_GETFL, 0) }
        let wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
        if wanted != flags { try system("set descriptor flags") { ck_fcntl(raw, F_SETFL, Int(wanted)) } }
    }

    /// Sets or clears close-on-exec.
    ///
    /// - Parameter on: whether exec shall close the descriptor.
    /// - Throws: `KernelError`.
    public func setCloseOnExec(_ on: Bool) throws(KernelError) {
        try system("set close-on-exec") { ck_fcntl(raw, F_SETFD, on ? Int(FD_CLOEXEC) : 0) }
    }

    /// Whether exec closes the descriptor.
    ///
    /// - Throws: `KernelError`.
    public func isCloseOnExec() throws(KernelError) -> Bool {
        try system("read close-on-exec") { ck_fcntl(raw, F_GETFD, 0) } & FD_CLOEXEC != 0
    }

    /// Whether the descriptor is a terminal.
    public var isTerminal: Bool { isatty(raw) == 1 }

    /// `/proc/self/fd/N`, for the few calls that take only paths.
    public var procPath: String { "/proc/self/fd/\(raw)" }
}

/// Descriptor-table operations of the whole process.
public enum DescriptorTable {
    /// Marks all descriptors of a range close-on-exec (`close_range(2)` with CLOSE_RANGE_CLOEXEC).
    ///
    /// - Parameters:
    ///   - first: the first number.
    ///   - last: the last number; it may be far above the table's end.
    /// - Throws: `KernelError`.
    public static func setCloseOnExec(from first: UInt32, through last: UInt32 = .max) throws(KernelError) {
        try system("set close-on-exec for descriptors") { ck_close_range(first, last, 4) }
    }

    /// Closes all descriptors of a range.
    ///
    /// - Parameters:
    ///   - first: the first number.
    ///   - last: the last number; it may be far above the table's end.
    /// - Throws: `KernelError`.
    public static func close(from first: UInt32, through last: UInt32 = .max) throws(KernelError) {
        try system("close descriptors") { ck_close_range(first, last, 0) }
    }

    /// Makes `target` a copy of `source` that survives exec; replaces what `target` was.
    ///
    /// - Parameters:
    ///   - source: an open descriptor.
    ///   - target: the number it shall have.
    /// - Throws: `KernelError`.
    public static func place(_ source: RawDescriptor, at target: RawDescriptor) throws(KernelError) {
        if source == target {
            try system("clear close-on-exec") { ck_fcntl(source, F_SETFD, 0) }
        } else {
            try system("duplicate descriptor") { dup2(source, target) }
        }
    }
}
