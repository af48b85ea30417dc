extension LogConfiguration {
    /// Drivers by Docker's names that are mapped to Berth's own files; `none` keeps nothing.
    package static let drivers: Set<String> = ["json-file", "local", "none"]

    package mutating func parseOptions() throws {
        guard Self.drivers.contains(driver) else {
            throw EngineError.invalid("logger: no log driver named '\(driver)' is registered")
        }
        enabled = driver != "none"
        if driver == "local" { (maxSizeInBytes, maxFiles) = (20 << 20, 5) }
        for (key, value) in options {
            switch key {
            case "max-size": maxSizeInBytes = try Self.size(value)
            case "max-file":
                guard let count = Int(value), count >= 1 else {
                    throw EngineError.invalid("invalid value for 'max-file': \(value)")
                }
                maxFiles = count
            case "mode", "max-buffer-size", "labels", "labels-regex", "env", "env-regex", "tag", "compress": break
            default:
                throw EngineError.invalid("unknown log opt '\(key)' for \(driver) log driver")
            }
        }
        if maxFiles > 1 && maxSizeInBytes == 0 && driver == "json-file" {
            throw EngineError.invalid("max-file option can only be used with max-size")
        }
    }

    /// `10m`, `1g`, `500k`, `4096`: bytes in powers of 1024; -1 is no limit.
    private static func size(_ text: String) throws -> Int64 {
        if text == "-1" { return 0 }
        let lower = text.lowercased()
        let digits = lower.prefix { $0.isASCII && $0.isNumber }
        let shift: Int64? =
            switch lower.dropFirst(digits.count) {
            case "", "b": 0
            case "k", "kb", "kib": 10
            case "m", "mb", "mib": 20
            case "g", "gb", "gib": 30
            default: nil
            }
        guard let shift, let number = Int64(digits), number > 0, number <= Int64.max >> shift else {
            throw EngineError.invalid("invalid value for 'max-size': \(text)")
        }
        return number << shift
    }
}
