internal import CKernel
internal import Glibc

extension UnixSocket {
    /// The most descriptors that one message carries here.
    public static let maximumPassedDescriptors = Int(CK_MAX_PASSED)

    /// A message that came with descriptors.
    public struct Message: Sendable {
        /// The bytes; empty at end of file.
        public let bytes: [UInt8]
        /// The descriptors, owned, close-on-exec, in the sender's order.
        public let descriptors: [SharedDescriptor]
        /// Whether descriptors were lost because there were more than accepted.
        public let truncated: Bool
        /// Number of the process that sent it, in the receiver's PID namespace; nil unless `askForSenders` was called.
        public let sender: Int32?
    }

    /// Sends bytes and descriptors in one message (`SCM_RIGHTS`); the receiver gets duplicates.
    ///
    /// - Parameters:
    ///   - descriptors: at most `maximumPassedDescriptors`; the caller keeps them.
    ///   - bytes: at least one byte on a stream.
    ///   - socket: a connection.
    /// - Returns: how many bytes were taken; the descriptors travel with the first of them.
    /// - Throws: `KernelError`.
    @discardableResult
    public static func sendDescriptors(
        _ descriptors: [RawDescriptor],
        with bytes: [UInt8],
        to socket: RawDescriptor
    ) throws(KernelError) -> Int {
        try system("send descriptors") {
            unsafe bytes.withUnsafeBytes { buffer in
                unsafe ck_send_fds(socket, buffer.baseAddress, buffer.count, descriptors, descriptors.count, 0)
            }
        }
    }

    /// Receives one message with what descriptors it carries.
    ///
    /// - Parameters:
    ///   - socket: a connection.
    ///   - byteLimit: the most bytes to take.
    ///   - descriptorLimit: the most descriptors to take; further ones are closed and `truncated` is set.
    /// - Returns: the message.
    /// - Throws: `KernelError`; errno is `.wouldBlock` on a non-blocking socket without data.
    public static func receiveDescriptors(
        from socket: RawDescriptor,
        byteLimit: Int,
        descriptorLimit: Int
    ) throws(KernelError) -> Message {
        var numbers = [Int32](repeating: -1, count: min(descriptorLimit, maximumPassedDescriptors))
        var (count, truncated, sender): (Int, Int32, Int32) = (0, 0, 0)
        var buffer = [UInt8](repeating: 0, count: byteLimit)
        let received = try system("receive descriptors") {
            unsafe ck_recv_fds(socket, &buffer, byteLimit, &numbers, numbers.count, &count, &truncated, &sender, 0)
        }
        return Message(
            bytes: Array(buffer[..<received]),
            descriptors: numbers[..<count].map { SharedDescriptor(Descriptor(adopting: $0)) },
            truncated: truncated != 0,
            sender: sender == 0 ? nil : sender
        )
    }
    /// Has the kernel say of every later message who sent it (`SO_PASSCRED`).
    ///
    /// Nobody can say he was another, but who has CAP_SYS_ADMIN over the receiver's PID namespace.
    ///
    /// - Parameter socket: the receiving end.
    /// - Throws: `KernelError`.
    public static func askForSenders(_ socket: RawDescriptor) throws(KernelError) {
        try system("ask for senders") { ck_ask_for_senders(socket) }
    }
}
