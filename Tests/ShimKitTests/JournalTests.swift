import Kernel
@testable import ShimModel
import ShimProtocol
import Testing

/// The journal's file, as a shim finds it that takes over from one that died while it wrote.
@Suite struct JournalTests {
    private final class Folder {
        let path = "/tmp/berth-test-\(Random.hex(8))"
        var journal: String { "\(path)/journal" }

        init() throws { try File.makeDirectory(path) }

        deinit { _ = try? File.removeTree(path) }

        /// The numbers of the lines that can be read, and how many cannot.
        func lines() throws -> (numbers: [UInt64], unreadable: Int) {
            let bytes = try File.read(journal, limit: 1 << 20)
            let numbers = JournalLine.events(bytes[...]).map(\.seq)
            return (numbers, bytes.split(separator: 0x0a).count - numbers.count)
        }
    }

    private func append(_ kind: TaskEvent.Kind, to journal: Journal) {
        #expect(journal.append(TaskEvent(kind, pid: 7), containerID: "c", at: .now) == nil)
    }

    /// What is told next must not become the end of the line that was torn.
    @Test(arguments: [1, 20, 60]) func theLineThatWasTornSpoilsNoOther(_ left: Int) throws {
        let folder = try Folder()
        let first = try Journal(path: folder.journal)
        append(.created, to: first)
        let whole = try File.read(folder.journal, limit: 1 << 20)
        append(.started, to: first)
        // Killed in the middle of the second line.
        let second = try File.read(folder.journal, limit: 1 << 20).dropFirst(whole.count)
        #expect(second.count > left)
        try File.writeAtomically(folder.journal, whole + second.prefix(left), durable: false)

        let successor = try Journal(path: folder.journal)
        let found = try successor.recover(ShimJournalState(), path: folder.journal)
        #expect(found.events.map(\.seq) == [1] && successor.lastSeq == 1)
        append(.started, to: successor)
        append(.paused, to: successor)
        let lines = try folder.lines()
        #expect(lines.numbers == [1, 2, 3] && lines.unreadable == 0)
        // Nothing is thrown away: the torn line is beside it.
        #expect(found.damage.map { File.exists($0.setAside) } == true)
    }

    /// The same number, when the dead shim's state knew that it was given out.
    @Test func anEventThatIsOnlyInTheStateIsMissed() throws {
        let folder = try Folder()
        append(.created, to: try Journal(path: folder.journal))
        var state = ShimJournalState()
        state.lastSeq = 2
        let successor = try Journal(path: folder.journal)
        #expect(try successor.recover(state, path: folder.journal).damage != nil)
        append(.started, to: successor)
        #expect(try folder.lines().numbers == [1, 3])
    }
}
