package import EngineModel

/// Docker's container filters (docker-api 5.5): every key must match, one value of a key is enough; all labels must match.
package struct ContainerFilter: Sendable {
    /// Keys that are understood.
    static let keys: Set<String> = [
        "ancestor", "before", "expose", "exited", "health", "id", "isolation", "is-task", "label", "name", "network",
        "publish", "since", "status", "volume",
    ]

    private let filters: Filters
    private let names: [NamePattern]

    /// - Throws: `.invalidArgument` for an unknown key or a value that cannot be.
    package init(_ filters: Filters) throws {
        for key in filters.keys where !Self.keys.contains(key) { throw EngineError.invalid("invalid filter '\(key)'") }
        for status in filters["status"] ?? [] where ContainerState.Status(rawValue: status) == nil {
            throw EngineError.invalid("invalid filter 'status=\(status)'")
        }
        for health in filters["health"] ?? []
        where health != "none" && HealthSnapshot.Status(rawValue: health) == nil {
            throw EngineError.invalid("invalid filter 'health=\(health)'")
        }
        for code in filters["exited"] ?? [] where Int(code) == nil {
            throw EngineError.invalid("invalid filter 'exited=\(code)'")
        }
        self.filters = filters
        names = try (filters["name"] ?? []).map(NamePattern.init)
    }

    /// Whether a filter looks at containers that do not run.
    package var mentionsStatus: Bool { filters["status"] != nil || filters["exited"] != nil }

    /// References of `before` and `since`, to be resolved by the caller.
    package var before: [String] { filters["before"] ?? [] }
    package var since: [String] { filters["since"] ?? [] }

    package func matches(_ container: ContainerSnapshot) -> Bool {
        filters.allSatisfy { key, values in
            if values.isEmpty { return true }
            if key == "label" { return values.allSatisfy { Labels.match($0, container.resolved.labels) } }
            if key == "name" { return names.contains { $0.matches(container.name) } }
            return values.contains { matches(container, key, $0) }
        }
    }

    private func matches(_ container: ContainerSnapshot, _ key: String, _ value: String) -> Bool {
        switch key {
        case "id": container.id.description.hasPrefix(value)
        case "status": container.state.status.rawValue == value
        case "exited": [.exited, .dead].contains(container.state.status) && String(container.state.exitCode) == value
        case "ancestor": Self.isImage(container, value)
        case "volume": container.mounts.contains { $0.name == value || $0.destination == value || $0.source == value }
        case "network": container.configuration.network.name == value
        case "health": (container.state.health?.status.rawValue ?? "none") == value
        case "expose": container.resolved.exposedPorts.contains { $0 == value || $0 == value + "/tcp" }
        case "isolation", "is-task": value == "false" || value == "default"
        case "before", "since": true  // by the caller, who knows the other containers
        default: false
        }
    }

    private static func isImage(_ container: ContainerSnapshot, _ value: String) -> Bool {
        let given = container.configuration.image
        let plain = value.hasPrefix("sha256:") ? String(value.dropFirst(7)) : value
        return given == value || given == value + ":latest" || given + ":latest" == value
            || (plain.utf8.count >= 4 && HexIdentifier.isHex(plain) && container.imageID.hasPrefix("sha256:" + plain))
    }
}

/// The `name` filter: a regular expression in Docker; here its literal part with the anchors `^` and `$` and an optional `/`.
struct NamePattern: Sendable {
    private let text: String
    private let atStart: Bool
    private let atEnd: Bool

    init(_ pattern: String) throws {
        var text = pattern
        atStart = text.hasPrefix("^")
        if atStart { text.removeFirst() }
        atEnd = text.hasSuffix("$")
        if atEnd { text.removeLast() }
        if text.hasPrefix("/") { text.removeFirst() }
        self.text = text
    }

    func matches(_ name: String) -> Bool {
        // A pattern that is more than a literal is an expression over `/name` too.
        if text.contains(where: { "\\[](){}*+?|.".contains($0) }), let expression = try? Regex(text) {
            guard let match = name.firstMatch(of: expression) else { return false }
            return (!atStart || match.range.lowerBound == name.startIndex)
                && (!atEnd || match.range.upperBound == name.endIndex)
        }
        return switch (atStart, atEnd) {
        case (true, true): name == text
        case (true, false): name.hasPrefix(text)
        case (false, true): name.hasSuffix(text)
        case (false, false): text.isEmpty || name.contains(text)
        }
    }
}
