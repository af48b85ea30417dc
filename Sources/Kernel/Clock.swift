internal import Glibc

/// A clock of the kernel.
public struct Clock: Hashable, Sendable {
    let id: Int32

    /// Time since boot without sleep; never set back.
    public static let monotonic = Clock(id: 1)
    /// Time since boot with sleep; the clock of process start times.
    public static let boot = Clock(id: 7)
    /// The wall clock; it can jump.
    public static let realTime = Clock(id: 0)

    /// What the clock shows.
    public var now: Timestamp {
        var value = timespec()
        // Cannot fail: the clock is one of three that always exist.
        _ = unsafe clock_gettime(id, &value)
        return Timestamp(seconds: Int64(value.tv_sec), nanoseconds: UInt32(value.tv_nsec))
    }
}

extension Duration {
    /// Rounded up, never above what poll(2) takes.
    var wholeMilliseconds: Int32 {
        let (seconds, attoseconds) = components
        let parts = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return Int32(
            clamping: seconds.multipliedReportingOverflow(by: 1000).overflow ? Int64.max : seconds * 1000 + parts
        )
    }

    var timespec: Glibc.timespec {
        Glibc.timespec(tv_sec: Int(components.seconds), tv_nsec: Int(components.attoseconds / 1_000_000_000))
    }
}

extension Clock {
    /// Stops the calling thread for at most a time; only for bounded waits where the kernel offers nothing to wait for.
    ///
    /// - Parameter duration: how long.
    public static func sleep(_ duration: Duration) {
        var time = duration.timespec
        // A signal ends the pause early, which every caller's loop allows for.
        _ = unsafe nanosleep(&time, nil)
    }
}
