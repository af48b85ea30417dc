internal import Glibc

extension DescriptorHolder where Self: ~Copyable {
    /// Writes what fits of two pieces in one call to a non-blocking descriptor (`writev(2)`).
    ///
    /// SIGPIPE must be ignored by the process (`Signals.ignore(.pipe)`).
    ///
    /// - Parameters:
    ///   - first: written first; may be empty if `second` is not.
    ///   - second: written after it.
    /// - Returns: what happened; the count is over both.
    /// - Throws: `KernelError` for anything else.
    public func tryWrite(
        _ first: UnsafeRawBufferPointer,
        _ second: UnsafeRawBufferPointer
    ) throws(KernelError) -> Transfer {
        var parts = unsafe (
            iovec(iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count),
            iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
        )
        do throws(KernelError) {
            let count = try system("write") {
                unsafe withUnsafePointer(to: &parts) { pair in
                    // Sound: a tuple of two iovec is laid out as the array that writev reads.
                    unsafe pair.withMemoryRebound(to: iovec.self, capacity: 2) { unsafe writev(raw, $0, 2) }
                }
            }
            return .moved(count)
        } catch {
            switch error.errno {
            case .wouldBlock: return .wouldBlock
            case .brokenPipe, .connectionReset: return .ended
            default: throw error
            }
        }
    }
}
