public import Kernel

/// A stream read from a descriptor: a file, a pipe or a socket.
public final class DescriptorSource: ByteSource {
    private let descriptor: SharedDescriptor
    private let name: String

    /// Creates the source at the descriptor's present offset.
    ///
    /// - Parameters:
    ///   - descriptor: Must block; it stays open as long as the source lives.
    ///   - name: What errors call it.
    public init(_ descriptor: SharedDescriptor, name: String = "archive") {
        self.descriptor = descriptor
        self.name = name
    }

    /// Creates the source at the descriptor's present offset and owns it.
    public convenience init(_ descriptor: consuming Descriptor, name: String = "archive") {
        self.init(SharedDescriptor(descriptor), name: name)
    }

    /// Gives the next bytes.
    public func read(into buffer: inout [UInt8]) throws(ArchiveError) -> Int {
        var failure: KernelError?
        var count = 0
        // The pointer is used during the call only.
        unsafe buffer.withUnsafeMutableBytes { bytes in
            do throws(KernelError) { count = try unsafe descriptor.read(into: bytes) } catch { failure = error }
        }
        if let failure { throw .failed("read \(name)", failure) }
        return count
    }
}
