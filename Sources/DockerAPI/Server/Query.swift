import DockerTypes
package import Kernel

/// The query of a request, decoded once.
package struct Query: Sendable, Equatable {
    private var values: [String: [String]] = [:]

    /// Decodes `text`, the part after `?`; nil is an empty query.
    ///
    /// - Throws: 400 for a bad escape.
    package init(_ text: (some StringProtocol)?) throws(APIError) {
        guard let text else { return }
        for pair in text.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count > 1 ? parts[1] : ""
            guard
                let name = PercentCoding.decode(parts[0], plusIsSpace: true),
                let decoded = PercentCoding.decode(value, plusIsSpace: true)
            else { throw .invalid("invalid query: bad escape in '\(pair)'") }
            values[name, default: []].append(decoded)
        }
    }

    /// The first value of `name`; nil when it is absent.
    package subscript(_ name: String) -> String? {
        values[name]?.first
    }

    /// The first value of `name`, nil when it is absent or empty.
    package func text(_ name: String) -> String? {
        guard let value = self[name], !value.isEmpty else { return nil }
        return value
    }

    /// Every value of `name`, in order.
    package func all(_ name: String) -> [String] {
        values[name] ?? []
    }

    /// The value of `name` as Docker reads booleans: absent, empty, `0`, `no`, `false` and `none` are false.
    package func flag(_ name: String, default absent: Bool = false) -> Bool {
        guard let value = self[name] else { return absent }
        return !["", "0", "no", "false", "none"].contains(value.lowercased())
    }

    /// The value of `name` as a whole number, nil when it is absent or empty.
    ///
    /// - Parameters:
    ///   - name: Of the parameter.
    ///   - range: What makes sense.
    /// - Returns: The number.
    /// - Throws: 400 when it is not a number, or one out of the range.
    package func number(_ name: String, in range: ClosedRange<Int> = .min ... .max) throws(APIError) -> Int? {
        guard let value = text(name) else { return nil }
        guard let number = Int(value) else {
            let sign = value.utf8.first == UInt8(ascii: "-") || value.utf8.first == UInt8(ascii: "+") ? 1 : 0
            let digits = value.utf8.dropFirst(sign)
            let isNumber = !digits.isEmpty && digits.allSatisfy { (0x30...0x39).contains($0) }
            let problem = isNumber ? "is too large a number" : "is not a whole number"
            throw .invalid("invalid value for parameter '\(name)': '\(value)' \(problem)")
        }
        guard range.contains(number) else {
            let upper =
                range.upperBound == .max ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
            throw .invalid("invalid value for parameter '\(name)': \(number) is out of range; it may be \(upper)")
        }
        return number
    }

    /// The value of `name` as a time: seconds since 1970 with an optional fraction, or RFC 3339.
    ///
    /// Absent and empty are nil, and so is `0`, by which clients mean no limit, unless it `countsFromZero`: then it is 1970.
    ///
    /// - Throws: 400 for anything else.
    package func time(_ name: String, countsFromZero: Bool = false) throws(APIError) -> Timestamp? {
        guard let value = text(name), countsFromZero || value != "0" else { return nil }
        guard let time = Timestamp(dockerText: value) else {
            throw .invalid("invalid value for parameter '\(name)': '\(value)' is not a time")
        }
        return time
    }

    /// The filters of the request, each key with its values in order.
    ///
    /// Reads the list form `{"key": ["v"]}` and the old map form `{"key": {"v": true}}`.
    ///
    /// - Parameter allowed: The keys that this endpoint knows; nil leaves the check to the engine.
    /// - Returns: The values by key.
    /// - Throws: 400 for malformed JSON and for an unknown key.
    package func filters(allowed: Set<String>? = nil) throws(APIError) -> [String: [String]] {
        guard let text = text("filters") else { return [:] }
        let parsed: [String: FilterValues]
        do throws(DockerJSON.Failure) {
            parsed = try DockerJSON.decode([String: FilterValues].self, from: text.utf8)
        } catch {
            throw .invalid("invalid filters: \(error.description)")
        }
        if let allowed, let key = parsed.keys.sorted().first(where: { !allowed.contains($0) }) {
            throw .invalid("invalid filter '\(key)'")
        }
        return parsed.mapValues(\.values)
    }
}

/// The values of one filter in either form.
private struct FilterValues: Decodable {
    let values: [String]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            values = []
        } else if let map = try? container.decode([String: Bool].self) {
            // Not a map is the usual case, and the list form below reports what is wrong with anything else.
            values = map.filter(\.value).keys.sorted()
        } else {
            values = try container.decode([String].self)
        }
    }
}
