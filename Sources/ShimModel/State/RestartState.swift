import Kernel
package import ShimProtocol

/// When a container that has ended is started again.
package enum RestartRule: Sendable, Hashable {
    case never
    case always
    /// As `always`: the difference is the manager's, at its own start.
    case unlessStopped
    /// Only after another end than with code 0; a maximum of 0 is without limit.
    case onFailure(maximum: UInt32)

    /// The rule of a request; absent is never.
    ///
    /// - Throws: `invalidArgument` for a name that is none of the four.
    package init(_ policy: ShimRestartPolicy?) throws(RPCError) {
        switch policy?.name ?? "no" {
        case "", "no": self = .never
        case "always": self = .always
        case "unless-stopped": self = .unlessStopped
        case "on-failure": self = .onFailure(maximum: policy?.maximumRetries ?? 0)
        case let name:
            throw .invalidArgument(
                "restart policy '\(name)': one of no, always, unless-stopped and on-failure is expected"
            )
        }
    }
}

/// A restart that will take place.
package struct PlannedRestart: Sendable, Hashable {
    /// How often the container was started again when it has taken place.
    package var count: UInt32
    package var delay: Duration

    package init(count: UInt32, delay: Duration) {
        self.count = count
        self.delay = delay
    }
}

/// What the restart policy knows, as a value: it decides at each end, and the owner of the clock does the rest.
///
/// The rules are Docker's: the delay doubles from 100 ms to a minute, a run of 10 seconds starts it over, and neither changes
/// the count, which a policy's maximum is compared with.
package struct RestartState: Sendable, Hashable {
    /// Where the policy is.
    package enum Phase: Sendable, Hashable {
        /// Not to be asked: the container was never run by its manager.
        case unarmed
        /// The container runs, or has ended for good.
        case settled
        /// The container has ended and will be started after the delay.
        case waiting(PlannedRestart)
        /// The container is being started again.
        case starting
    }

    static let firstDelay = Duration.milliseconds(100)
    /// A run of this length starts the delays over.
    package static let steadyRun = Duration.seconds(10)

    /// How long a restart waits for what it lacks.
    static let postponement = Duration.seconds(1)

    package var rule: RestartRule
    /// Where the doubling of the delay ends.
    package var longestDelay = Duration.seconds(60)
    /// The user has stopped the container: nothing starts it again but a new creation.
    package private(set) var isStopped = false
    /// Restarts so far.
    package private(set) var count: UInt32
    package private(set) var phase = Phase.unarmed
    /// The delay of the next restart.
    package private(set) var nextDelay = RestartState.firstDelay

    package init(rule: RestartRule = .never, count: UInt32 = 0) {
        self.rule = rule
        self.count = count
    }

    /// The state of a container that is created by a request.
    ///
    /// - Throws: `invalidArgument` for a policy that is none.
    package init(_ options: ShimCreateOptions) throws(RPCError) {
        self.init(count: options.restartCount)
        if options.hasRestart { try set(options.restart) }
    }

    /// Takes over another policy.
    ///
    /// - Throws: `invalidArgument` for a policy that is none; nothing is changed then.
    package mutating func set(_ policy: ShimRestartPolicy) throws(RPCError) {
        rule = try RestartRule(policy)
        guard policy.longestDelayMilliseconds > 0 else {
            longestDelay = .seconds(60)
            return
        }
        longestDelay = .milliseconds(Int64(clamping: min(policy.longestDelayMilliseconds, 86_400_000)))
    }

    /// What another program has written down.
    package init(
        rule: RestartRule,
        isStopped: Bool,
        count: UInt32,
        phase: Phase,
        nextDelay: Duration,
        longestDelay: Duration
    ) {
        self.rule = rule
        self.isStopped = isStopped
        self.count = count
        self.phase = phase
        self.nextDelay = nextDelay
        self.longestDelay = longestDelay
    }

    /// The program of the container runs.
    package mutating func started() {
        phase = .settled
    }

    /// The program that is about to end has run for ``steadyRun``, by a clock that nobody sets.
    package mutating func ranSteadily() {
        nextDelay = Self.firstDelay
    }

    /// The container ended, or could not be started again.
    ///
    /// - Returns: What follows; nil when it stays as it is.
    package mutating func ended(_ exit: ProcessExit) -> PlannedRestart? {
        guard phase != .unarmed else {
            return nil
        }
        phase = .settled
        guard !isStopped, wants(exit) else {
            return nil
        }
        let planned = PlannedRestart(count: count + 1, delay: min(nextDelay, longestDelay))
        nextDelay = min(nextDelay * 2, longestDelay)
        phase = .waiting(planned)
        return planned
    }

    private func wants(_ exit: ProcessExit) -> Bool {
        switch rule {
        case .never: false
        case .always, .unlessStopped: true
        case .onFailure(let maximum): exit.status != .code(0) && (maximum == 0 || count < maximum)
        }
    }

    /// The delay is over.
    ///
    /// - Returns: False when the restart was cancelled meanwhile.
    package mutating func due() -> Bool {
        guard case .waiting(let planned) = phase else {
            return false
        }
        count = planned.count
        phase = .starting
        return true
    }

    /// The restart could not even be begun for want of something that will be there again: it is as if its time had not come.
    ///
    /// - Returns: The restart as it is planned now; nil when none was being made.
    package mutating func postpone() -> PlannedRestart? {
        guard case .starting = phase, count > 0 else {
            return nil
        }
        let planned = PlannedRestart(count: count, delay: Self.postponement)
        count -= 1
        phase = .waiting(planned)
        return planned
    }

    /// The user stops the container.
    ///
    /// - Returns: Whether that cancelled a restart.
    package mutating func stop() -> Bool {
        isStopped = true
        guard case .waiting = phase else {
            return false
        }
        phase = .settled
        return true
    }
}
