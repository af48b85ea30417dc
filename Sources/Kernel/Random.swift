internal import CKernel
internal import Glibc

/// Random bytes of the kernel.
public enum Random {
    /// Unpredictable bytes (`getrandom(2)`).
    ///
    /// - Parameter count: how many.
    /// - Returns: exactly that many bytes.
    public static func bytes(_ count: Int) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                // Sound: the kernel initialises exactly as many bytes as it reports.
                let part = unsafe ck_getrandom(buffer.baseAddress.map { unsafe $0 + filled }, count - filled)
                if part > 0 { filled += part } else if Errno.current != .interrupted { break }
            }
            // Only a kernel without getrandom (before 3.17) fails, and nothing here runs there.
            precondition(filled == count, "no random bytes")
        }
    }

    /// Random bytes as lower-case hexadecimal text.
    ///
    /// - Parameter byteCount: how many bytes; the text is twice as long.
    /// - Returns: the text.
    public static func hex(_ byteCount: Int) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes(byteCount).flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
            as: UTF8.self
        )
    }
}

/// The file mode creation mask.
public enum Umask {
    /// Sets the mask of the whole process.
    ///
    /// - Parameter mask: bits that new files shall not have.
    /// - Returns: the former mask.
    @discardableResult
    public static func set(_ mask: UInt32) -> UInt32 { umask(mask) }
}
