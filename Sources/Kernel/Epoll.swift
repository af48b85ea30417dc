internal import CKernel
internal import Glibc

/// An epoll instance: waits for many descriptors at once.
public struct Epoll: ~Copyable, DescriptorHolder, Sendable {
    /// What became ready.
    public struct Event: Hashable, Sendable {
        /// The value that was given when the descriptor was added.
        public var token: UInt64
        /// What it is ready for.
        public var readiness: Readiness

        /// Makes an event; for tests of what handles events.
        public init(token: UInt64, readiness: Readiness) {
            self.token = token
            self.readiness = readiness
        }
    }

    private let descriptor: Descriptor

    /// The number of the epoll descriptor itself.
    public var raw: RawDescriptor { descriptor.raw }

    /// Makes an instance.
    ///
    /// - Throws: `KernelError`, `resourceExhausted` when descriptors ran out.
    public init() throws(KernelError) {
        descriptor = Descriptor(adopting: try system("make epoll") { epoll_create1(Int32(O_CLOEXEC)) })
    }

    /// Starts to watch a descriptor.
    ///
    /// - Parameters:
    ///   - target: what to watch; remove it before closing if a duplicate stays open elsewhere.
    ///   - events: what to wait for.
    ///   - token: what events shall carry.
    /// - Throws: `KernelError`; errno is `.exists` when it is watched already, `.notPermitted` for regular files.
    public func add(_ target: RawDescriptor, _ events: Readiness, token: UInt64) throws(KernelError) {
        try control(EPOLL_CTL_ADD, target, events, token)
    }

    /// Changes what is waited for.
    ///
    /// - Parameters:
    ///   - target: a watched descriptor.
    ///   - events: what to wait for now; empty leaves only hang-up and error.
    ///   - token: what events shall carry.
    /// - Throws: `KernelError`.
    public func modify(_ target: RawDescriptor, _ events: Readiness, token: UInt64) throws(KernelError) {
        try control(EPOLL_CTL_MOD, target, events, token)
    }

    /// Stops watching.
    ///
    /// - Parameter target: a watched descriptor.
    /// - Throws: `KernelError`.
    public func remove(_ target: RawDescriptor) throws(KernelError) {
        try control(EPOLL_CTL_DEL, target, [], 0)
    }

    private func control(
        _ action: Int32,
        _ target: RawDescriptor,
        _ events: Readiness,
        _ token: UInt64
    ) throws(KernelError) {
        // Sound: the union in epoll_event is only used as the 64-bit number.
        var event = unsafe epoll_event()
        unsafe event.events = events.rawValue
        unsafe event.data.u64 = token
        try system("change epoll") { unsafe epoll_ctl(raw, action, target, &event) }
    }

    /// Waits for events.
    ///
    /// - Parameters:
    ///   - timeout: how long, nil for ever; zero asks without waiting.
    ///   - limit: the most events to return at once.
    ///   - events: replaced by what is ready; empty when the time was up or a signal came.
    /// - Throws: `KernelError`.
    public func wait(timeout: Duration?, limit: Int = 32, into events: inout [Event]) throws(KernelError) {
        events.removeAll(keepingCapacity: true)
        // Sound: the kernel fills exactly as many entries as it returns, and only those are read.
        let failure: Errno? = unsafe withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: limit) { buffer in
            let count = unsafe epoll_wait(raw, buffer.baseAddress, Int32(limit), timeout?.wholeMilliseconds ?? -1)
            guard count >= 0 else { return .current }
            for index in 0..<Int(count) {
                let event = unsafe buffer[index]
                unsafe events.append(Event(token: event.data.u64, readiness: Readiness(rawValue: event.events)))
            }
            return nil
        }
        if let failure, failure != .interrupted { throw .failed("wait for events", failure) }
    }
}

/// A counter that can be waited for (`eventfd(2)`).
public struct EventFd: ~Copyable, DescriptorHolder, Sendable {
    private let descriptor: Descriptor

    /// The number, readable when the counter is not zero.
    public var raw: RawDescriptor { descriptor.raw }

    /// Makes a non-blocking counter.
    ///
    /// - Throws: `KernelError`.
    public init() throws(KernelError) {
        descriptor = Descriptor(adopting: try system("make eventfd") { eventfd(0, O_CLOEXEC | O_NONBLOCK) })
    }

    /// Adds one and wakes whoever waits; safe from any thread.
    public func signal() {
        // The only failure is a counter at its maximum, and then the waiter is awake anyway.
        _ = eventfd_write(raw, 1)
    }

    /// Reads the counter and sets it to zero.
    ///
    /// - Returns: what it was.
    public func drain() -> UInt64 {
        var value: eventfd_t = 0
        return unsafe eventfd_read(raw, &value) == 0 ? value : 0
    }
}
