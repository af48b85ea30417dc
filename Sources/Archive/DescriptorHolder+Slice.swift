package import Kernel

extension DescriptorHolder where Self: ~Copyable {
    /// Writes part of an array completely.
    ///
    /// - Throws: The failed system call; part may be written.
    package func writeAll(_ bytes: ArraySlice<UInt8>) throws(KernelError) {
        var failure: KernelError?
        // The pointer is used during the call only.
        unsafe bytes.withUnsafeBytes { buffer in
            do throws(KernelError) { try unsafe writeAll(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}
