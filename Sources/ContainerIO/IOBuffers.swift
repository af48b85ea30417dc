internal import Kernel

/// What all processes of one loop share: two buffers, and the clients that outlive their process.
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

    /// Stdio that was closed while clients were still connected.
    package private(set) var flushing: [ProcessStdio] = []

    /// Whether clients of processes that were closed still take output.
    ///
    /// A shim that is to end waits for them; each of them keeps up the pace of `ClientLimit`, or is cut.
    public var isFlushing: Bool { !flushing.isEmpty }

    func keep(_ stdio: ProcessStdio) {
        flushing.append(stdio)
    }

    func release(_ stdio: ProcessStdio) {
        flushing.removeAll { $0 === stdio }
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
