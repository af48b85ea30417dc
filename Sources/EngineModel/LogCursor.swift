public import Kernel

/// A place in a container's log from which another reader, or the next manager, goes on without gap or double.
///
/// It names the file by itself, not by its name, which rotation changes, and the last record before the place, so that a file which
/// only got the number of an older one is not taken for it.
public struct LogCursor: Sendable, Equatable, LosslessStringConvertible {
    /// Device and number of the file; 0 and 0 before anything was written.
    public var device: UInt64, inode: UInt64
    /// Where the next record begins.
    public var offset: Int64
    /// Where the record before it begins; negative when there is none in this file.
    public var lastRecord: Int64
    /// The time of that record.
    public var lastTime: Timestamp
    /// The numbers of the streams whose last line is not ended, as bits.
    public var openLines: UInt8 = 0

    /// Names a place.
    public init(device: UInt64, inode: UInt64, offset: Int64, lastRecord: Int64, lastTime: Timestamp) {
        self.device = device
        self.inode = inode
        self.offset = offset
        self.lastRecord = lastRecord
        self.lastTime = lastTime
    }

    /// The place before everything.
    public static let beginning = LogCursor(
        device: 0,
        inode: 0,
        offset: 0,
        lastRecord: -1,
        lastTime: Timestamp(seconds: 0, nanoseconds: 0)
    )

    /// Reads what ``description`` gives; nil for anything else.
    public init?(_ description: String) {
        let parts = description.split(separator: "_", omittingEmptySubsequences: false)
        guard parts.count == 7, let device = UInt64(parts[0]), let inode = UInt64(parts[1]),
            let offset = Int64(parts[2]), offset >= 0, let record = Int64(parts[3]), record < offset || offset == 0,
            let seconds = Int64(parts[4]), let nanoseconds = UInt32(parts[5]), nanoseconds < 1_000_000_000,
            let open = UInt8(parts[6])
        else { return nil }
        self.init(
            device: device,
            inode: inode,
            offset: offset,
            lastRecord: record,
            lastTime: Timestamp(seconds: seconds, nanoseconds: nanoseconds)
        )
        openLines = open
    }

    /// The cursor as one word of a query.
    public var description: String {
        "\(device)_\(inode)_\(offset)_\(lastRecord)_\(lastTime.seconds)_\(lastTime.nanoseconds)_\(openLines)"
    }
}
