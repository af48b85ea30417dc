internal import Kernel

// What happens when the file takes less than it was given.
extension LogWriter {
    /// Writes what is formatted.
    ///
    /// Never throws: what cannot be written is dropped and counted.
    func flush() {
        guard pending > 0 else { return }
        defer { pending = 0 }
        // Sound: the first `pending` bytes were just formatted.
        let records = unsafe UnsafeRawBufferPointer(rebasing: buffers.format[..<pending])
        let untold = unreported
        guard repair(), let reported = report() else {
            unsafe drop(records, reason: unreported.reason)
            return
        }
        let (written, errno) = unsafe writeFully(records)
        fileSize += Int64(written)
        guard let errno else { return }
        let kept = unsafe wholeRecords(in: records, upTo: written)
        takeBack(written - kept)
        if kept == 0, reported > 0 {
            // It works no better than before: one notice says so, not one for each record.
            takeBack(reported)
            unreported = untold
        }
        unsafe drop(UnsafeRawBufferPointer(rebasing: records[kept...]), reason: errno)
    }

    /// Ends the line that a crash or a failed write left open.
    private func repair() -> Bool {
        guard isTorn else { return true }
        let newline: [UInt8] = [LogFormat.newline]
        let (written, errno) = unsafe newline.withUnsafeBytes { unsafe writeFully($0) }
        guard errno == nil else {
            unreported.reason = errno
            return false
        }
        fileSize += Int64(written)
        isTorn = false
        return true
    }

    /// Writes the record that tells of earlier losses.
    ///
    /// - Returns: bytes written; nil when it could not be.
    private func report() -> Int? {
        guard unreported.records > 0 else { return 0 }
        var prefix = LogPrefix()
        prefix.set(now(), stream: .stderr)
        var record = Array(prefix.bytes.dropLast())
        let reason = unreported.reason.map { ": \($0)" } ?? ""
        let text = "\(unreported.bytes) bytes in \(unreported.records) records dropped\(reason)"
        record.append(contentsOf: ":\(LogFormat.droppedTag) \(text)\n".utf8)
        let (written, errno) = unsafe record.withUnsafeBytes { unsafe writeFully($0) }
        fileSize += Int64(written)
        if let errno {
            unreported.reason = errno
            takeBack(written)
            return nil
        }
        unreported = LogLoss()
        return written
    }

    /// Counts records as lost.
    ///
    /// Every record is one line, and all of it but the format is output; so is the newline of one that ends a line.
    private func drop(_ records: UnsafeRawBufferPointer, reason: Errno?) {
        var (count, ends) = (UInt64(0), UInt64(0))
        // Sound: slices of the caller's buffer, used before this call returns.
        var rest = unsafe records
        while let newline = unsafe Memory.firstIndex(of: LogFormat.newline, in: rest) {
            count += 1
            if unsafe rest[LogPrefix.tagOffset] == LogFormat.full { ends += 1 }
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[(newline + 1)...])
        }
        let bytes = UInt64(records.count) - count * UInt64(LogFormat.prefixByteCount + 1) + ends
        for path in [\LogWriter.loss, \LogWriter.unreported] {
            self[keyPath: path].bytes += bytes
            self[keyPath: path].records += count
            self[keyPath: path].reason = reason
        }
    }

    private func wholeRecords(in records: UnsafeRawBufferPointer, upTo count: Int) -> Int {
        let written = unsafe UnsafeRawBufferPointer(rebasing: records[..<count])
        return unsafe (Memory.lastIndex(of: LogFormat.newline, in: written) ?? -1) + 1
    }

    /// Removes the part of a record that was written before the failure.
    private func takeBack(_ count: Int) {
        guard count > 0 else { return }
        if LogFiles.cut(count, from: file) {
            fileSize -= Int64(count)
        } else {
            isTorn = true
        }
    }

    /// Writes until all is written or the file refuses.
    private func writeFully(_ bytes: UnsafeRawBufferPointer) -> (written: Int, errno: Errno?) {
        var written = 0
        while written < bytes.count {
            do {
                written += try unsafe file.write(UnsafeRawBufferPointer(rebasing: bytes[written...]))
            } catch {
                return (written, error.errno)
            }
        }
        return (written, nil)
    }
}
