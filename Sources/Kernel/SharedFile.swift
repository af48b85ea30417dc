internal import CKernel
internal import Glibc

/// The words of a file that is mapped, for numbers that outlive the process that counts them.
///
/// What was stored is in the file at once, in the order of the stores, whenever the process ends. Only what was reserved has memory: the
/// rest of the mapping must not be touched, and an access to it ends the process as any wrong index does.
@safe public final class SharedFile {
    // Guard: one owner on one thread, and every index is checked.
    private nonisolated(unsafe) let words: UnsafeMutablePointer<UInt64>
    private let file: SharedDescriptor
    private let mapped: Int
    /// How many words there is memory for.
    public private(set) var count: Int

    /// Maps a file from its begin.
    ///
    /// - Parameters:
    ///   - file: Opened for reading and writing; kept open. What it has of the words is there from the first on.
    ///   - limit: The most words that there will ever be.
    /// - Throws: `KernelError`.
    public init(_ file: SharedDescriptor, limit: Int) throws(KernelError) {
        let size = try file.status().size
        let address = unsafe mmap(nil, limit * 8, PROT_READ | PROT_WRITE, MAP_SHARED, file.raw, 0)
        // MAP_FAILED is -1; a null address is never given out.
        guard let address = unsafe address, Int(bitPattern: address) != -1 else {
            throw .failed("map shared memory", .current)
        }
        unsafe words = address.bindMemory(to: UInt64.self, capacity: limit)
        self.file = file
        mapped = limit
        count = min(Int(clamping: size) / 8, limit)
    }

    deinit {
        // Cannot fail for a mapping of our own.
        _ = unsafe munmap(words, mapped * 8)
    }

    /// Makes sure that there is memory for so many words; new ones are 0.
    ///
    /// - Throws: `KernelError`, `resourceExhausted` when the file system is full or the limit is reached.
    public func reserve(_ wanted: Int) throws(KernelError) {
        guard wanted > count else { return }
        guard wanted <= mapped else { throw .failed("reserve shared memory", .noSpace) }
        let result = posix_fallocate(file.raw, 0, wanted * 8)
        guard result == 0 else { throw .failed("reserve shared memory", Errno(rawValue: result)) }
        count = wanted
    }

    /// Gives the memory of all words from here on back.
    ///
    /// - Throws: `KernelError`; all words are there still.
    public func release(from first: Int) throws(KernelError) {
        guard first < count else { return }
        try file.truncate(to: Int64(first * 8))
        count = first
    }

    /// A word; the index is below `count`.
    public subscript(index: Int) -> UInt64 {
        get {
            precondition(index >= 0 && index < count)
            return unsafe ck_shared_load_wide(words + index)
        }
        set {
            precondition(index >= 0 && index < count)
            unsafe ck_shared_store_wide(words + index, newValue)
        }
    }

    /// Gives words to the kernel, which fills them.
    @unsafe func fill(_ index: Int, _ count: Int, _ body: (UnsafeMutablePointer<UInt64>) -> Int32) -> Int32 {
        precondition(index >= 0 && count >= 0 && index + count <= self.count)
        return unsafe body(words + index)
    }
}
