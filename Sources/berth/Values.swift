import Client
import Kernel

/// Readings of the texts that options take, with Docker's spellings.
package enum Value {
    /// Bytes: a number with an optional unit (b, k, m, g, t, p; powers of 1024), or -1 for "no limit" where that is allowed.
    package static func bytes(_ text: String, _ option: String) throws(Failure) -> Int {
        if text == "-1" { return -1 }
        var digits = text.lowercased()[...]
        if digits.hasSuffix("ib") {
            digits = digits.dropLast(2)
        } else if digits.hasSuffix("b") {
            digits = digits.dropLast()
        }
        let units: [Character: Int] = ["k": 10, "m": 20, "g": 30, "t": 40, "p": 50]
        var shift = 0
        if let last = digits.last, let unit = units[last] {
            shift = unit
            digits = digits.dropLast()
        }
        guard let number = Double(digits), number >= 0, number * Double(1 << shift) < 9e18 else {
            throw Failure("--\(option): '\(text)' is not a size, such as 64m", code: 125)
        }
        return Int(number * Double(1 << shift))
    }

    /// CPUs as billionths of one.
    package static func nanoCPUs(_ text: String) throws(Failure) -> Int {
        guard let number = Double(text), number >= 0, number < 1e6 else {
            throw Failure("--cpus: '\(text)' is not a number of CPUs, such as 1.5", code: 125)
        }
        return Int((number * 1e9).rounded())
    }

    /// `soft[:hard]` of a limit.
    package static func ulimit(_ text: String) throws(Failure) -> (name: String, soft: Int, hard: Int) {
        let sides = text.split(separator: "=", maxSplits: 1)
        let numbers = sides.count == 2 ? sides[1].split(separator: ":").map { $0 == "unlimited" ? -1 : Int($0) } : []
        guard (1...2).contains(numbers.count), let soft = numbers[0], let hard = numbers[numbers.count - 1] else {
            throw Failure("--ulimit: '\(text)' is not NAME=SOFT[:HARD]", code: 125)
        }
        return (String(sides[0]), soft, hard)
    }

    /// `KEY=VALUE` pairs; a bare key has an empty value.
    package static func pairs(_ texts: [String]) -> [String: String] {
        var all: [String: String] = [:]
        for text in texts {
            let sides = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            all[String(sides[0])] = sides.count == 2 ? String(sides[1]) : ""
        }
        return all
    }

    /// Go's durations: `1h30m`, `10s`, `250ms`; nil for anything else.
    package static func duration(_ text: String) -> Duration? {
        let units: [String: Double] = ["ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600]
        var seconds = 0.0
        var rest = text[...]
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(number), let factor = units[String(unit)] else { return nil }
            seconds += value * factor
        }
        return .seconds(seconds)
    }

    /// A moment for the daemon: `42.5` seconds since 1970, a time by RFC 3339 (UTC where it names no zone), or a duration before now.
    package static func moment(_ text: String, _ option: String) throws(Failure) -> String {
        if Double(text) != nil, !text.contains("e") { return text }
        if let duration = duration(text) { return unix(Timestamp.now - duration) }
        for candidate in [text, text + "Z", text + ":00Z", text + "T00:00:00Z"] {
            if let time = Timestamp(candidate) { return unix(time) }
        }
        throw Failure("--\(option): '\(text)' is neither a time (2026-01-02T15:04:05Z), nor a duration (10m)")
    }

    private static func unix(_ time: Timestamp) -> String {
        let digits = String(time.nanoseconds)
        return "\(time.seconds).\(String(repeating: "0", count: 9 - digits.count))\(digits)"
    }

    /// The JSON of `--filter` options: names with their values.
    package static func filters(_ texts: [String]) throws(Failure) -> String? {
        guard !texts.isEmpty else { return nil }
        var all: [String: [JSONValue]] = [:]
        for text in texts {
            guard let place = text.firstIndex(of: "=") else {
                throw Failure("--filter: '\(text)' is not NAME=VALUE")
            }
            all[String(text[..<place]).lowercased(), default: []].append(
                .string(String(text[text.index(after: place)...]))
            )
        }
        return JSONValue.object(all.mapValues(JSONValue.array)).text
    }
}

extension Timestamp {
    fileprivate static func - (time: Timestamp, duration: Duration) -> Timestamp {
        time + (.zero - duration)
    }
}

extension String {
    /// Without white space at either end.
    var trimmed: String {
        var rest = self[...]
        while let first = rest.first, first.isWhitespace { rest = rest.dropFirst() }
        while let last = rest.last, last.isWhitespace { rest = rest.dropLast() }
        return String(rest)
    }
}
