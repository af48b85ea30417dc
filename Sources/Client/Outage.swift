import Kernel

/// A time in which the daemon does not answer, as a command lives through it: it tries again until its patience ends.
public struct Outage {
    /// An outage shorter than this is not worth a word.
    public static let quiet = Duration.seconds(1)

    private let patience: Duration
    private let note: @Sendable () -> Void
    private var since: Timestamp?
    private var isNoted = false
    private var pause = Duration.milliseconds(2)

    /// An outage that has not begun; `note` is called once, when it has lasted longer than ``quiet``.
    public init(patience: Duration, note: @escaping @Sendable () -> Void) {
        self.patience = patience
        self.note = note
    }

    /// Whether it has begun.
    public var hasBegun: Bool { since != nil }

    /// Waits a little before the next attempt, longer each time.
    ///
    /// - Returns: False when the patience is over, at once.
    public mutating func wait() -> Bool {
        let now = Clock.monotonic.now
        let began = since ?? now
        since = began
        guard now - began < patience else { return false }
        if now - began >= Self.quiet, !isNoted {
            isNoted = true
            note()
        }
        Clock.sleep(pause)
        pause = min(pause * 2, .milliseconds(200))
        return true
    }

    /// It is over.
    public mutating func end() {
        since = nil
        isNoted = false
        pause = .milliseconds(2)
    }
}
