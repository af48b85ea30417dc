import Kernel
import Seccomp
import ShimKit
import ShimProtocol
import SwiftProtobuf

/// Tells the manager what the guard has counted: at once when nothing was told for a while, else twice a second.
final class UseReports {
    /// From one report to the next: what is refused in between has a second to become a line in front of somebody.
    private static let interval = Duration.milliseconds(500)
    /// So that what belongs together is told together.
    private static let delay = Duration.milliseconds(50)
    /// Reports that the manager has not made durable, beyond which counting goes on and telling waits.
    private static let mostUnacknowledged = 4
    /// Lines in the shim's log for one report, where nobody reads a journal.
    private static let mostLines = 16

    private let settings: GuardSettings
    private let ledger: UseLedger
    private var host: BackendHost?
    private var timer: BackendHost.Timer?
    private var lastReport: Timestamp?
    private var unacknowledged: [UInt64] = []
    /// Whether the next report waits for an acknowledgement instead of a time.
    private var isHeld = false

    init(_ settings: GuardSettings, _ ledger: UseLedger) {
        self.settings = settings
        self.ledger = ledger
    }

    /// Finishes what a predecessor has begun; from now on there is somebody to tell.
    func attach(to host: BackendHost) {
        self.host = host
        ledger.settle(lastEvent: host.lastEvent)
        host.afterAcknowledgement { [weak self] in self?.acknowledged() }
        if ledger.hasNews { soon() }
    }

    /// Something was counted.
    func soon() {
        guard let host, timer == nil, !isHeld else { return }
        let passed = lastReport.map { Clock.monotonic.now - $0 } ?? Self.interval
        timer = host.after(max(Self.delay, Self.interval - passed)) { [weak self] in
            self?.timer = nil
            self?.tell()
        }
    }

    private func tell() {
        isHeld = !mayTell
        guard !isHeld else { return }
        lastReport = Clock.monotonic.now
        publish(isLast: false)
    }

    private var mayTell: Bool {
        guard let durable = host?.acknowledgedEvent else { return false }
        unacknowledged.removeAll { $0 <= durable }
        return unacknowledged.count < Self.mostUnacknowledged
    }

    private func acknowledged() {
        guard isHeld, mayTell else { return }
        isHeld = false
        soon()
    }

    /// Tells what was not told before the run of the container ends.
    ///
    /// - Parameter isWhole: Whether all of the run was heard.
    func finish(isWhole: Bool) {
        guard host != nil else { return }
        if let timer { host?.cancel(timer) }
        timer = nil
        guard ledger.hasNews || ledger.hasTold else { return }
        publish(isLast: isWhole)
        ledger.hasTold = false
    }

    /// Leaves out what was counted and not told, and that there is no more to come.
    func forget() {
        if let timer { host?.cancel(timer) }
        timer = nil
        ledger.pass()
        ledger.hasTold = false
    }

    private func publish(isLast: Bool) {
        guard let host else { return }
        var hasEnded = false
        ledger.report(nextEvent: { host.lastEvent + 1 }) { uses, isEnd in
            tell(uses, isLast: isLast && isEnd, to: host)
            hasEnded = isEnd
        }
        if isLast, !hasEnded { tell([], isLast: true, to: host) }
    }

    private func tell(_ uses: [ShimSyscallUse], isLast: Bool, to host: BackendHost) {
        guard host.hasJournal else { return log(uses, to: host) }
        ledger.hasTold = true
        let report = ShimSyscallReport.with { report in
            report.profile = settings.profile
            report.mode = settings.mode.rawValue
            report.uses = uses
            report.last = isLast
        }
        host.publish(settings.mode == .learn ? EventTopic.learned : EventTopic.denials, report)
        unacknowledged.append(host.lastEvent)
    }

    /// Under containerd the shim's log is all there is.
    private func log(_ uses: [ShimSyscallUse], to host: BackendHost) {
        guard settings.mode != .learn else { return }
        for use in uses.prefix(Self.mostLines) {
            host.log(
                "system call",
                ("answer", use.answer),
                (
                    "call",
                    use.number < 0
                        ? "others"
                        : SyscallNames.label(architecture: use.architecture, number: UInt32(bitPattern: use.number))
                ),
                ("argument", use.hasArgument_p ? String(use.argument) : "-"),
                ("exec", use.execID.isEmpty ? "-" : use.execID),
                ("pid", String(use.pid)),
                ("command", use.command),
                ("count", String(use.count))
            )
        }
        if uses.count > Self.mostLines { host.log("more system calls", ("kinds", String(uses.count - Self.mostLines))) }
    }
}
