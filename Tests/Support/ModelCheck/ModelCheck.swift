// ModelCheck: every order of events that can happen, up to a depth, with what must never be the case.
//
// A model is a value: the code under test, itself a value without I/O, and the world around it. All of its states that can be
// reached are visited once each, nearest first, so a violation comes with a shortest way to it.

/// A system under test together with the world that feeds it.
package protocol Model: Hashable {
    /// What can happen.
    associatedtype Event: CustomStringConvertible

    /// What can happen next.
    var possible: [Event] { get }

    /// Lets it happen.
    ///
    /// - Returns: what that contradicts; nil when all is well.
    mutating func happen(_ event: Event) -> String?

    /// What the state contradicts by itself.
    var violation: String? { get }
}

/// What a search came to.
package struct Exploration: CustomStringConvertible {
    /// Different states.
    package fileprivate(set) var states = 0
    /// Events that happened in them.
    package fileprivate(set) var transitions = 0
    /// Events from the beginning to the farthest state.
    package fileprivate(set) var depth = 0
    /// Whether states beyond the depth exist that were not looked at.
    package fileprivate(set) var isCut = false
    /// What was violated, and the events that led there.
    package fileprivate(set) var violation: (what: String, way: [String])?

    package var description: String {
        let size = "\(states) states, \(transitions) transitions, depth \(depth)\(isCut ? " (cut there)" : " (all)")"
        guard let violation else { return size }
        return "\(violation.what)\n  after: \(violation.way.joined(separator: ", "))\n  \(size)"
    }
}

/// Visits every state that `model` can reach by at most `depth` events; ends at the first violation.
package func explore<M: Model>(_ model: M, depth: Int) -> Exploration {
    var result = Exploration()
    var seen: Set<M> = [model]
    // Where each state came from, to tell the way.
    var origins: [(parent: Int, event: String)] = [(-1, "")]
    var level = [(model, 0)]
    result.states = 1
    while !level.isEmpty, result.depth < depth {
        var next: [(M, Int)] = []
        for (state, index) in level {
            for event in state.possible {
                var successor = state
                let problem = successor.happen(event) ?? successor.violation
                result.transitions += 1
                if let problem {
                    result.violation = (problem, way(to: index, origins) + [event.description])
                    return result
                }
                guard seen.insert(successor).inserted else { continue }
                origins.append((index, event.description))
                next.append((successor, origins.count - 1))
            }
        }
        result.states += next.count
        if !next.isEmpty { result.depth += 1 }
        level = next
    }
    result.isCut = !level.isEmpty
    return result
}

private func way(to index: Int, _ origins: [(parent: Int, event: String)]) -> [String] {
    var events: [String] = []
    var at = index
    while at > 0 {
        events.append(origins[at].event)
        at = origins[at].parent
    }
    return events.reversed()
}
