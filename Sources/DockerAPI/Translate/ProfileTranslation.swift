import DockerTypes
import Engine
import EngineContainer
import EngineModel
import EngineStore
import Kernel
import Seccomp
import WorkloadProfiles

/// Profiles and denials as documents.
enum ProfileTranslation {
    static func summary(_ status: ProfileStatus) -> BerthProfileSummary {
        var row = BerthProfileSummary()
        row.name = status.name
        row.state =
            switch (status.learned, status.promoted) {
            case (let learned?, let promoted?):
                learned.filter == promoted.filter ? "promoted" : "promoted, changed"
            case (nil, _?): "promoted"
            default: "learned"
            }
        if let problem = status.problem { row.state = "unreadable: \(problem)" }
        row.calls = status.learned?.allowedCalls ?? 0
        row.promotedCalls = status.promoted?.allowedCalls ?? 0
        row.promoted = status.promoted?.promoted ?? ""
        let runs = status.learned?.runs ?? []
        row.runs = runs.count
        row.incompleteRuns = status.learned?.incompleteRuns.count ?? 0
        row.dangerous = status.learned.map(dangers) ?? 0
        row.denials = status.denials
        row.usedBy = status.users
        return row
    }

    static func document(_ status: ProfileStatus, _ profile: WorkloadProfile) -> BerthProfile {
        var document = BerthProfile()
        document.summary = summary(status)
        document.state = profile.state.rawValue
        document.promoted = profile.promoted ?? ""
        document.calls = rows(profile.calls)
        document.unseen = profile.unseen
        document.refused = rows(profile.refused)
        document.dangerous = rows(profile.dangerous)
        document.allowed = profile.allowed.map(\.description)
        document.capabilities = profile.capabilities
        document.runs = profile.runs.map { run in
            var row = BerthProfileRun()
            (row.number, row.container, row.name) = (run.number, run.container, run.name)
            (row.image, row.command) = (run.image, run.command)
            (row.started, row.ended, row.complete) = (run.started, run.ended ?? "", run.complete)
            row.failed = run.failed ?? ""
            return row
        }
        return document
    }

    /// Why a call is dangerous; nil when it is not.
    private static func danger(_ name: String, _ plain: String, _ value: UInt64?) -> String? {
        DangerousCalls.reason(name: plain, argument: value)
            ?? (name == plain ? nil : "a call of another convention than the machine's own")
    }

    /// The call's name without the convention that may stand in front.
    private static func plain(_ name: String) -> String {
        name.split(separator: ":").last.map(String.init) ?? name
    }

    /// Dangerous calls that were seen, whether the ceiling has let them through or not.
    private static func dangers(_ profile: WorkloadProfile) -> Int {
        let refused = profile.refused.filter { name, call in
            let values = call.classes.isEmpty ? [nil] : call.classes.keys.map(Optional.some)
            return values.contains { danger(name, plain(name), $0) != nil }
        }
        return Set(profile.dangerous.keys).union(refused.keys).count
    }

    /// One row a call, or one a class where there are classes.
    private static func rows(_ calls: [String: WorkloadProfile.Call]) -> [BerthProfileCall] {
        calls.sorted { $0.key < $1.key }.flatMap { name, call -> [BerthProfileCall] in
            let plain = plain(name)
            func row(_ use: WorkloadProfile.Use, _ value: UInt64?) -> BerthProfileCall {
                var row = BerthProfileCall()
                row.call = name
                row.argument = value.flatMap { value in ArgumentClass(call: plain)?.name(of: value) }
                (row.count, row.runs, row.answer) = (use.count, use.runs, call.answer)
                row.danger = danger(name, plain, value)
                return row
            }
            if call.classes.isEmpty { return [row(call.use, nil)] }
            return call.classes.sorted { $0.key < $1.key }.map { row($0.value, $0.key) }
        }
    }

    static func denial(_ record: DenialRecord, _ profile: WorkloadProfile?) -> BerthDenial {
        let use = record.use
        var row = BerthDenial()
        (row.profile, row.container, row.containerID) = (record.profile, record.name, record.container)
        (row.exec, row.pid, row.command) = (record.exec, Int(record.pid), record.command)
        (row.syscall, row.argument) = (use.label, use.className ?? "")
        (row.count, row.answer, row.mode) = (record.count, record.answer, record.mode)
        (row.first, row.last) = (record.first.description, record.last.description)
        row.known = profile?.refused[use.label]?.answer == record.answer
        return row
    }

    static func denial(_ event: EngineEvent) -> BerthDenial {
        func text(_ name: String) -> String { event.attributes[name] ?? "" }
        var row = BerthDenial()
        (row.profile, row.container, row.containerID) = (text("profile"), text("name"), event.id)
        (row.exec, row.pid, row.command) = (text("exec"), Int(text("pid")) ?? 0, text("command"))
        (row.syscall, row.argument) = (text("syscall"), text("argument"))
        (row.count, row.answer, row.mode) = (UInt64(text("count")) ?? 0, text("answer"), text("mode"))
        (row.first, row.last) = (event.time.description, event.time.description)
        row.cursor = Int(event.sequence)
        return row
    }
}
