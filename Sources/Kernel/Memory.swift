internal import Glibc

/// Private memory of whole pages, mapped for the owner and unmapped when the value ends.
///
/// Pages cost nothing until they are touched, and can be given back without giving up the addresses.
@safe public struct AnonymousMemory: ~Copyable, Sendable {
    /// Sound to share between threads as far as any raw memory is: the owner decides who writes.
    private nonisolated(unsafe) let base: UnsafeMutableRawPointer
    private let byteCount: Int

    /// Maps memory that reads as zeros.
    ///
    /// - Parameter byteCount: how much; rounded up to pages by the kernel.
    /// - Throws: `KernelError`, `resourceExhausted` without memory.
    public init(byteCount: Int) throws(KernelError) {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS
        let address = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, flags, -1, 0)
        // MAP_FAILED is -1; a null address is never given out.
        guard let address = unsafe address, Int(bitPattern: address) != -1 else {
            throw .failed("map memory", .current)
        }
        unsafe base = address
        self.byteCount = byteCount
    }

    deinit {
        // Cannot fail for a mapping of our own.
        _ = unsafe munmap(base, byteCount)
    }

    /// The memory, valid as long as this value lives.
    public var bytes: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount)
    }

    /// Gives the pages back to the kernel; they read as zeros afterwards.
    public func discard() {
        // Refused only for locked pages, which then simply stay.
        _ = unsafe madvise(base, byteCount, MADV_DONTNEED)
    }
}

/// Searches in raw memory at the speed of the C library.
public enum Memory {
    /// Where a byte occurs first (`memchr(3)`).
    ///
    /// - Parameters:
    ///   - byte: what to look for.
    ///   - bytes: where.
    /// - Returns: the offset, nil without an occurrence.
    @inline(__always)
    public static func firstIndex(of byte: UInt8, in bytes: UnsafeRawBufferPointer) -> Int? {
        guard let base = bytes.baseAddress, let found = unsafe memchr(base, Int32(byte), bytes.count) else {
            return nil
        }
        return unsafe UnsafeRawPointer(found) - base
    }

    /// Where a byte occurs last.
    ///
    /// - Parameters:
    ///   - byte: what to look for.
    ///   - bytes: where.
    /// - Returns: the offset, nil without an occurrence.
    public static func lastIndex(of byte: UInt8, in bytes: UnsafeRawBufferPointer) -> Int? {
        unsafe bytes.lastIndex(of: byte)
    }

    /// How often a byte occurs.
    ///
    /// - Parameters:
    ///   - byte: what to count.
    ///   - bytes: where.
    /// - Returns: the number of occurrences.
    public static func count(of byte: UInt8, in bytes: UnsafeRawBufferPointer) -> Int {
        unsafe bytes.reduce(0) { $1 == byte ? $0 + 1 : $0 }
    }
}
