internal import Kernel

/// One file of a log, open for reading.
final class LogFile {
    /// What tells files apart whatever their names are; not reused while this object holds the file open.
    struct Identity: Hashable {
        var device: DeviceNumber
        var inode: UInt64
    }

    let descriptor: Descriptor
    let identity: Identity
    /// Where the next read starts.
    var offset: Int64 = 0
    /// Reading stops here.
    var limit: Int64?
    /// Whether a younger file exists, so that this one does not grow.
    var isSealed = false
    /// Records before these places are left out, by stream.
    private var starts: (stdout: Int64, stderr: Int64) = (0, 0)

    init(path: String) throws(KernelError) {
        descriptor = try File.open(path, .read)
        let status = try descriptor.status()
        identity = Identity(device: status.device, inode: status.inode)
    }

    func size() throws(ContainerIOError) -> Int64 {
        do { return try descriptor.status().size } catch { throw .kernel(error) }
    }

    /// When the file was last written to.
    func lastWrite() throws(ContainerIOError) -> Timestamp {
        do { return try descriptor.status().modified } catch { throw .kernel(error) }
    }

    func start(of stream: StdioStream) -> Int64 {
        stream == .stdout ? starts.stdout : starts.stderr
    }

    func setStart(_ start: Int64, of stream: StdioStream) {
        if stream == .stdout { starts.stdout = start } else { starts.stderr = start }
    }

    /// Reads on.
    ///
    /// Returns nothing at the end, or at the limit.
    func read(_ count: Int) throws(ContainerIOError) -> [UInt8] {
        let count = limit.map { Int(clamping: min(Int64(count), $0 - offset)) } ?? count
        guard count > 0 else { return [] }
        let chunk = try read(count, at: offset)
        offset += Int64(chunk.count)
        return chunk
    }

    /// Reads a piece.
    ///
    /// The array is as long as the piece: a follower keeps slices of many short ones.
    func read(_ count: Int, at offset: Int64) throws(ContainerIOError) -> [UInt8] {
        let result: Result<[UInt8], KernelError> = unsafe withUnsafeTemporaryAllocation(
            byteCount: count,
            alignment: 16
        ) { buffer in
            // Sound: only the bytes that the kernel filled are copied.
            do throws(KernelError) {
                let filled = try unsafe descriptor.read(into: buffer, at: offset)
                return .success(unsafe Array(buffer.prefix(filled)))
            } catch {
                return .failure(error)
            }
        }
        do { return try result.get() } catch { throw .kernel(error) }
    }
}

/// The files of a set by their names.
struct NamedLogFiles: LogNumbers {
    let path: String

    func open(_ number: Int) throws(ContainerIOError) -> LogFile? {
        do { return try LogFile(path: LogFiles.name(path, number: number)) } catch {
            guard error.errno == .noEntry else { throw .kernel(error) }
            return nil
        }
    }

    func identity(of number: Int) throws(ContainerIOError) -> LogFile.Identity? {
        do {
            let status = try File.status(LogFiles.name(path, number: number), follow: true)
            return LogFile.Identity(device: status.device, inode: status.inode)
        } catch {
            guard error.errno == .noEntry else { throw .kernel(error) }
            return nil
        }
    }

    func identity(of file: LogFile) -> LogFile.Identity { file.identity }
}

// Finding the files of the set.
extension LogReader {
    /// Opens the files that are younger than those already open.
    func scan() throws(ContainerIOError) {
        let found = try LogChain(NamedLogFiles(path: path)).files(after: files.last)
        if !found.isConnected { mayHaveMissedRecords = true }
        files.append(contentsOf: found.files)
    }

    /// Leaves out files whose last record is older than `since`.
    func skipFiles(before since: Timestamp) throws(ContainerIOError) {
        // A file's time is taken from a coarser clock than a record's.
        let margin = Duration.seconds(1)
        while files.count > 1, try files[0].lastWrite() + margin < since { files.removeFirst() }
    }
}

/// What wakes a reader that waits.
final class LogWatch {
    private enum Token {
        static let directory: UInt64 = 1
        static let control: UInt64 = 2
    }

    private let inotify: Inotify
    private let epoll: Epoll

    var raw: Int32 { epoll.raw }

    /// Watches the log's directory: writes to the log, and new names in the set.
    init(_ path: String, control: LogFollowControl?) throws(ContainerIOError) {
        do {
            inotify = try Inotify()
            epoll = try Epoll()
            let end = path.utf8.lastIndex(of: UInt8(ascii: "/"))
            let directory = end.map { path[..<$0] }.map(String.init) ?? "."
            try inotify.watch(
                directory.isEmpty ? "/" : directory,
                for: [.modified, .created, .movedTo, .onlyDirectory]
            )
            try epoll.add(inotify.raw, .readable, token: Token.directory)
            if let control { try epoll.add(control.event.raw, .readable, token: Token.control) }
        } catch {
            throw .kernel(error)
        }
    }

    /// Forgets what woke the reader, before it looks again.
    func drain() {
        inotify.drain()
    }

    func wait(until: Timestamp?) throws(ContainerIOError) {
        var events: [Epoll.Event] = []
        let timeout = until.map { max(.zero, $0 - Timestamp.now) + .milliseconds(1) }
        do { try epoll.wait(timeout: timeout, limit: 2, into: &events) } catch { throw .kernel(error) }
    }

    func isOver(_ until: Timestamp?) -> Bool {
        until.map { $0 < Timestamp.now } ?? false
    }
}
