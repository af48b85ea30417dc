public import Kernel

/// Where a container's log goes and how much of it is kept.
public struct LogWriterOptions: Sendable {
    /// The file that is written; older ones are `path.1` (the youngest), `path.2` and so on.
    public var path: String
    /// A file is closed before the record that would make it longer than this.
    ///
    /// Zero never rotates.
    ///
    /// A line longer than the limit makes its file longer: a line is never divided between two files, up to an
    /// excess of `LogWriter.maximumExcessInBytes`.
    public var maximumFileSizeInBytes: Int64
    /// Files kept, with the one being written; at least 1.
    public var maximumFileCount: Int

    /// The options of a log.
    public init(path: String, maximumFileSizeInBytes: Int64 = 0, maximumFileCount: Int = 1) {
        self.path = path
        self.maximumFileSizeInBytes = maximumFileSizeInBytes
        self.maximumFileCount = max(1, maximumFileCount)
    }
}

/// What a log lost because its file could not be written.
public struct LogLoss: Sendable, Equatable {
    /// Bytes of output, without the format around them: exactly what is missing between what was written before and after.
    public var bytes: UInt64 = 0
    /// Records.
    public var records: UInt64 = 0
    /// The last reason.
    public var reason: Errno?

    /// Nothing lost.
    public init() {}
}

/// Writes a container's output to its log, in one thread.
///
/// A full disk neither blocks nor ends the container: output that cannot be written is dropped and counted, and one
/// record with the tag `F:dropped` says so when writing works again. Everything that `append` took is in the file (not
/// on the disk: the log is not fsynced) when it returns.
///
/// A log that exists is continued. If its last record was torn by a crash, the next one begins on a line of its own.
public final class LogWriter {
    /// How far a line that never ends may exceed the size limit before it is divided between two files.
    public static let maximumExcessInBytes: Int64 = 1 << 20

    /// A notice takes no more than this, in any language of the kernel's.
    static let longestNoticeInBytes: Int64 = 256

    /// Where and how much.
    package let options: LogWriterOptions
    let buffers: IOBuffers
    let now: () -> Timestamp
    var file: SharedDescriptor
    /// Bytes in the file, as far as this writer knows.
    var fileSize: Int64
    /// Formatted bytes not written yet; zero between calls.
    var pending = 0
    /// Set when the file's last byte may not be a newline.
    var isTorn: Bool
    /// No rotation is tried below this size, after one failed.
    var rotationBarrier: Int64 = 0
    /// What the next marker record has to tell.
    var unreported = LogLoss()
    private var prefix = LogPrefix()
    /// Streams whose last record is a part of a line.
    var openLines: StdioStreams = []
    /// Clients that read the log because they are behind.
    var followers: [LogFollower] = []

    /// Everything lost since the log was opened.
    public internal(set) var loss = LogLoss()

    /// Opens or creates the log; removes rotated files beyond `maximumFileCount`.
    ///
    /// - Parameters:
    ///   - options: where and how much.
    ///   - buffers: the loop's.
    ///   - now: the clock, for tests.
    /// - Throws: the kernel's reason (`notFound` when the directory is missing).
    public init(
        _ options: LogWriterOptions,
        buffers: IOBuffers,
        now: @escaping () -> Timestamp = { Timestamp.now }
    ) throws(ContainerIOError) {
        self.options = options
        self.buffers = buffers
        self.now = now
        let opened = try LogFiles.openForAppending(options.path)
        fileSize = opened.size
        isTorn = opened.isTorn
        file = SharedDescriptor(opened.descriptor)
        LogFiles.removeExcess(of: options)
    }

    init(_ options: LogWriterOptions, buffers: IOBuffers, file: SharedDescriptor) {
        self.options = options
        self.buffers = buffers
        self.file = file
        now = { Timestamp.now }
        fileSize = 0
        isTorn = false
    }

    /// Bytes in the file being written.
    public var currentFileSize: Int64 { fileSize }

    /// Closes the file and opens the one that now has the log's name, after another program moved it away.
    ///
    /// - Throws: the kernel's reason; the writer then goes on with the file it has.
    public func reopen() throws(ContainerIOError) {
        let opened = try LogFiles.openForAppending(options.path)
        fileSize = opened.size
        isTorn = opened.isTorn
        file = SharedDescriptor(opened.descriptor)
        rotationBarrier = 0
        for follower in followers { follower.fileChanged() }
    }

    /// Writes output.
    ///
    /// - Parameters:
    ///   - bytes: what the process wrote.
    ///   - stream: on which output.
    ///   - mayHold: whether the caller comes back with more at once; a last line that is neither complete nor long is
    ///     then left with the caller, to be passed again in front of what follows.
    /// - Returns: bytes left at the end of `bytes`; always zero when `mayHold` is false.
    @discardableResult
    public func append(_ bytes: UnsafeRawBufferPointer, stream: StdioStream, mayHold: Bool = false) -> Int {
        prefix.set(now(), stream: stream)
        // Sound: slices of the caller's buffer, used before this call returns.
        var rest = unsafe bytes
        while unsafe !rest.isEmpty {
            let window = unsafe UnsafeRawBufferPointer(rebasing: rest.prefix(LogFormat.maximumTextByteCount + 1))
            if let newline = unsafe Memory.firstIndex(of: LogFormat.newline, in: window) {
                unsafe put(UnsafeRawBufferPointer(rebasing: rest[..<newline]), stream, endsLine: true)
                unsafe rest = UnsafeRawBufferPointer(rebasing: rest[(newline + 1)...])
                continue
            }
            let isLong = rest.count > LogFormat.maximumTextByteCount
            if mayHold, !isLong { break }
            let count = min(rest.count, LogFormat.maximumTextByteCount)
            unsafe put(UnsafeRawBufferPointer(rebasing: rest[..<count]), stream, endsLine: false)
            unsafe rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        flush()
        return rest.count
    }

    /// Formats one record into the buffer, after making room in the buffer or in the set of files.
    private func put(_ text: UnsafeRawBufferPointer, _ stream: StdioStream, endsLine: Bool) {
        let size = LogFormat.prefixByteCount + text.count + 1
        if shouldRotate(before: size) {
            flush()
            rotate()
        }
        if pending + size > IOBuffers.formatByteCount { flush() }
        unsafe prefix.bytes.withUnsafeBytes { prefix in
            // Sound: `pending + size` is within the buffer, checked above.
            let target = unsafe UnsafeMutableRawBufferPointer(rebasing: buffers.format[pending..<(pending + size)])
            unsafe target.copyMemory(from: prefix)
            unsafe target[LogPrefix.tagOffset] = endsLine ? LogFormat.full : LogFormat.partial
            let body = unsafe UnsafeMutableRawBufferPointer(rebasing: target[LogFormat.prefixByteCount...])
            unsafe body.copyMemory(from: text)
            unsafe target[size - 1] = LogFormat.newline
        }
        pending += size
        if endsLine { openLines.remove(StdioStreams(stream)) } else { openLines.insert(StdioStreams(stream)) }
    }

    private func shouldRotate(before size: Int) -> Bool {
        let limit = options.maximumFileSizeInBytes
        // The notice of a loss comes first, and counts as well.
        let notice = unreported.records > 0 ? Self.longestNoticeInBytes : 0
        let used = fileSize + Int64(pending) + notice
        guard limit > 0, used > 0, used + Int64(size) > limit, used >= rotationBarrier else { return false }
        return openLines.isEmpty || used + Int64(size) > limit + Self.maximumExcessInBytes
    }
}
