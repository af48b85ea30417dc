package import Kernel

/// Lists of processors and memory nodes as the kernel writes them: `0-3,7`.
package enum NumberList {
    /// No kernel is built for more.
    package static let bound = 8192

    /// Reads a list.
    ///
    /// - Parameters:
    ///   - text: Numbers and ranges with commas between; blanks around each are ignored.
    ///   - field: Where the text stands, for errors.
    /// - Returns: The numbers.
    /// - Throws: `invalidArgument` for what is no list, runs backwards or lies beyond `bound`.
    package static func parse(_ text: String, field: String) throws(TextError) -> NumberSet {
        var set = NumberSet()
        for part in text.utf8.split(separator: 0x2c, omittingEmptySubsequences: false) {
            let ends = part.split(separator: 0x2d, omittingEmptySubsequences: false).map(number)
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last else {
                throw .invalid(field, "'\(text.prefix(100))' is no list such as 0-3,7")
            }
            guard last < bound else { throw .invalid(field, "\(last) is more than \(bound - 1)") }
            set.insert(first...last)
        }
        return set
    }

    private static func number(_ text: Substring.UTF8View.SubSequence) -> Int? {
        let digits = text.drop { $0 == 0x20 }.prefix { $0 != 0x20 }
        let rest = text.drop { $0 == 0x20 }.dropFirst(digits.count)
        guard !digits.isEmpty, digits.count <= 9, rest.allSatisfy({ $0 == 0x20 }),
            digits.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
