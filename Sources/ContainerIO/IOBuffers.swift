internal import Kernel

/// The loop's two buffers, shared by everything that one shim reads and writes.
///
/// No bytes stay in them between two events, so one pair serves any number of processes. The pages are given back to
/// the kernel when the loop says that it is idle.
public final class IOBuffers {
    /// Bytes taken from a pipe in one read: all that a pipe holds by default.
    static let readByteCount = 64 << 10
    /// Formatted records collected for one write.
    static let formatByteCount = 128 << 10

    private let memory: AnonymousMemory
    private var isDirty = false

    /// Reserves address space; memory is used from the first read on.
    ///
    /// - Throws: `resourceExhausted` when the kernel has no memory.
    public init() throws(ContainerIOError) {
        do {
            // A line that a read cut stands in front of what the next read brings.
            let input = Self.readByteCount + LogFormat.maximumTextByteCount
            memory = try AnonymousMemory(byteCount: input + Self.formatByteCount)
        } catch {
            throw .kernel(error)
        }
    }

    /// Where pumps read to.
    var input: UnsafeMutableRawBufferPointer {
        isDirty = true
        return unsafe UnsafeMutableRawBufferPointer(
            rebasing: memory.bytes[..<(Self.readByteCount + LogFormat.maximumTextByteCount)]
        )
    }

    /// Where log writers format records.
    var format: UnsafeMutableRawBufferPointer {
        isDirty = true
        return unsafe UnsafeMutableRawBufferPointer(
            rebasing: memory.bytes[(Self.readByteCount + LogFormat.maximumTextByteCount)...]
        )
    }

    /// Gives the pages back.
    ///
    /// Call it before the loop sleeps for long; costs nothing when nothing was used.
    public func releaseMemory() {
        guard isDirty else { return }
        memory.discard()
        isDirty = false
    }
}
