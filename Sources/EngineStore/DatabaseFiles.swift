import Kernel

/// The two files beside the database, kept so that a full disk does not keep it from being opened.
///
/// SQLite's ways need space at each opening. The first connection cuts the index (`-shm`) off and takes its space anew, and what it has given back
/// for a moment is anybody's: whoever writes all the time has it by then. And a log (`-wal`) that was emptied at the last end has to grow again.
/// So the index keeps its space: this takes the lock by which SQLite sees that somebody is connected already, and makes its content
/// void instead. And at the end the log is made void and keeps its space, too.
///
/// The open file of the index lives as long as the connections: a process that closes a file gives up SQLite's locks of it as well.
final class DatabaseFiles: Sendable {
    /// The byte of the index that each connection has locked, shared; whoever gets it alone is the first.
    private static let connected: Range<Int64> = 128..<129
    /// Two headers and what follows from the log: void when they are zero, and made anew from the log.
    private static let indexHeader = 136
    /// Enough for 4,000 pages in the log.
    private static let indexSize: Int64 = 32_768
    /// The bytes of the database that each connection has locked, shared.
    private static let used: Range<Int64> = 0x4000_0002..<(0x4000_0002 + 510)
    private static let logHeader = 32
    /// What the log keeps; it grows to this before its content is moved into the database.
    private static let logSize: Int64 = 4 << 20

    private let path: String
    private let index: SharedDescriptor

    /// Puts right the two bytes that say the version of SQLite's format, where they say one that is not there.
    ///
    /// With the first SQLite opens the database and writes nothing, with the second it opens nothing. Before any connection: who closes a file
    /// gives up the locks of it.
    ///
    /// - Returns: what they were; nil when they are of a version that there is.
    static func mendFormat(_ path: String) throws(KernelError) -> [UInt8]? {
        guard try File.isThere(path) else { return nil }
        let file = try File.open(path, [.readWrite, .noFollow])
        let head = try file.read(upTo: 20)
        guard head.count == 20, head.starts(with: Array("SQLite format 3\0".utf8)) else { return nil }
        let versions = Array(head[18...])
        guard versions.contains(where: { !(1...2).contains($0) }) else { return nil }
        // That with a log.
        try file.writeAll([2, 2], at: 18)
        return versions
    }

    /// Makes the index ready for the first connection, or does nothing when there is one.
    ///
    /// - Throws: ``KernelError``, `.noSpace` when there never was an index and there is no space for one.
    init(_ path: String) throws(KernelError) {
        self.path = path
        let name = "\(path)-shm"
        index = SharedDescriptor(try File.open(name, [.readWrite, .create, .noFollow], mode: 0o600))
        do throws(KernelError) {
            if try RangeLock.take(.exclusive, Self.connected, of: index.raw) {
                try index.allocate(upTo: Self.indexSize)
                try index.writeAll([UInt8](repeating: 0, count: Self.indexHeader), at: 0)
            }
            // Another process's first connection has it alone for a moment.
            let deadline = Clock.monotonic.now + .seconds(5)
            while try !RangeLock.take(.shared, Self.connected, of: index.raw) {
                guard Clock.monotonic.now < deadline else { throw .failed("lock", name, .timedOut) }
                Clock.sleep(.milliseconds(5))
            }
        } catch {
            throw error.about(name)
        }
    }

    /// Makes the log void, whose content is in the database; to be called when the last connection of this process is closed.
    ///
    /// Otherwise it would be believed beside another database that somebody puts in this one's place. What cannot be done now is left
    /// to the next opening: a log that is not void is read once more.
    func voidLog() throws(KernelError) {
        let log = try File.open("\(path)-wal", [.readWrite, .noFollow])
        let size = try log.status().size
        guard size >= Self.logHeader else { return }
        let database = try File.open(path, [.readWrite, .noFollow])
        // A reader of another process may need it.
        guard try RangeLock.take(.exclusive, Self.used, of: database.raw) else { return }
        try log.writeAll([UInt8](repeating: 0, count: Self.logHeader), at: 0)
        if size > 2 * Self.logSize { try log.truncate(to: Self.logSize) }
    }
}
