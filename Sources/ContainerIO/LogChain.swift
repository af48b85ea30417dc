/// What the numbers of a log's set stand for at this moment: 0 is the file that is written, and each rotation moves every file up by one.
package protocol LogNumbers {
    /// A file that is held open, so that its identity is nobody else's.
    associatedtype Opened
    /// What tells files apart whatever their numbers are.
    associatedtype Identity: Equatable

    /// Opens the file of a number; nil when there is none.
    func open(_ number: Int) throws(ContainerIOError) -> Opened?
    /// What has a number now; nil when nothing has.
    func identity(of number: Int) throws(ContainerIOError) -> Identity?
    /// What a file is.
    func identity(of file: Opened) -> Identity
}

/// Finds the files of a log in their order while the log is rotated.
///
/// A rotation moves the older of two files first (``LogFiles/shift(_:)``): what has the next lower number while the older one still has
/// its own is its successor, however many rotations there are in between.
package struct LogChain<Numbers: LogNumbers> {
    /// Numbers without a file after which no more are looked at.
    ///
    /// A crash of the shim in the middle of a rotation leaves one gap, a rotation under way another.
    private static var gapLimit: Int { 3 }

    private typealias Place = (file: Numbers.Opened, number: Int)

    private let numbers: Numbers

    package init(_ numbers: Numbers) { self.numbers = numbers }

    /// The files that are younger than one, the oldest first.
    ///
    /// - Parameter youngest: the one; nil for all that there are.
    /// - Returns: the files, and whether the first is the successor of `youngest`, or nothing was to be one's.
    /// - Throws: the kernel's reason.
    package func files(
        after youngest: Numbers.Opened?
    ) throws(ContainerIOError) -> (files: [Numbers.Opened], isConnected: Bool) {
        var files: [Numbers.Opened] = []
        var anchor: Place
        var isConnected = true
        if let youngest, let number = try number(of: youngest, from: 0) {
            anchor = (youngest, number)
        } else {
            guard let oldest = try oldest() else { return ([], true) }
            isConnected = youngest == nil
            files.append(oldest.file)
            anchor = oldest
        }
        while anchor.number > 0 {
            let found = try below(anchor.number)
            guard try numbers.identity(of: anchor.number) == numbers.identity(of: anchor.file) else {
                // One that was removed meanwhile has no number any more; the next look begins with the oldest that is left.
                guard let moved = try number(of: anchor.file, from: anchor.number) else { break }
                anchor.number = moved
                continue
            }
            guard let found else {
                // A rotation under way has not given its number to the youngest yet; or files have moved past this look.
                guard try isEmpty(max(0, anchor.number - Self.gapLimit)..<anchor.number) else { continue }
                break
            }
            // A gap that stays is that of a crash; one that was a move under way may have hidden a file from this look.
            guard try isEmpty(found.number + 1..<anchor.number) else { continue }
            files.append(found.file)
            anchor = found
        }
        return (files, isConnected)
    }

    /// The file with the next lower number; nil when there is none.
    private func below(_ number: Int) throws(ContainerIOError) -> Place? {
        for lower in stride(from: number - 1, through: max(0, number - Self.gapLimit), by: -1) {
            if let file = try numbers.open(lower) { return (file, lower) }
        }
        return nil
    }

    private func isEmpty(_ range: Range<Int>) throws(ContainerIOError) -> Bool {
        for number in range where try numbers.identity(of: number) != nil { return false }
        return true
    }

    /// The number that a file has, looked for from `first` up; nil for one that was removed.
    private func number(of file: Numbers.Opened, from first: Int) throws(ContainerIOError) -> Int? {
        var number = first
        while try !isEnd(number) {
            if try numbers.identity(of: number) == numbers.identity(of: file) { return number }
            number += 1
        }
        return nil
    }

    private func oldest() throws(ContainerIOError) -> Place? {
        var (oldest, number) = (Place?.none, 0)
        while try !isEnd(number) {
            if let file = try numbers.open(number) { oldest = (file, number) }
            number += 1
        }
        return oldest
    }

    /// Whether nothing has this number or a higher one.
    ///
    /// Looked at twice: files that are being moved up pass a single look.
    private func isEnd(_ number: Int) throws(ContainerIOError) -> Bool {
        let range = number..<number + Self.gapLimit
        guard try isEmpty(range) else { return false }
        return try isEmpty(range)
    }
}
