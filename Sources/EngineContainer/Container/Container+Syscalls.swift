import DocumentTexts
import EngineModel
import EngineSpec
package import EngineStore
import Kernel
import Logging
import OCISpec
import Seccomp
import ShimProtocol
package import WorkloadProfiles

// What the shim tells of system calls. It is written together with the journal's cursor, so every count is taken once, whenever
// the manager dies.

extension Container {
    /// Events of one report; the table of denials has them all.
    private static let eventsOfReport = 64

    /// Notes the run that begins, so that it is known of even if no word of it ever comes.
    func noteLearning() throws {
        guard let restriction = record.configuration.restriction, restriction.mode == .learn else { return }
        var learned = try learnedUses(restriction, at: .now, uses: [], isLast: false)
        // What its user has named counts when the run has begun.
        learned.allowed = []
        outbox.changes.append(try node.profiles.insertion(learned, into: restriction.profile))
        learningRun = run
    }

    /// Notes that the run that began has no workload: it is no run to learn from.
    func noteFailedStart(_ reason: String) async {
        guard let restriction = record.configuration.restriction, run != nil, learningRun == run else { return }
        learningRun = nil
        do {
            var learned = try learnedUses(restriction, at: .now, uses: [], isLast: false)
            learned.run.failed = reason
            learned.allowed = []
            outbox.changes.append(try node.profiles.insertion(learned, into: restriction.profile))
        } catch {
            logger.error("what was learned cannot be written down", metadata: ["error": "\(error)"])
        }
        await commit([])
    }

    /// What was learned since the report before.
    func takeLearned(_ event: ShimEvent) async {
        guard isNew(event), let restriction = record.configuration.restriction, restriction.mode == .learn else {
            return
        }
        let report = event.syscalls
        let uses = report.uses.map { use in
            ObservedUse(
                architecture: use.architecture,
                number: UInt32(bitPattern: use.number),
                argument: use.hasArgument_p ? use.argument : nil,
                count: use.count,
                answer: use.answer
            )
        }
        do {
            let learned = try learnedUses(restriction, at: Timestamp(event.time), uses: uses, isLast: report.last)
            outbox.changes.append(try node.profiles.insertion(learned, into: restriction.profile))
        } catch {
            logger.error("what was learned cannot be written down", metadata: ["error": "\(error)"])
        }
        guard await commit([]), node.profiles.isDue(restriction.profile, last: report.last) else { return }
        node.supervisor.start { [profiles = node.profiles] in await profiles.mergeSoon(restriction.profile) }
    }

    /// Whether a report was not counted before: an event that waits for another holds the journal's cursor back, and with it what
    /// comes again after a crash.
    private func isNew(_ event: ShimEvent) -> Bool {
        guard event.seq > counted else { return false }
        counted = event.seq
        return true
    }

    private func learnedUses(
        _ restriction: Restriction,
        at time: Timestamp,
        uses: [ObservedUse],
        isLast: Bool
    ) throws -> LearnedUses {
        let resolved = record.plan.resolved
        var run = WorkloadProfile.Run(
            container: id.description,
            run: run ?? "",
            name: record.name,
            image: record.configuration.image,
            command: resolved.entrypoint + resolved.command,
            started: time.description
        )
        if isLast { (run.ended, run.complete) = (time.description, true) }
        let capabilities = try SpecBuilder.capabilities(record.configuration).bounding ?? []
        return LearnedUses(run: run, capabilities: capabilities, allowed: restriction.allowed, uses: uses)
    }

    /// Calls that were not simply allowed since the report before.
    func takeDenials(_ event: ShimEvent) async {
        var report = event.syscalls
        // Before the event counts as taken: both are written down together.
        report.profile = await heldTo(report.profile)
        guard isNew(event) else { return }
        var drafts: [EventDraft] = []
        for use in report.uses {
            let observed = ObservedUse(
                architecture: use.architecture,
                number: UInt32(bitPattern: use.number),
                argument: use.hasArgument_p ? use.argument : nil,
                count: use.count,
                answer: use.answer
            )
            if observed.isExpected { continue }
            let denial = denial(of: use, observed, report)
            outbox.changes.append(denial.addition)
            if drafts.count < Self.eventsOfReport {
                drafts.append(self.event("denial", at: denial.last, denial.attributes))
            }
        }
        if !drafts.isEmpty { outbox.changes.append(DenialRecord.trim()) }
        await commit(drafts)
    }

    /// The profile that a container runs under, by the name that its denials have.
    ///
    /// One that was removed meanwhile, maybe with another in its place, is not the one that has the name now.
    private func heldTo(_ name: String) async -> String {
        guard !name.isEmpty else { return name }
        let (profiles, path, known, run) = (node.profiles, paths.config, startedUnder, run)
        do {
            let (identity, isCurrent) = try await node.pool.run {
                let identity = known?.run == run ? known?.identity : try Self.identity(in: path)
                return (identity, try profiles.isCurrent(name, identity: identity))
            }
            startedUnder = (run, identity)
            return isCurrent ? name : Restriction.removed(name)
        } catch {
            // What cannot be seen now is believed as it was told.
            return name
        }
    }

    /// Which profile a document was made for, beyond its name.
    private static func identity(in path: String) throws -> String? {
        try annotations(in: path)[Restriction.identityAnnotation]
    }

    /// When the profile was promoted that a document was made for; nil for none, and for a document of before this was noted.
    ///
    /// Blocks.
    package static func promotion(in path: String) throws -> String? {
        try annotations(in: path)[Restriction.promotionAnnotation]
    }

    private static func annotations(in path: String) throws -> [String: String] {
        struct Document: Decodable {
            var annotations: [String: String]?
        }
        let bytes = try File.read(path, limit: 16 << 20)
        guard CheckedObject.isSound(bytes) else { throw EngineError.internalFailure("'\(path)' is damaged") }
        return try JSON.decode(Document.self, bytes).annotations ?? [:]
    }

    private func denial(of use: ShimSyscallUse, _ observed: ObservedUse, _ report: ShimSyscallReport) -> DenialRecord {
        DenialRecord(
            profile: report.profile,
            container: id.description,
            name: record.name,
            mode: report.mode,
            exec: use.execID,
            command: use.command,
            architecture: observed.architecture,
            number: observed.number,
            argument: observed.argument,
            answer: observed.answer,
            pid: use.pid,
            count: observed.count,
            first: Timestamp(use.first),
            last: Timestamp(use.lastSeen)
        )
    }
}

extension DenialRecord {
    /// The call as a count of it.
    package var use: ObservedUse {
        ObservedUse(architecture: architecture, number: number, argument: argument, count: count, answer: answer)
    }

    /// What an event tells.
    fileprivate var attributes: [String: String] {
        var attributes = [
            "syscall": use.label, "answer": answer, "count": String(count), "command": command, "pid": String(pid),
            "mode": mode, "profile": profile, "exec": exec,
        ]
        attributes["argument"] = use.className
        return attributes.filter { !$0.value.isEmpty }
    }
}
