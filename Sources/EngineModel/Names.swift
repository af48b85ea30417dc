/// Container names: Docker's rule, and the made-up ones.
package enum Names {
    /// `/web` and `web` are one name.
    package static func plain(_ name: String) -> String {
        name.hasPrefix("/") ? String(name.dropFirst()) : name
    }

    /// The plain name, if it is one: a letter or digit, then at least one letter, digit, `_`, `.` or `-`.
    package static func validated(_ name: String) throws -> String {
        let plain = plain(name)
        let valid =
            plain.utf8.count >= 2 && plain.utf8.count <= 255
            && plain.utf8.enumerated().allSatisfy { index, byte in
                isAlphanumeric(byte) || (index > 0 && (byte == 0x5f || byte == 0x2e || byte == 0x2d))
            }
        guard valid else {
            throw EngineError.invalid(
                "Invalid container name (\(name)), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
            )
        }
        return plain
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }

    private static let qualities = [
        "able", "brave", "bright", "calm", "clever", "crisp", "eager", "fair", "fleet", "fresh", "gentle", "glad",
        "grand",
        "keen", "kind", "lively", "loyal", "lucid", "mellow", "merry", "neat", "nimble", "noble", "patient", "plain",
        "proud", "quick", "quiet", "ready", "robust", "serene", "sharp", "smooth", "solid", "sound", "spry", "stable",
        "steady", "sturdy", "swift", "tidy", "trim", "true", "upright", "vivid", "warm", "wise", "witty",
    ]
    private static let vessels = [
        "barge", "bark", "brig", "canoe", "catboat", "clipper", "cog", "coracle", "corvette", "cutter", "dhow",
        "dinghy",
        "dory", "felucca", "ferry", "frigate", "galleon", "galley", "gig", "hooker", "hoy", "junk", "kayak", "ketch",
        "knarr", "launch", "lighter", "lugger", "packet", "pinnace", "pram", "punt", "sampan", "schooner", "scow",
        "shallop", "skiff", "sloop", "smack", "tartane", "tender", "trawler", "trimaran", "tug", "whaler", "wherry",
        "xebec", "yawl",
    ]

    /// A name like `steady_sloop`; with a number when `attempt` is not the first.
    package static func made(attempt: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        let quality = qualities.randomElement(using: &generator) ?? "plain"
        let vessel = vessels.randomElement(using: &generator) ?? "barge"
        return attempt == 0 ? "\(quality)_\(vessel)" : "\(quality)_\(vessel)\(UInt16.random(in: 0...9999))"
    }
}

/// Label filters: `key` or `key=value`.
package enum Labels {
    package static func match(_ filter: String, _ labels: [String: String]) -> Bool {
        guard let equals = filter.firstIndex(of: "=") else { return labels[filter] != nil }
        return labels[String(filter[..<equals])] == String(filter[filter.index(after: equals)...])
    }
}
