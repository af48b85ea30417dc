import Kernel
import ShimProtocol
import SwiftProtobuf

/// Counts of system calls that are not lost when the shim is killed, and none of which is told twice.
///
/// The counts stand in a mapped file of the bundle, so a successor finds them as they were at the last instruction. Each entry has three
/// numbers that only grow: how many calls there were, how many of them the reports in the journal have told, and how many the report tells
/// that is about to be written. A count or a report that was cut short is finished, or was not begun: `settle` sees which.
final class UseLedger {
    /// Kinds of calls that are told apart; the file has one entry more, for all others.
    static let maximumKinds = 4096
    /// From that many on a report is followed by forgetting: what was told needs no place.
    static let kindsWorthKeeping = 512
    /// Kinds in one event.
    static let kindsPerReport = 256

    /// The first words of the file.
    private enum Word {
        static let magic = 0
        /// How many entries are in use, that of the others among them.
        static let used = 1
        /// Number of the event that is being written; 0 for none.
        static let reporting = 2
        /// A count that is under way: which question, which entry, and what its count is then.
        static let (question, entry, total) = (3, 4, 5)
        /// Whether the present run of the container has had a report.
        static let told = 6
        /// Where questions are put.
        static let asked = 16
        static let first = 64
    }

    /// The words of an entry.
    private enum Field {
        static let (total, reported, reporting, first, last) = (0, 1, 2, 3, 4)
        static let key = 5
        static let count = 32
    }

    private static let magic: UInt64 = 0x3147_5245_4c48_5442
    /// Entries that get memory at once: a page.
    private static let step = 16

    private let file: SharedFile
    private var index: [UseKey: Int] = [:]

    /// Opens the file of a bundle, which is made when absent.
    init(_ bundle: String) throws(KernelError) {
        let opened = try File.open("\(bundle)/syscalls", [.readWrite, .create, .noFollow], mode: 0o600)
        let limit = Word.first + (Self.maximumKinds + 1) * Field.count
        file = try SharedFile(SharedDescriptor(opened), limit: limit)
        try file.reserve(Word.first + Self.step * Field.count)
        if file[Word.magic] != Self.magic {
            UseKey.others.write(file, at: Word.first + Field.key)
            file[Word.used] = 1
            file[Word.magic] = Self.magic
        }
        // Entries for which the file has no place are none of ours.
        let places = (file.count - Word.first) / Field.count
        file[Word.used] = min(max(file[Word.used], 1), UInt64(places))
        for entry in 1..<used { index[key(entry)] = entry }
    }

    private var used: Int { Int(clamping: file[Word.used]) }

    private func place(_ entry: Int) -> Int { Word.first + entry * Field.count }

    private func key(_ entry: Int) -> UseKey { UseKey(file, at: place(entry) + Field.key) }

    // Questions ---------------------------------------------------------------------------------------------------------

    /// Takes the next question, where a successor would find it.
    func take(from listener: RawDescriptor) throws(KernelError) -> SeccompNotification? {
        try SeccompNotification.take(from: listener, into: file, at: Word.asked)
    }

    /// A question that was taken and perhaps not answered.
    var pending: SeccompNotification? { SeccompNotification(file, at: Word.asked) }

    /// Whether the pending question was counted.
    var isPendingCounted: Bool { file[Word.question] != 0 && file[Word.question] == file[Word.asked] }

    /// The question is answered.
    func forget() {
        file[Word.asked] = 0
        file[Word.question] = 0
    }

    // Counts ------------------------------------------------------------------------------------------------------------

    /// Counts a call once, whatever becomes of the shim.
    func count(_ question: SeccompNotification, as key: UseKey, at time: Timestamp) {
        let entry = entry(key)
        let place = place(entry)
        let total = file[place + Field.total]
        let now = UInt64(bitPattern: time.nanosecondsSinceEpoch)
        if total == file[place + Field.reported] { file[place + Field.first] = now }
        file[place + Field.last] = now
        file[Word.entry] = UInt64(entry)
        file[Word.total] = total + 1
        // From here on the call is counted: a successor does what is left.
        file[Word.question] = question.id
        file[place + Field.total] = total + 1
    }

