public import Kernel

/// A place between two records of a log, by the file itself and the record before.
public struct LogPlace: Sendable, Equatable {
    /// Device of the file, as the kernel packs it.
    public var device: UInt64
    /// Number of the file.
    public var inode: UInt64
    /// Where the next record begins.
    public var offset: Int64
    /// Where the record before it begins; negative when there is none in this file.
    public var lastRecord: Int64
    /// The time of that record.
    public var lastTime: Timestamp

    /// Names a place.
    public init(device: UInt64, inode: UInt64, offset: Int64, lastRecord: Int64, lastTime: Timestamp) {
        self.device = device
        self.inode = inode
        self.offset = offset
        self.lastRecord = lastRecord
        self.lastTime = lastTime
    }
}

extension LogReader {
    /// Makes the reader begin at a place where another one stopped.
    ///
    /// A place that is not there any more was in a file that is deleted: everything that exists is younger.
    ///
    /// - Returns: the record before the place.
    func goTo(_ place: LogPlace) throws(ContainerIOError) -> (offset: Int64, time: Timestamp)? {
        // Nothing had been written when the other one stopped.
        if place.inode == 0 { return nil }
        for (index, file) in files.enumerated()
        where file.identity.inode == place.inode && file.identity.device.packed == place.device {
            guard try isThere(place, in: file) else { break }
            files.removeFirst(index)
            file.offset = place.offset
            return place.lastRecord < 0 ? nil : (place.lastRecord, place.lastTime)
        }
        mayHaveMissedRecords = true
        return nil
    }

    /// Whether the record before the place is where it was: another file may have got the number.
    private func isThere(_ place: LogPlace, in file: LogFile) throws(ContainerIOError) -> Bool {
        guard try file.size() >= place.offset else { return false }
        guard place.lastRecord >= 0 else { return place.offset == 0 }
        let length = Int(clamping: min(place.offset - place.lastRecord, Int64(Self.maximumLineByteCount)))
        let line = try file.read(length, at: place.lastRecord)
        guard let header = parser.header(line[...]) else { return false }
        return header.timestamp == place.lastTime
    }
}

extension DeviceNumber {
    /// Both parts in one number.
    var packed: UInt64 { UInt64(major) << 32 | UInt64(minor) }
}
