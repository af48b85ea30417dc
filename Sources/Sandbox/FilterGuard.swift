public import Kernel

/// Who answers the questions of a container's filters, when that is the caller of `Sandbox` himself.
///
/// While a call of `Sandbox` waits for a process, nobody else of the caller's one thread can answer: the call asks this object to. At every
/// other time the caller serves the listeners by himself.
public protocol FilterGuard: AnyObject {
    /// The listeners that there are, each readable when a question waits.
    var listeners: [RawDescriptor] { get }

    /// A process has loaded its filter and goes on when this returns.
    ///
    /// - Parameters:
    ///   - listener: The new listener, which is among `listeners` from now on.
    ///   - setUp: The process, when it is the set-up of an additional one: nobody inside can see it or make it say anything, and what it
    ///     asks about is to be made. Nil when it is to become a program of the container.
    func took(_ listener: SharedDescriptor, setUp: Int32?)

    /// A question waits, or no process has the filter any more.
    ///
    /// - Parameters:
    ///   - listener: One of `listeners`.
    ///   - hasEnded: True when nobody has the filter any more; the listener is not among `listeners` then when this returns.
    func answer(_ listener: RawDescriptor, hasEnded: Bool)
}

extension HandshakeEnd {
    /// Waits for the next message, and has questions answered meanwhile.
    ///
    /// - Parameters:
    ///   - deadline: Longest time to wait.
    ///   - guardian: Who answers; nil for nobody.
    /// - Returns: As `receive(within:)`.
    /// - Throws: As `receive(within:)`.
    func receive(
        within deadline: Duration,
        answering guardian: (any FilterGuard)?
    ) throws(SandboxError) -> HandshakeAnswer? {
        guard let guardian else { return try receive(within: deadline) }
        let begin = Clock.monotonic.now
        while true {
            let rest = deadline - (Clock.monotonic.now - begin)
            guard rest > .zero else { return try receive(within: .zero) }
            let ready = try step(.handshake) { () throws(KernelError) in
                var polled = PollSet()
                polled.add(socket, .readable)
                for listener in guardian.listeners { polled.add(listener, .readable) }
                return try polled.wait(timeout: rest)
            }
            if ready.contains(where: { $0.descriptor == socket }) { return try receive(within: .zero) }
            for (listener, events) in ready {
                guardian.answer(listener, hasEnded: !events.contains(.readable))
            }
        }
    }
}
