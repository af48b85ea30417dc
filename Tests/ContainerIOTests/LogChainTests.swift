import ContainerIO
import Testing

/// A set of files whose log is rotated in the middle of every look at it, step by step as the writer does it.
private final class TurningLog: LogNumbers {
    /// By number; the files are called by the order in which they were made.
    private(set) var names: [Int?] = [2, 1, 0]
    private var made = 3
    /// What is left of a rotation: moves from a number to the next, from the highest, then the new file.
    private var steps: [Int] = []
    /// How many of the writer's steps come before each look.
    private var schedule: [Int]

    init(_ schedule: [Int]) { self.schedule = schedule }

    private func turn() {
        guard !schedule.isEmpty else { return }
        for _ in 0..<schedule.removeFirst() {
            if steps.isEmpty {
                names.append(nil)
                steps = Array(stride(from: names.count - 2, through: 0, by: -1)) + [-1]
            }
            let step = steps.removeFirst()
            if step < 0 {
                names[0] = made
                made += 1
            } else {
                (names[step + 1], names[step]) = (names[step], nil)
            }
        }
    }

    func open(_ number: Int) -> Int? {
        turn()
        return number < names.count ? names[number] : nil
    }

    func identity(of number: Int) -> Int? { open(number) }
    func identity(of file: Int) -> Int { file }
}

@Suite struct LogChainTests {
    /// Up to nine steps of a writer (a rotation of three files is four) before each of the first looks, all combinations.
    @Test(arguments: [nil, 0, 1, 2]) func filesComeOnceAndInOrderWhateverIsRotatedMeanwhile(_ youngest: Int?) throws {
        let choices = [0, 1, 2, 3, 4, 5, 8, 9]
        for number in 0..<(choices.count * choices.count * choices.count * choices.count) {
            var (rest, schedule) = (number, [Int]())
            for _ in 0..<4 {
                schedule.append(choices[rest % choices.count])
                rest /= choices.count
            }
            let log = TurningLog(schedule)
            let found = try LogChain(log).files(after: youngest)
            let first = youngest.map { $0 + 1 } ?? 0
            // What was there when the look began is found; the youngest ones may come with the next look.
            #expect(
                found.isConnected && found.files == Array(first..<(first + found.files.count)),
                "\(schedule): \(found.files)"
            )
            #expect(first + found.files.count >= 3, "\(schedule): \(found.files)")
        }
    }
}
