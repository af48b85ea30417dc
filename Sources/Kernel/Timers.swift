internal import CKernel
internal import Glibc

/// A timer as a readable descriptor (`timerfd_create(2)`, monotonic clock).
public struct TimerFd: ~Copyable, DescriptorHolder, Sendable {
    private let descriptor: Descriptor

    /// The number, readable when the timer has fired.
    public var raw: RawDescriptor { descriptor.raw }

    /// Makes a timer that is off, non-blocking.
    ///
    /// - Throws: `KernelError`.
    public init() throws(KernelError) {
        descriptor = Descriptor(adopting: try system("make timer") { timerfd_create(1, O_CLOEXEC | O_NONBLOCK) })
    }

    /// Starts the timer anew.
    ///
    /// - Parameters:
    ///   - delay: when it fires first; zero fires at once, negative counts as zero.
    ///   - interval: time between further firings, nil for only once.
    /// - Throws: `KernelError`.
    public func start(after delay: Duration, every interval: Duration? = nil) throws(KernelError) {
        // An all-zero first time would switch the timer off.
        var setting = itimerspec()
        setting.it_value = max(delay, .nanoseconds(1)).timespec
        setting.it_interval = (interval ?? .zero).timespec
        try system("start timer") { unsafe timerfd_settime(raw, 0, &setting, nil) }
    }

    /// Switches the timer off.
    ///
    /// - Throws: `KernelError`.
    public func stop() throws(KernelError) {
        var setting = itimerspec()
        try system("stop timer") { unsafe timerfd_settime(raw, 0, &setting, nil) }
    }

    /// How often the timer has fired since the last call; 0 when not.
    public func drain() -> UInt64 {
        var value: UInt64 = 0
        let count = unsafe Glibc.read(raw, &value, 8)
        return count == 8 ? value : 0
    }
}
