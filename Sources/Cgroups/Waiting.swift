internal import Kernel

/// Bounded polling, for what cgroup v1 tells nobody.
struct Waiting {
    private let deadline: Timestamp
    private var pause = Duration.microseconds(200)

    init(_ timeout: Duration) { deadline = Clock.monotonic.now + timeout }

    /// Pauses a little longer each time, up to 20 ms.
    ///
    /// - Returns: false when the time is up.
    mutating func again() -> Bool {
        guard Clock.monotonic.now < deadline else { return false }
        Clock.sleep(pause)
        pause = min(pause * 2, .milliseconds(20))
        return true
    }
}
