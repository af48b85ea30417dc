internal import Kernel

/// The kernel's small text formats.
enum KeyedText {
    private static let (space, newline) = (UInt8(ascii: " "), UInt8(ascii: "\n"))

    /// Lines of `key value`; other lines are passed over.
    static func flat(_ text: some Collection<UInt8>) -> [String: UInt64] {
        var values: [String: UInt64] = [:]
        for line in text.split(separator: newline) {
            guard let gap = line.firstIndex(of: space), let value = decimal(line[line.index(after: gap)...]) else {
                continue
            }
            values[String(decoding: line[..<gap], as: UTF8.self)] = value
        }
        return values
    }

    /// Lines of `key value`.
    static func flat(_ text: String) -> [String: UInt64] { flat(text.utf8) }

    /// One number; `max` and other words are nil.
    static func number(_ text: some Collection<UInt8>) -> UInt64? {
        decimal(text.prefix { $0 != newline && $0 != space })
    }

    /// One number.
    static func number(_ text: String) -> UInt64? { number(text.utf8) }

    /// A limit of v1, where unlimited is the largest multiple of the page size below 2^63.
    static func limit(_ value: UInt64?) -> UInt64? { value.flatMap { $0 >= UInt64(Int64.max) - 65536 ? nil : $0 } }

    /// Words of each line.
    static func lines(_ text: [UInt8]) -> [[Substring]] {
        String(decoding: text, as: UTF8.self).split(separator: "\n").map { $0.split(separator: " ") }
    }

    /// `major:minor`.
    static func device(_ text: Substring) -> (UInt64, UInt64)? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, let major = UInt64(parts[0]), let minor = UInt64(parts[1]) else { return nil }
        return (major, minor)
    }

    /// `key=value`.
    static func assignment(_ word: Substring) -> (key: Substring, value: Substring)? {
        guard let sign = word.firstIndex(of: "=") else { return nil }
        return (word[..<sign], word[word.index(after: sign)...])
    }

    /// Two lines of `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
    static func pressure(_ text: [UInt8]) -> CgroupStatistics.Pressure? {
        var result = CgroupStatistics.Pressure()
        for line in lines(text) {
            var share = CgroupStatistics.Pressure.Share()
            for case let (key, value)? in line.dropFirst().map(assignment) {
                switch key {
                case "avg10": share.average10 = Double(value) ?? 0
                case "avg60": share.average60 = Double(value) ?? 0
                case "avg300": share.average300 = Double(value) ?? 0
                case "total": share.total = UInt64(value) ?? 0
                default: break
                }
            }
            if line.first == "some" { result.some = share } else if line.first == "full" { result.full = share }
        }
        return text.isEmpty ? nil : result
    }

    private static func decimal(_ digits: some Collection<UInt8>) -> UInt64? {
        var value: UInt64 = 0
        if digits.isEmpty { return nil }
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(UInt64(digit - 0x30))
            if overflow || carry { return nil }
            value = sum
        }
        return value
    }
}

extension String {
    var words: [String] { split { $0 == " " || $0 == "\n" }.map(String.init) }
}
