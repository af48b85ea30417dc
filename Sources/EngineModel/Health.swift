public import Kernel

/// How to find out whether a container works.
///
/// Times are nanoseconds; 0 takes the image's, else the default.
public struct HealthConfiguration: Sendable, Equatable, Codable {
    /// `["NONE"]`, `["CMD", args…]` or `["CMD-SHELL", line]`; empty takes the image's.
    public var test: [String] = []
    /// From the end of a probe to the next.
    public var interval: Int64 = 0
    /// Until a probe counts as failed.
    public var timeout: Int64 = 0
    /// From the start, while failures do not count.
    public var startPeriod: Int64 = 0
    /// Between probes in the start period.
    public var startInterval: Int64 = 0
    /// Failures in a row that make unhealthy.
    public var retries: Int = 0

    /// Takes everything from the image.
    public init() {}

    /// What a client and an image say together; nil when there is nothing to look at.
    package static func merge(_ client: HealthConfiguration?, _ image: HealthConfiguration?) -> HealthConfiguration? {
        guard var merged = client ?? image else { return nil }
        if let image {
            if merged.test.isEmpty { merged.test = image.test }
            if merged.interval == 0 { merged.interval = image.interval }
            if merged.timeout == 0 { merged.timeout = image.timeout }
            if merged.startPeriod == 0 { merged.startPeriod = image.startPeriod }
            if merged.startInterval == 0 { merged.startInterval = image.startInterval }
            if merged.retries == 0 { merged.retries = image.retries }
        }
        return merged.test.isEmpty ? nil : merged
    }

    /// The program to run, with the shell that lines are for; nil for `NONE`.
    ///
    /// - Throws: `.invalidArgument` for a check that cannot be.
    package func command(shell: [String]) throws -> [String]? {
        for (name, time) in [("interval", interval), ("timeout", timeout), ("start period", startPeriod)]
        where time < 0 || time > 0 && time < 1_000_000 {
            throw EngineError.invalid("\(name) of the health check: \(time) ns is less than a millisecond")
        }
        guard startInterval == 0 || startInterval >= 1_000_000, retries >= 0 else {
            throw EngineError.invalid(
                "health check: the start interval is at least a millisecond, and retries at least 0"
            )
        }
        switch test.first {
        case "NONE" where test.count == 1: return nil
        case "CMD" where test.count > 1: return Array(test.dropFirst())
        case "CMD-SHELL" where test.count == 2: return shell + [test[1]]
        default:
            throw EngineError.invalid(
                "health check \(test): [NONE], [CMD, program, …] or [CMD-SHELL, line] is expected"
            )
        }
    }
}

/// What is known of a container's health.
public struct HealthSnapshot: Sendable, Equatable, Codable {
    /// Docker's words.
    public enum Status: String, Sendable, Codable, CaseIterable {
        /// No probe has decided yet.
        case starting
        /// The last probes were good.
        case healthy
        /// So many failed in a row, or the container does not run.
        case unhealthy
    }

    /// One probe.
    public struct Result: Sendable, Equatable, Codable {
        /// When it began, seconds since 1970.
        public var startSeconds: Int64
        /// And nanoseconds.
        public var startNanoseconds: UInt32
        /// When it ended, seconds since 1970.
        public var endSeconds: Int64
        /// And nanoseconds.
        public var endNanoseconds: UInt32
        /// 0 is good; -1 when it took too long or could not be started.
        public var exitCode: Int
        /// At most 4096 bytes.
        public var output: String

        /// When it began.
        public var startedAt: Timestamp { Timestamp(seconds: startSeconds, nanoseconds: startNanoseconds) }
        /// When it ended.
        public var endedAt: Timestamp { Timestamp(seconds: endSeconds, nanoseconds: endNanoseconds) }

        package init(startedAt: Timestamp, endedAt: Timestamp, exitCode: Int, output: String) {
            (startSeconds, startNanoseconds) = (startedAt.seconds, startedAt.nanoseconds)
            (endSeconds, endNanoseconds) = (endedAt.seconds, endedAt.nanoseconds)
            self.exitCode = exitCode
            self.output = output
        }
    }

    /// The verdict.
    public var status: Status
    /// Failures in a row.
    public var failingStreak: Int
    /// The last five probes, oldest first.
    public var log: [Result]

    package init(status: Status, failingStreak: Int = 0, log: [Result] = []) {
        self.status = status
        self.failingStreak = failingStreak
        self.log = log
    }
}
