import FoundationEssentials
package import Kernel
package import ShimProtocol
import SwiftProtobuf

/// How often and how patiently a container's health is looked at.
package struct HealthSettings: Sendable, Hashable {
    package var interval: Duration
    package var timeout: Duration
    package var startPeriod: Duration
    package var startInterval: Duration
    package var retries: UInt32

    /// What a request says; 0 takes Docker's defaults.
    ///
    /// Times are at least a millisecond and at most a year: what is longer never comes.
    package init(_ check: ShimHealthCheck) {
        func duration(_ milliseconds: UInt64, _ fallback: Duration) -> Duration {
            milliseconds == 0 ? fallback : .milliseconds(Int64(min(milliseconds, 31_536_000_000)))
        }
        interval = duration(check.intervalMilliseconds, .seconds(30))
        timeout = duration(check.timeoutMilliseconds, .seconds(30))
        startPeriod = duration(check.startPeriodMilliseconds, .zero)
        startInterval = duration(check.startIntervalMilliseconds, .seconds(5))
        retries = check.retries == 0 ? 3 : check.retries
    }
}

/// The health of a container as a value: it judges each probe, and the owner of the clock does the rest.
///
/// The rules are Docker's: exit 0 is healthy; so many failures in a row are unhealthy; a failure in the start period counts only
/// after the first success.
package struct HealthState: Sendable, Hashable {
    package enum Status: String, Sendable, CaseIterable {
        case starting
        case healthy
        case unhealthy
    }

    /// One probe that has ended, and what it has led to.
    package struct Result: Sendable, Hashable {
        package var startedAt: Timestamp
        package var endedAt: Timestamp
        /// -1 when it took too long or could not be started.
        package var exitCode: Int32
        package var output: [UInt8]
        package var status = Status.starting
        package var failingStreak: UInt32 = 0

        package init(startedAt: Timestamp, endedAt: Timestamp, exitCode: Int32, output: [UInt8]) {
            self.startedAt = startedAt
            self.endedAt = endedAt
            self.exitCode = exitCode
            self.output = output
        }
    }

    /// Results that are kept.
    static let kept = 5
    /// Bytes of a probe's output that are kept.
    package static let outputLimit = 4096

    package let settings: HealthSettings
    package private(set) var status = Status.starting
    package private(set) var failingStreak: UInt32 = 0
    /// The newest last.
    package private(set) var results: [Result] = []
    /// Probes that have ended.
    package private(set) var probes: UInt64 = 0

    package init(_ settings: HealthSettings) {
        self.settings = settings
    }

    /// Takes over what another program knew.
    package mutating func restore(_ report: ShimHealthReport) {
        status = Status(rawValue: report.status) ?? .starting
        failingStreak = report.failingStreak
        probes = report.probes
        results = report.results.suffix(Self.kept).map { message in
            var result = Result(
                startedAt: Timestamp(
                    seconds: message.startedAt.seconds,
                    nanoseconds: UInt32(clamping: message.startedAt.nanos)
                ),
                endedAt: Timestamp(
                    seconds: message.endedAt.seconds,
                    nanoseconds: UInt32(clamping: message.endedAt.nanos)
                ),
                exitCode: message.exitCode,
                output: Array(message.output)
            )
            (result.status, result.failingStreak) = (
                Status(rawValue: message.status) ?? .starting, message.failingStreak
            )
            return result
        }
    }

    /// A run of the container begins: what was known of the last one does not count.
    package mutating func began() {
        status = .starting
        failingStreak = 0
    }

    /// Time until the next probe, `age` after the run's begin.
    package func pause(age: Duration) -> Duration {
        status == .starting && age < settings.startPeriod ? settings.startInterval : settings.interval
    }

    /// A probe that began `age` after the run's begin has ended.
    ///
    /// - Returns: The result as it is kept, and whether the status is another one than before.
    package mutating func ended(_ result: Result, age: Duration) -> (result: Result, changed: Bool) {
        let before = status
        if result.exitCode == 0 {
            failingStreak = 0
            status = .healthy
        } else if status != .starting || age >= settings.startPeriod {
            failingStreak += 1
            if failingStreak >= settings.retries { status = .unhealthy }
        }
        var result = result
        (result.status, result.failingStreak) = (status, failingStreak)
        results = results.suffix(Self.kept - 1) + [result]
        probes += 1
        return (result, status != before)
    }
}

extension HealthState {
    /// The state for `Supervisor.Events`.
    package var report: ShimHealthReport {
        var report = ShimHealthReport()
        report.probes = probes
        report.status = status.rawValue
        report.failingStreak = failingStreak
        report.results = results.map(\.message)
        return report
    }
}

extension HealthState.Result {
    /// The result as it travels.
    var message: ShimHealth {
        var message = ShimHealth()
        message.status = status.rawValue
        message.failingStreak = failingStreak
        message.startedAt = startedAt.message
        message.endedAt = endedAt.message
        message.exitCode = exitCode
        message.output = .init(output)
        return message
    }

    /// The result for the journal.
    var json: JSONText {
        var text = JSONText()
        text.add("status", status.rawValue)
        text.add("failingStreak", failingStreak)
        text.add("startedAt", startedAt.description)
        text.add("endedAt", endedAt.description)
        text.add("exitCode", exitCode)
        text.add("output", String(decoding: output, as: UTF8.self))
        return text
    }
}
