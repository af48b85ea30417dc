/// A point in time: seconds since 1970 (or since boot, as its clock says) and nanoseconds.
public struct Timestamp: Hashable, Sendable, Comparable {
    /// Whole seconds; before 1970 negative.
    public var seconds: Int64
    /// 0 to 999,999,999, always counted forwards.
    public var nanoseconds: UInt32

    /// Makes a time from its parts.
    ///
    /// - Parameters:
    ///   - seconds: whole seconds.
    ///   - nanoseconds: below 1,000,000,000.
    public init(seconds: Int64, nanoseconds: UInt32 = 0) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// The wall clock's time.
    public static var now: Timestamp { Clock.realTime.now }

    /// Whether one time is before another.
    public static func < (a: Timestamp, b: Timestamp) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }

    /// The time between two times of one clock.
    public static func - (a: Timestamp, b: Timestamp) -> Duration {
        .seconds(a.seconds - b.seconds) + .nanoseconds(Int64(a.nanoseconds) - Int64(b.nanoseconds))
    }

    /// A later time.
    public static func + (a: Timestamp, b: Duration) -> Timestamp {
        let (seconds, attoseconds) = b.components
        let sum = Int64(a.nanoseconds) + attoseconds / 1_000_000_000
        let carry = sum < 0 ? -1 : sum / 1_000_000_000
        return Timestamp(seconds: a.seconds + seconds + carry, nanoseconds: UInt32(sum - carry * 1_000_000_000))
    }

    /// Nanoseconds since 1970; saturates outside the years 1677 to 2262.
    public var nanosecondsSinceEpoch: Int64 {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, tooBig) = product.addingReportingOverflow(Int64(nanoseconds))
        return tooBig ? .max : sum
    }
}

// RFC 3339 with nanoseconds, in UTC, the form of Docker's and CRI's texts.
extension Timestamp: CustomStringConvertible, LosslessStringConvertible {
    /// For example `2026-01-31T23:59:59.012345678Z`: always nine digits, always UTC.
    public var description: String {
        let day = seconds.dividedRoundingDown(by: 86400)
        let second = Int(seconds - day * 86400)
        let (year, month, monthDay) = CivilDate.date(ofDay: day)
        var text = ""
        text.reserveCapacity(30)
        text.append(padded: year, 4)
        text += "-"
        text.append(padded: Int64(month), 2)
        text += "-"
        text.append(padded: Int64(monthDay), 2)
        text += "T"
        text.append(padded: Int64(second / 3600), 2)
        text += ":"
        text.append(padded: Int64(second / 60 % 60), 2)
        text += ":"
        text.append(padded: Int64(second % 60), 2)
        text += "."
        text.append(padded: Int64(nanoseconds), 9)
        text += "Z"
        return text
    }

    /// Reads an RFC 3339 time with or without fraction, in UTC or with an offset.
    ///
    /// - Parameter text: for example `2026-01-31T23:59:59Z` or `…59.5+02:00`; digits beyond nanoseconds are dropped.
    public init?(_ text: String) {
        var reader = DigitReader(text.utf8)
        guard let year = reader.number(4), reader.skip("-"), let month = reader.number(2), (1...12).contains(month),
            reader.skip("-"), let day = reader.number(2), (1...31).contains(day),
            reader.skip("T") || reader.skip("t") || reader.skip(" "),
            let hour = reader.number(2), hour < 24, reader.skip(":"),
            let minute = reader.number(2), minute < 60, reader.skip(":"),
            let second = reader.number(2), second <= 60
        else { return nil }
        let fraction = reader.skip(".") ? reader.fraction() : 0
        guard let fraction, let offset = reader.offset(), reader.atEnd else { return nil }
        let days = CivilDate.day(year: Int64(year), month: Int64(month), day: Int64(day))
        seconds = days * 86400 + Int64(hour * 3600 + minute * 60 + second) - Int64(offset)
        nanoseconds = fraction
    }
}

private struct DigitReader {
    private var rest: ArraySlice<UInt8>

    init(_ text: String.UTF8View) { rest = Array(text)[...] }

    var atEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    mutating func number(_ digits: Int) -> Int? {
        var value = 0
        for _ in 0..<digits {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    private mutating func digit() -> Int? {
        guard let byte = rest.first, UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte else { return nil }
        rest.removeFirst()
        return Int(byte - UInt8(ascii: "0"))
    }

    mutating func fraction() -> UInt32? {
        var value: UInt32 = 0
        var scale: UInt32 = 100_000_000
        guard let first = digit() else { return nil }
        value = UInt32(first) * scale
        while let next = digit() {
            scale /= 10
            value += UInt32(next) * scale
        }
        return value
    }

    /// Seconds east of UTC.
    mutating func offset() -> Int? {
        if skip("Z") || skip("z") { return 0 }
        let sign = skip("-") ? -1 : skip("+") ? 1 : 0
        guard sign != 0, let hours = number(2), hours < 24, skip(":"), let minutes = number(2), minutes < 60 else {
            return nil
        }
        return sign * (hours * 3600 + minutes * 60)
    }
}

/// The proleptic Gregorian calendar in whole days, by eras of 400 years that start on 1 March.
private enum CivilDate {
    static func day(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted.dividedRoundingDown(by: 400)
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    static func date(ofDay day: Int64) -> (year: Int64, month: Int, day: Int) {
        let shifted = day + 719_468
        let era = shifted.dividedRoundingDown(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let monthDay = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), Int(month), Int(monthDay))
    }
}

extension Int64 {
    fileprivate func dividedRoundingDown(by divisor: Int64) -> Int64 {
        let quotient = self / divisor
        return self % divisor < 0 ? quotient - 1 : quotient
    }
}

extension String {
    fileprivate mutating func append(padded number: Int64, _ width: Int) {
        let digits = String(number)
        for _ in 0..<max(0, width - digits.utf8.count) { append("0") }
        append(digits)
    }
}
