import Kernel

/// Numbers and times as people read them.
package enum Human {
    /// Bytes in powers of 1000: `4.51MB`.
    package static func size(_ bytes: Int) -> String {
        scaled(Double(bytes), 1000, ["B", "kB", "MB", "GB", "TB", "PB"])
    }

    /// Bytes in powers of 1024: `4.3MiB`.
    package static func memory(_ bytes: UInt64) -> String {
        scaled(Double(bytes), 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
    }

    private static func scaled(_ number: Double, _ base: Double, _ units: [String]) -> String {
        var value = number
        var place = 0
        while value >= base, place < units.count - 1 {
            value /= base
            place += 1
        }
        return significant(value) + units[place]
    }

    /// Three digits, without zeros at the end.
    private static func significant(_ value: Double) -> String {
        let decimals = value >= 100 ? 0 : value >= 10 ? 1 : 2
        let text = fixed(value, decimals)
        guard text.contains(".") else { return text }
        var kept = text[...]
        while kept.last == "0" { kept = kept.dropLast() }
        if kept.last == "." { kept = kept.dropLast() }
        return String(kept)
    }

    /// `value` with a fixed number of decimals.
    package static func fixed(_ value: Double, _ decimals: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "--" }
        var factor = 1
        for _ in 0..<decimals { factor *= 10 }
        let scaled = Int((abs(value) * Double(factor)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % factor)
        return "\(sign)\(scaled / factor)." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }

    /// How long something takes: `5 minutes`.
    package static func duration(seconds: Int) -> String {
        let minutes = seconds / 60
        let hours = (minutes + 30) / 60
        switch seconds {
        case ..<1: return "Less than a second"
        case 1: return "1 second"
        case ..<60: return "\(seconds) seconds"
        case ..<120: return "About a minute"
        case ..<(46 * 60): return "\(minutes) minutes"
        case ..<(90 * 60): return "About an hour"
        case ..<(48 * 3600): return "\(hours) hours"
        case ..<(14 * 86400): return "\(hours / 24) days"
        case ..<(60 * 86400): return "\(hours / 24 / 7) weeks"
        case ..<(730 * 86400): return "\(hours / 24 / 30) months"
        default: return "\(hours / 24 / 365) years"
        }
    }

    /// How long ago a moment was.
    package static func ago(_ seconds: Int) -> String {
        duration(seconds: Int(Timestamp.now.seconds) - seconds) + " ago"
    }

    /// The first twelve digits of an id.
    package static func short(_ id: String) -> String {
        let digits = id.hasPrefix("sha256:") ? id.dropFirst(7) : id[...]
        return String(digits.prefix(12))
    }

    /// `text` cut to `width` characters, the last of them an ellipsis.
    package static func cut(_ text: String, to width: Int) -> String {
        text.count <= width ? text : text.prefix(width - 1) + "…"
    }
}
