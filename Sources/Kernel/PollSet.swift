internal import Glibc

/// Waiting for several descriptors at once by poll(2), which unlike epoll also takes regular files.
///
/// For loops over a handful of descriptors; a shim's loop is over `Epoll`.
public struct PollSet: Sendable {
    private var entries: [pollfd] = []

    /// An empty set.
    public init() {}

    /// Adds a descriptor with what to wait for; hang-up and error are always reported.
    public mutating func add(_ descriptor: RawDescriptor, _ events: Readiness) {
        entries.append(pollfd(fd: descriptor, events: Int16(truncatingIfNeeded: events.rawValue), revents: 0))
    }

    /// Blocks until something is ready or `timeout` has passed; nil waits for ever.
    ///
    /// - Returns: the descriptors that are ready, with what they are ready for; empty after the timeout or a signal.
    public mutating func wait(
        timeout: Duration?
    ) throws(KernelError) -> [(descriptor: RawDescriptor, events: Readiness)] {
        let milliseconds = timeout?.wholeMilliseconds ?? -1
        let count = unsafe entries.withUnsafeMutableBufferPointer { buffer in
            // Sound: the buffer lives through the call.
            unsafe Glibc.poll(buffer.baseAddress, UInt(buffer.count), milliseconds)
        }
        if count < 0 {
            guard Errno.current == .interrupted else { throw .failed("poll", .current) }
            return []
        }
        return entries.compactMap { entry in
            entry.revents == 0 ? nil : (entry.fd, Readiness(rawValue: UInt32(UInt16(bitPattern: entry.revents))))
        }
    }
}
