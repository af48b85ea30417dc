package import Kernel

/// How many events of one shim are taken in, and how fast: each is a write to the database that all share.
///
/// A value: no clock inside. A shim keeps what is not taken yet, so nothing is lost: a flood is late, and nobody else's news are.
package struct EventBudget: Sendable, Equatable {
    /// So many are taken as fast as they come.
    package static let burst = 10_000
    /// And after that so many in a second, which is a hundred sessions of `exec`.
    package static let perSecond = 300

    private var left = Double(burst)
    private var seen: Timestamp?

    /// Nothing was taken lately.
    package init() {}

    /// Counts events that were taken.
    ///
    /// - Returns: how long to wait before more are asked for; nil while there is no need.
    package mutating func took(_ count: Int, at now: Timestamp) -> Duration? {
        if let seen { left = min(Double(Self.burst), left + (now - seen) / .seconds(1) * Double(Self.perSecond)) }
        seen = now
        left -= Double(count)
        return left >= 0 ? nil : .seconds(-left / Double(Self.perSecond))
    }
}
