internal import CKernel
internal import Glibc

/// A pipe: what is written to one end is read from the other.
public struct Pipe: ~Copyable, Sendable {
    /// The end to read from.
    public var reader: Descriptor
    /// The end to write to.
    public var writer: Descriptor

    /// Makes a pipe, both ends close-on-exec.
    ///
    /// - Parameter nonBlocking: whether both ends are non-blocking.
    /// - Throws: `KernelError`, `resourceExhausted` when descriptors ran out.
    public init(nonBlocking: Bool = false) throws(KernelError) {
        var ends: (Int32, Int32) = (-1, -1)
        try system("make pipe") {
            unsafe withUnsafeMutablePointer(to: &ends) { pair in
                // Sound: a tuple of two Int32 is laid out as the array that pipe2 fills.
                unsafe pair.withMemoryRebound(to: Int32.self, capacity: 2) {
                    unsafe ck_pipe2($0, O_CLOEXEC | (nonBlocking ? O_NONBLOCK : 0))
                }
            }
        }
        reader = Descriptor(adopting: ends.0)
        writer = Descriptor(adopting: ends.1)
    }

    /// Takes the pipe apart.
    ///
    /// - Returns: both ends.
    public consuming func ends() -> (reader: SharedDescriptor, writer: SharedDescriptor) {
        (SharedDescriptor(reader), SharedDescriptor(writer))
    }

    /// Sets how many bytes a pipe holds (F_SETPIPE_SZ).
    ///
    /// - Parameters:
    ///   - pipe: either end.
    ///   - bytes: the wanted capacity; the kernel rounds up to a power of two of pages.
    /// - Throws: `KernelError`.
    public static func setCapacity(_ pipe: RawDescriptor, bytes: Int) throws(KernelError) {
        try system("set pipe capacity") { ck_fcntl(pipe, 1031, bytes) }
    }
}
