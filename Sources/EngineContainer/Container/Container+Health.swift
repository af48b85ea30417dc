import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import FoundationEssentials
import Kernel
import OCISpec
import ShimProtocol
import SwiftProtobuf

extension Container {
    /// The check that the shim carries out; nil without one.
    func healthCheck() throws -> ShimHealthCheck? {
        let resolved = record.plan.resolved
        guard let health = resolved.health, let command = resolved.healthCommand else { return nil }
        func milliseconds(_ nanoseconds: Int64) -> UInt64 { UInt64(max(0, nanoseconds / 1_000_000)) }
        var check = ShimHealthCheck()
        check.process = .init(try JSON.bytes(try process(ExecConfiguration(command: command))))
        check.intervalMilliseconds = milliseconds(health.interval)
        check.timeoutMilliseconds = milliseconds(health.timeout)
        check.startPeriodMilliseconds = milliseconds(health.startPeriod)
        check.startIntervalMilliseconds = milliseconds(health.startInterval)
        check.retries = UInt32(clamping: health.retries)
        return check
    }

    /// The number of probes that a poll tells the shim; nil where there is no check.
    var knownProbes: UInt64? {
        record.plan.resolved.healthCommand == nil ? nil : probes
    }

    /// What the shim knows now.
    func takeHealth(_ report: ShimHealthReport) {
        probes = report.probes
        guard lifecycle.isActive, let status = HealthSnapshot.Status(rawValue: report.status) else { return }
        health = HealthSnapshot(
            status: status,
            failingStreak: Int(report.failingStreak),
            log: report.results.map(HealthSnapshot.Result.init)
        )
        refreshView()
    }

    /// The health has changed.
    func healthChanged(_ event: ShimEvent) async {
        guard let status = HealthSnapshot.Status(rawValue: event.health.status) else { return }
        let result = HealthSnapshot.Result(event.health)
        var log = health?.log ?? []
        if log.last != result { log = log.suffix(4) + [result] }
        health = HealthSnapshot(status: status, failingStreak: Int(event.health.failingStreak), log: log)
        await commit([self.event("health_status: \(status.rawValue)", at: Timestamp(event.time))])
    }

    /// A run begins or ends: what was known of the health before does not count.
    func resetHealth(isRunning: Bool) {
        guard record.plan.resolved.healthCommand != nil else { return }
        health = HealthSnapshot(status: isRunning ? .starting : .unhealthy, log: health?.log ?? [])
    }
}

extension HealthSnapshot.Result {
    init(_ health: ShimHealth) {
        self.init(
            startedAt: Timestamp(health.startedAt),
            endedAt: Timestamp(health.endedAt),
            exitCode: Int(health.exitCode),
            output: String(decoding: health.output, as: UTF8.self)
        )
    }
}
