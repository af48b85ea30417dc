import DockerTypes
package import Kernel

extension GoTime {
    /// The time as Docker writes it; nil is "never".
    init(_ time: Timestamp?) {
        self = time.map { GoTime($0.description) } ?? .never
    }
}

extension Timestamp {
    /// Reads a time as Docker's clients send it: seconds since 1970 with an optional fraction, or RFC 3339.
    package init?(dockerText text: String) {
        if let time = Timestamp(text) {
            self = time
            return
        }
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let seconds = Int64(parts[0]), (-62_135_596_800...253_402_300_799).contains(seconds) else { return nil }
        var nanoseconds: UInt32 = 0
        if parts.count == 2 {
            let digits = parts[1]
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            let padded = (digits + "000000000").prefix(9)
            nanoseconds = UInt32(padded) ?? 0
        }
        self.init(seconds: seconds, nanoseconds: nanoseconds)
    }
}

/// Durations as people read them in lists.
package enum HumanDuration {
    /// A duration in whole units, rounded down, with the vocabulary of Docker's lists.
    package static func text(seconds: Int64) -> String {
        let minutes = seconds / 60
        let hours = (seconds + 1800) / 3600
        switch seconds {
        case ..<1: return "Less than a second"
        case 1: return "1 second"
        case ..<60: return "\(seconds) seconds"
        default: break
        }
        if minutes == 1 { return "About a minute" }
        if minutes < 60 { return "\(minutes) minutes" }
        if hours == 1 { return "About an hour" }
        if hours < 48 { return "\(hours) hours" }
        if hours < 24 * 7 * 2 { return "\(hours / 24) days" }
        if hours < 24 * 30 * 2 { return "\(hours / 24 / 7) weeks" }
        if hours < 24 * 365 * 2 { return "\(hours / 24 / 30) months" }
        return "\(seconds / (365 * 24 * 3600)) years"
    }
}
