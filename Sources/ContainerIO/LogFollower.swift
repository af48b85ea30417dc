internal import Kernel

/// Where a client that has fallen behind goes on in the container's log, so that the process does not wait for it.
///
/// It begins where the log ends at that time. The files are those of the writer, open, so neither rotation nor removal takes anything
/// away; a client that is further behind than the log's files reach is behind its limit.
final class LogFollower {
    private static let readByteCount = 64 << 10

    private let log: LogWriter?
    /// From the one that is read to the one that is written.
    private var files: [SharedDescriptor]
    /// Of the first file.
    private var offset: Int64
    /// Where the process's output ends in the last file; nil as long as there is more.
    private var end: Int64?
    private var parser = LogParser()
    private let lossBefore: LogLoss
    /// What was lost before the end stays lost.
    private var wasLost = false

    /// Begins at the end of `log`.
    init(_ log: LogWriter) {
        self.log = log
        files = [log.file]
        offset = log.fileSize
        lossBefore = log.loss
        log.followers.append(self)
    }

    /// Goes on where another one has stopped; nil when the files are not there.
    ///
    /// `log`: the one that is written; what has its end needs none.
    init?(restoring place: StdioSnapshot.Behind, log: LogWriter?) {
        guard !place.files.isEmpty, place.end != nil || log != nil else { return nil }
        (self.log, files, offset, end) = (log, place.files, place.offset, place.end)
        lossBefore = log?.loss ?? LogLoss()
        guard end == nil, let log else { return }
        files[files.count - 1] = log.file
        log.followers.append(self)
    }

    /// What `init(restoring:log:)` needs of it.
    var place: StdioSnapshot.Behind { StdioSnapshot.Behind(files: isLost ? [] : files, offset: offset, end: end) }

    /// Whether something that the client has not had is not to be had any more.
    var isLost: Bool {
        // What has its end is held as a whole.
        guard end == nil, let log else { return wasLost }
        return files.count > max(log.options.maximumFileCount, 2) || log.loss != lossBefore
    }

    /// The log goes on in another file.
    func fileChanged() {
        // Once it is too much no more files are kept open.
        if end == nil, !isLost, let log { files.append(log.file) }
    }

    /// The process writes no more; what follows in the log is that of its next run.
    func outputEnded() {
        wasLost = isLost
        end = end ?? log?.fileSize
        stop()
    }

    /// Not needed any more.
    func stop() {
        log?.followers.removeAll { $0 === self }
    }

    /// Reads on.
    ///
    /// - Parameter body: gets each record; `bytes` are as the process wrote them.
    /// - Returns: false at the end of what the log has now.
    /// - Throws: the kernel's reason.
    func advance(_ body: (LogRecord) -> Void) throws(KernelError) -> Bool {
        while true {
            let limit = files.count == 1 ? end ?? log?.fileSize ?? 0 : .max
            guard offset < limit else { return false }
            let wanted = Int(min(Int64(Self.readByteCount), limit - offset))
            let bytes = try files[0].read(upTo: wanted, at: offset)
            guard let last = bytes.lastIndex(of: LogFormat.newline) else {
                // The end of a file, or of a record that a full disk has cut: the writer goes on behind it.
                guard files.count > 1 else {
                    offset = limit
                    return false
                }
                files.removeFirst()
                offset = 0
                continue
            }
            offset += Int64(last + 1)
            var rest = bytes[...last]
            while let newline = rest.firstIndex(of: LogFormat.newline) {
                if let record = parser.record(rest[...newline]), !record.isNotice { body(record) }
                rest = rest[(newline + 1)...]
            }
            return true
        }
    }
}
