import Kernel

/// The ids of the host that containers get theirs from.
///
/// Values in, value out. Ranges begin at multiples of 65,536, so that a range's ids can be read off the upper half of an id.
package struct IDPool: Sendable, Equatable {
    /// Ascending, apart from each other.
    package let ranges: [Range<UInt64>]
    /// Where they come from.
    package let source: String

    static let alignment: UInt64 = 65_536
    /// What systemd reserves for containers (its "Users, Groups, UIDs and GIDs"): above people and services, below 2³¹, where
    /// file systems begin to read an id as a negative number.
    static let reserved: Range<UInt64> = 524_288..<1_879_048_192

    package init(_ ranges: [Range<UInt64>], source: String) {
        self.ranges = Self.normal(ranges)
        self.source = source
    }

    /// The pool of a node.
    ///
    /// What the configuration names; else what `/etc/subuid` and `/etc/subgid` both give to `berth`, or else to `containers`; else
    /// what is reserved for containers without what these files give to anybody.
    package init(configured: [IDRange]?, subuid: String, subgid: String) {
        if let configured {
            self.init(configured.map { UInt64($0.first)..<$0.end }, source: "configuration")
            return
        }
        let (users, groups) = (Self.entries(subuid), Self.entries(subgid))
        for name in ["berth", "containers"] {
            let both = Self.intersection(
                users.filter { $0.name == name }.map(\.range),
                groups.filter { $0.name == name }.map(\.range)
            )
            guard !both.isEmpty else { continue }
            self.init(both, source: "/etc/subuid and /etc/subgid, '\(name)'")
            return
        }
        let taken = Self.normal((users + groups).map(\.range))
        self.init(Self.subtract(taken, from: Self.reserved), source: "default")
    }

    /// Number of ids.
    package var count: UInt64 { ranges.reduce(0) { $0 + UInt64($1.count) } }

    /// The first free place behind `cursor`, and then from the beginning: what has just been given back is taken last.
    ///
    /// - Returns: nil when there is none.
    package func allocate(_ size: UInt32, taken: some Sequence<IDRange>, after cursor: UInt64) -> IDRange? {
        let taken = Self.normal(taken.map { UInt64($0.first)..<$0.end })
        var candidate = place(size, from: cursor, taken: taken)
        if candidate == nil { candidate = place(size, from: 0, taken: taken) }
        return candidate.map { IDRange(first: UInt32($0), size: size) }
    }

    private func place(_ size: UInt32, from start: UInt64, taken: [Range<UInt64>]) -> UInt64? {
        for range in ranges {
            var first = Self.aligned(max(range.lowerBound, start))
            var obstacles = taken.drop { $0.upperBound <= first }[...]
            while first + UInt64(size) <= range.upperBound {
                obstacles = obstacles.drop { $0.upperBound <= first }
                guard let next = obstacles.first, next.lowerBound < first + UInt64(size) else { return first }
                first = Self.aligned(next.upperBound)
            }
        }
        return nil
    }

    private static func aligned(_ id: UInt64) -> UInt64 { (id + alignment - 1) / alignment * alignment }

    // Files -----------------------------------------------------------------------------------------------------------

    /// Lines of subuid(5): `name:first:count`; others are passed over, as the tools that own the file do.
    private static func entries(_ text: String) -> [(name: String, range: Range<UInt64>)] {
        text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3, let first = UInt32(fields[1]), let count = UInt32(fields[2]), count > 0 else {
                return nil
            }
            return (fields[0], UInt64(first)..<UInt64(first) + UInt64(count))
        }
    }

    // Sets of ids -----------------------------------------------------------------------------------------------------

    private static func normal(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
        ranges.sorted { $0.lowerBound < $1.lowerBound }.reduce(into: []) { result, range in
            guard let last = result.last, range.lowerBound <= last.upperBound else { return result.append(range) }
            result[result.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
        }
    }

    private static func intersection(_ left: [Range<UInt64>], _ right: [Range<UInt64>]) -> [Range<UInt64>] {
        normal(left).flatMap { one in normal(right).map { one.clamped(to: $0) }.filter { !$0.isEmpty } }
    }

    private static func subtract(_ taken: [Range<UInt64>], from whole: Range<UInt64>) -> [Range<UInt64>] {
        var rest: [Range<UInt64>] = []
        var start = whole.lowerBound
        for range in taken {
            let clamped = range.clamped(to: whole)
            if clamped.isEmpty { continue }
            if start < clamped.lowerBound { rest.append(start..<clamped.lowerBound) }
            start = max(start, clamped.upperBound)
        }
        if start < whole.upperBound { rest.append(start..<whole.upperBound) }
        return rest
    }
}

extension IDRange {
    /// The range that `first:count` spells.
    ///
    /// - Throws: `.invalidArgument` that says what would be right.
    public init(parsing text: String) throws {
        let fields = text.split(separator: ":", omittingEmptySubsequences: false)
        guard fields.count == 2, let first = UInt32(fields[0]), let size = UInt32(fields[1]), size > 0 else {
            throw EngineError.invalid("'\(text)' is no range of ids: use FIRST:COUNT, such as 524288:65536000")
        }
        self.init(first: first, size: size)
        guard first >= UInt32(IDPool.alignment), end <= 1 << 31 else {
            throw EngineError.invalid(
                "range of ids '\(text)' is not between \(IDPool.alignment) and \(1 << 31): below are the host's own ids, above are "
                    + "those that file systems read as negative"
            )
        }
    }
}

extension IDPool {
    /// The ranges as `first:count`.
    package var texts: [String] { ranges.map { "\($0.lowerBound):\($0.count)" } }

    package var text: String { texts.isEmpty ? "(empty)" : texts.joined(separator: ", ") }
}
