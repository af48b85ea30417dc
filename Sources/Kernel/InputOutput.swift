internal import Glibc

/// What a transfer on a non-blocking descriptor did.
public enum Transfer: Hashable, Sendable {
    /// So many bytes moved; at least one unless the buffer was empty.
    case moved(Int)
    /// Nothing moved; wait for readiness.
    case wouldBlock
    /// Reading: end of file. Writing: the reader has gone (EPIPE or a reset connection).
    case ended
}

extension DescriptorHolder where Self: ~Copyable {
    /// Reads once; waits on a blocking descriptor.
    ///
    /// - Parameter buffer: where the bytes go.
    /// - Returns: the number of bytes, 0 at end of file.
    /// - Throws: `KernelError`; its errno is `.wouldBlock` on a non-blocking descriptor without data.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(KernelError) -> Int {
        try system("read") { unsafe Glibc.read(raw, buffer.baseAddress, buffer.count) }
    }

    /// Reads once into a new array.
    ///
    /// - Parameter count: the most bytes to read.
    /// - Returns: the bytes, none at end of file.
    /// - Throws: `KernelError`.
    public func read(upTo count: Int) throws(KernelError) -> [UInt8] {
        var failure: KernelError?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            // Sound: the kernel initialises exactly as many bytes as it reports.
            do throws(KernelError) { filled = try unsafe read(into: UnsafeMutableRawBufferPointer(buffer)) } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Reads to end of file.
    ///
    /// - Parameter limit: the most bytes to accept.
    /// - Returns: all bytes.
    /// - Throws: `KernelError`; errno is `.fileTooBig` when there are more than `limit`.
    public func readToEnd(limit: Int) throws(KernelError) -> [UInt8] {
        var bytes: [UInt8] = []
        var step = 4096
        while true {
            // One byte beyond the limit tells "exactly full" from "too big".
            let part = try read(upTo: min(step, limit - bytes.count + 1))
            if part.isEmpty { return bytes }
            if bytes.isEmpty { bytes = part } else { bytes += part }
            guard bytes.count <= limit else {
                throw .failed("read", .fileTooBig, detail: "more than \(limit) bytes")
            }
            step = min(step * 2, 1 << 20)
        }
    }

    /// Reads from a place of a file without moving its offset.
    ///
    /// - Parameters:
    ///   - buffer: where the bytes go.
    ///   - offset: where in the file to start.
    /// - Returns: the number of bytes, 0 at or beyond the end.
    /// - Throws: `KernelError`.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(KernelError) -> Int {
        try system("read") { unsafe pread(raw, buffer.baseAddress, buffer.count, Int(offset)) }
    }

    /// Reads from a place of a file into a new array.
    ///
    /// - Parameters:
    ///   - count: the most bytes to read.
    ///   - offset: where in the file to start.
    /// - Returns: the bytes, fewer than `count` only at the end of the file.
    /// - Throws: `KernelError`.
    public func read(upTo count: Int, at offset: Int64) throws(KernelError) -> [UInt8] {
        var failure: KernelError?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let rest = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...]
                )
                do throws(KernelError) {
                    let part = try unsafe read(into: rest, at: offset + Int64(filled))
                    if part == 0 { break }
                    filled += part
                } catch {
                    failure = error
                    break
                }
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes once; waits on a blocking descriptor.
    ///
    /// - Parameter bytes: what to write.
    /// - Returns: the number of bytes that were taken.
    /// - Throws: `KernelError`; its errno is `.wouldBlock` on a non-blocking descriptor without room.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(KernelError) -> Int {
        try system("write") { unsafe Glibc.write(raw, bytes.baseAddress, bytes.count) }
    }

    /// Writes everything; waits as often as needed on a blocking descriptor.
    ///
    /// - Parameter bytes: what to write.
    /// - Throws: `KernelError`; some bytes may have been written.
    public func writeAll(_ bytes: UnsafeRawBufferPointer) throws(KernelError) {
        var rest = unsafe bytes
        while unsafe !rest.isEmpty {
            let count = try unsafe write(rest)
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Writes everything; waits as often as needed on a blocking descriptor.
    ///
    /// - Parameter bytes: what to write.
    /// - Throws: `KernelError`; some bytes may have been written.
    public func writeAll(_ bytes: [UInt8]) throws(KernelError) {
        var failure: KernelError?
        unsafe bytes.withUnsafeBytes { buffer in
            do throws(KernelError) { try unsafe writeAll(buffer) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Writes a text as UTF-8.
    ///
    /// - Parameter text: what to write.
    /// - Throws: `KernelError`; some bytes may have been written.
    public func writeAll(_ text: String) throws(KernelError) { try writeAll(Array(text.utf8)) }

    /// Writes at a place of a file without moving its offset, everything.
    ///
    /// - Parameters:
    ///   - bytes: what to write.
    ///   - offset: where in the file to start.
    /// - Throws: `KernelError`.
    public func writeAll(_ bytes: [UInt8], at offset: Int64) throws(KernelError) {
        var done = 0
        while done < bytes.count {
            done += try system("write") {
                unsafe bytes.withUnsafeBytes { buffer in
                    let rest = unsafe buffer[done...]
                    return unsafe pwrite(
                        raw,
                        UnsafeRawBufferPointer(rebasing: rest).baseAddress,
                        rest.count,
                        Int(offset) + done
                    )
                }
            }
        }
    }

    /// Reads what is there from a non-blocking descriptor.
    ///
    /// - Parameter buffer: where the bytes go; not empty.
    /// - Returns: what happened. A terminal whose other side has closed (EIO) has ended.
    /// - Throws: `KernelError` for anything else.
    public func tryRead(into buffer: UnsafeMutableRawBufferPointer) throws(KernelError) -> Transfer {
        do throws(KernelError) {
            let count = try unsafe read(into: buffer)
            return count == 0 ? .ended : .moved(count)
        } catch {
            switch error.errno {
            case .wouldBlock: return .wouldBlock
            case .inputOutput, .connectionReset: return .ended
            default: throw error
            }
        }
    }

    /// Writes what fits to a non-blocking descriptor.
    ///
    /// SIGPIPE must be ignored by the process (`Signals.ignore(.pipe)`).
    ///
    /// - Parameter bytes: what to write; not empty.
    /// - Returns: what happened.
    /// - Throws: `KernelError` for anything else.
    public func tryWrite(_ bytes: UnsafeRawBufferPointer) throws(KernelError) -> Transfer {
        do throws(KernelError) {
            return .moved(try unsafe write(bytes))
        } catch {
            switch error.errno {
            case .wouldBlock: return .wouldBlock
            case .brokenPipe, .connectionReset: return .ended
            default: throw error
            }
        }
    }

    /// Waits until the descriptor is ready (`poll(2)`).
    ///
    /// - Parameters:
    ///   - events: what to wait for; hang-up and error always count.
    ///   - timeout: how long, nil for ever.
    /// - Returns: what is ready; empty when the time was up.
    /// - Throws: `KernelError`.
    public func poll(for events: Readiness, timeout: Duration?) throws(KernelError) -> Readiness {
        let deadline = timeout.map { Clock.monotonic.now + $0 }
        while true {
            var entry = pollfd(fd: raw, events: Int16(truncatingIfNeeded: events.rawValue), revents: 0)
            let left = deadline.map { max(.zero, $0 - Clock.monotonic.now) }
            let result = unsafe Glibc.poll(&entry, 1, left.map { $0.wholeMilliseconds } ?? -1)
            if result >= 0 { return Readiness(rawValue: UInt32(UInt16(bitPattern: entry.revents))) }
            guard Errno.current == .interrupted else { throw .failed("poll", .current) }
        }
    }
}

/// What a descriptor is ready for; the numbers of poll(2) and epoll(7).
public struct Readiness: OptionSet, Hashable, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt32

    /// Wraps the kernel's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Data, a connection or an end of file can be read.
    public static let readable = Readiness(rawValue: 0x1)
    /// Urgent data, or a changed cgroup event file.
    public static let priority = Readiness(rawValue: 0x2)
    /// There is room to write.
    public static let writable = Readiness(rawValue: 0x4)
    /// An error is pending.
    public static let error = Readiness(rawValue: 0x8)
    /// The other side has closed; on a pidfd: the process was reaped.
    public static let hangUp = Readiness(rawValue: 0x10)
    /// The other side has shut down its writing.
    public static let readHangUp = Readiness(rawValue: 0x2000)
    /// Ask for edge-triggered events (epoll only).
    public static let edgeTriggered = Readiness(rawValue: 1 << 31)
    /// Ask for one event only, then disarm (epoll only).
    public static let oneShot = Readiness(rawValue: 1 << 30)
}