    /// Takes the last count back, of a call that is going to come again.
    func uncount() {
        let place = place(lastCounted)
        let total = file[place + Field.total]
        file[Word.question] = 0
        if total > file[place + Field.reported] { file[place + Field.total] = total - 1 }
    }

    private var lastCounted: Int { Int(clamping: min(file[Word.entry], file[Word.used] - 1)) }

    private func entry(_ key: UseKey) -> Int {
        if let known = index[key] { return known }
        let new = used
        guard new <= Self.maximumKinds else { return 0 }
        if place(new + 1) > file.count {
            let wanted = min(place(new + Self.step), place(Self.maximumKinds + 1))
            // Without memory the call is counted among the others.
            guard (try? file.reserve(wanted)) != nil else { return 0 }
        }
        let place = place(new)
        for field in 0..<Field.key { file[place + field] = 0 }
        key.write(file, at: place + Field.key)
        file[Word.used] = UInt64(new + 1)
        index[key] = new
        return new
    }

    // Reports -----------------------------------------------------------------------------------------------------------

    /// Finishes what a program that died has begun.
    ///
    /// - Parameter lastEvent: Number of the last event that is in the journal.
    func settle(lastEvent: UInt64) {
        if isPendingCounted {
            let place = place(lastCounted)
            file[place + Field.total] = max(file[place + Field.total], file[Word.total])
        }
        guard file[Word.reporting] != 0 else { return }
        let isWritten = file[Word.reporting] <= lastEvent
        for entry in 0..<used {
            let place = place(entry)
            if isWritten {
                file[place + Field.reported] = max(file[place + Field.reported], file[place + Field.reporting])
            } else {
                file[place + Field.reporting] = file[place + Field.reported]
            }
        }
        file[Word.reporting] = 0
    }

    /// Whether there is something to report.
    var hasNews: Bool { (0..<used).contains(where: isNew) }

    /// Whether the present run has had a report.
    var hasTold: Bool {
        get { file[Word.told] != 0 }
        set { file[Word.told] = newValue ? 1 : 0 }
    }

    private func isNew(_ entry: Int) -> Bool {
        file[place(entry) + Field.total] != file[place(entry) + Field.reported]
    }

    /// Hands over what was not reported, in parts.
    ///
    /// - Parameters:
    ///   - nextEvent: The number that the event with a part will have.
    ///   - publish: Writes one part into the journal; the flag says whether it is the last one.
    func report(nextEvent: () -> UInt64, _ publish: ([ShimSyscallUse], Bool) -> Void) {
        let news = (0..<used).filter(isNew)
        for start in stride(from: 0, to: news.count, by: Self.kindsPerReport) {
            let part = news[start..<min(start + Self.kindsPerReport, news.count)]
            for entry in part { file[place(entry) + Field.reporting] = file[place(entry) + Field.total] }
            file[Word.reporting] = nextEvent()
            publish(part.map(use), part.endIndex == news.count)
            for entry in part { file[place(entry) + Field.reported] = file[place(entry) + Field.reporting] }
            file[Word.reporting] = 0
        }
        if used > Self.kindsWorthKeeping { clear() }
    }

    /// Counts as reported what was not.
    func pass() {
        for entry in 0..<used { file[place(entry) + Field.reported] = file[place(entry) + Field.total] }
    }

    private func use(_ entry: Int) -> ShimSyscallUse {
        let place = place(entry)
        var use = key(entry).message
        use.count = file[place + Field.reporting] - file[place + Field.reported]
        use.first = Self.time(file[place + Field.first])
        use.lastSeen = Self.time(file[place + Field.last])
        return use
    }

    private static func time(_ word: UInt64) -> Google_Protobuf_Timestamp {
        Google_Protobuf_Timestamp(seconds: Int64(word / 1_000_000_000), nanos: Int32(word % 1_000_000_000))
    }

    /// Forgets all kinds; everything was reported.
    private func clear() {
        file[Word.used] = 1
        index = [:]
        // What cannot be given back is used again.
        try? file.release(from: place(Self.step))
    }
}
