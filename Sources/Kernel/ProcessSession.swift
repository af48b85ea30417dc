/// A program with all that it has started: its session, by which everything of it is ended that has not left on purpose.
///
/// A process group is not enough for that: programs give their helpers groups of their own, and stay in the session.
public struct ProcessSession: Hashable, Sendable {
    /// The process that has begun it, which gave it its number.
    public let leader: Int32
    /// When that started, which with the number names it for ever; nil for one that was gone when this was made.
    private let startTime: UInt64?

    /// The session that a child leads.
    ///
    /// - Parameter pid: a child that was started with a session of its own; call it at once, before its number can be another's.
    public init(of pid: Int32) {
        (leader, startTime) = (pid, try? ProcessFacts.startTime(of: pid))
    }

    /// Kills everybody in the session, and below somebody in it, until nobody is left or the time is over.
    ///
    /// Blocks. Zombies are nobody: who their parent is reaps them.
    ///
    /// - Parameter time: how long to wait for what does not go, such as a process in an uninterruptible wait.
    /// - Returns: who is left.
    @discardableResult
    public func kill(within time: Duration) -> [ProcessFacts] {
        let end = Clock.monotonic.now + time
        // Those that were seen in it: their children belong to it wherever they went.
        var known: [Int32: UInt64] = [:]
        known[leader] = startTime
        while true {
            let living = members(&known)
            for process in living {
                // Opened before it is looked at again: a number that was used anew names nobody of this session.
                guard let pidfd = try? Pidfd(pid: process.pid),
                    (try? ProcessFacts.startTime(of: process.pid)) == process.startTime
                else { continue }
                _ = try? pidfd.send(.kill)
            }
            let rest = end - Clock.monotonic.now
            guard let first = living.first, rest > .zero else { return living }
            // Wait for one of them, a moment at most: each may be the one that does not go.
            _ = try? Pidfd(pid: first.pid).poll(for: .readable, timeout: min(rest, .milliseconds(20)))
        }
    }

    private func members(_ known: inout [Int32: UInt64]) -> [ProcessFacts] {
        // A process that ends meanwhile is not looked for.
        let entries = (try? File.open("/proc", .directory).readDirectory()) ?? []
        let all = entries.compactMap { Int32($0.name).flatMap { try? ProcessFacts($0) } }
        let starts = Dictionary(all.map { ($0.pid, $0.startTime) }) { first, _ in first }
        // The number of a session is free again when nobody of it is left.
        let isOurs = starts[leader].map { $0 == startTime } ?? true
        var (found, rest): ([ProcessFacts], [ProcessFacts]) = ([], all)
        while true {
            let more = rest.filter { process in
                isOurs && process.session == leader || known[process.pid] == process.startTime
                    || known[process.parent].map { $0 == starts[process.parent] } == true
            }
            guard !more.isEmpty else { break }
            for process in more { known[process.pid] = process.startTime }
            rest.removeAll { known[$0.pid] == $0.startTime }
            found += more
        }
        return found.filter { !"ZX".contains($0.state) }
    }
}
