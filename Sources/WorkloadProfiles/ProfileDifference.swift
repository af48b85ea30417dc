internal import Seccomp

/// What two filters let through, beside each other.
package struct ProfileDifference: Sendable, Equatable {
    /// Calls that the first and the other let through at all.
    package var allowed: Int, otherAllowed: Int
    /// Calls that the first has and the other has not.
    package var added: [String]
    /// Calls that the other has and the first has not.
    package var removed: [String]
    /// Calls of both that are open wider in the first; with their classes.
    package var widened: [String]
    /// Calls of both that are open less in the first.
    package var narrowed: [String]

    /// Compares.
    package init(_ first: AllowedCalls, _ other: AllowedCalls) {
        allowed = first.calls.count
        otherAllowed = other.calls.count
        added = first.calls.keys.filter { other.calls[$0] == nil }.sorted()
        removed = other.calls.keys.filter { first.calls[$0] == nil }.sorted()
        var (widened, narrowed): ([String], [String]) = ([], [])
        for (name, mine) in first.calls.sorted(by: { $0.key < $1.key }) {
            guard let theirs = other.calls[name], mine != theirs else { continue }
            let (more, less) = (Self.beyond(mine, theirs, name), Self.beyond(theirs, mine, name))
            if let more { widened.append(more.isEmpty ? name : "\(name):\(more)") }
            if let less { narrowed.append(less.isEmpty ? name : "\(name):\(less)") }
        }
        (self.widened, self.narrowed) = (widened, narrowed)
    }

    /// What the first has beyond the second, as classes where they can be named; nil for nothing.
    private static func beyond(_ a: AllowedCalls.Openness, _ b: AllowedCalls.Openness, _ name: String) -> String? {
        switch (a, b) {
        case (.classes(let mine), .classes(let theirs)):
            let more = mine.subtracting(theirs).sorted()
            guard !more.isEmpty, let kind = ArgumentClass(call: name) else { return nil }
            return more.map(kind.name).joined(separator: ",")
        case (.whole, _), (.conditional, .classes): return ""
        default: return nil
        }
    }
}
