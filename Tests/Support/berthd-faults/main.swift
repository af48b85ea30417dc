// The daemon with one fault: it kills itself with SIGKILL right behind the step that the variable names.
//
//   BERTH_FAULT=start.created berthd-faults …      at the first time that the step is finished
//   BERTH_FAULT=start.created:3 berthd-faults …    at the third time
//   BERTH_FAULT=list berthd-faults                 prints the steps, one a line
//   BERTH_FAULT=start.replied:shim berthd-faults … kills the shim instead, and the answer is lost
//   BERTH_FAULT=start.created:freeze …             stops the shim (SIGSTOP) instead
//   BERTH_FAULT=create.reserved:hang …             goes no further there, and lives
//   BERTH_FAULT=exec.ended:end berthd-faults …     is asked to end there, and goes on when it is about to
//   BERTH_FAULT=refuse berthd-faults …             checks itself well, and does not start
//   BERTH_DEADLINE=2 berthd-faults …               waits at most so many seconds for an answer of a shim, and at its end
//   BERTH_START_DEADLINE=2 berthd-faults …         the same for a start only

import BerthDaemon
import EngineModel
import FoundationEssentials
import Kernel
import Synchronization

let wanted = ProcessInfo.processInfo.environment["BERTH_FAULT"] ?? ""
if wanted == "refuse" {
    await Daemon.main(refusal: "asked to refuse")
} else if wanted == "list" {
    for step in FaultPoints.Step.allCases { print(step.rawValue) }
} else {
    let parts = wanted.split(separator: ":")
    let name = parts.first.map(String.init) ?? ""
    let left = Mutex(parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
    guard wanted.isEmpty || FaultPoints.Step(rawValue: name) != nil else { fatalError("no such step: \(name)") }
    let faults = FaultPoints { step in
        guard step.rawValue == name else { return }
        let isNow = left.withLock { left in
            left -= 1
            return left == 0
        }
        guard isNow else { return }
        if parts.last == "hang" { while true { Clock.sleep(.seconds(3600)) } }
        if parts.last == "end" {
            try Pidfd(pid: ProcessInfo.processInfo.processIdentifier).send(.terminate)
            while !Task.isCancelled { Clock.sleep(.milliseconds(10)) }
            return
        }
        if parts.last == "shim" || parts.last == "freeze" {
            // The one child that there is at this step, of whichever thread.
            let tasks = "/proc/\(ProcessInfo.processInfo.processIdentifier)/task"
            for thread in try File.open(tasks, [.directory]).readDirectory() {
                let children = try File.readText("\(tasks)/\(thread.name)/children", limit: 4096)
                for child in children.split(separator: " ").compactMap({ Int32($0) }) {
                    try Pidfd(pid: child).send(parts.last == "shim" ? .kill : .stop)
                }
            }
            if parts.last == "freeze" { return }
            throw EngineError(.unavailable, "the answer is lost")
        }
        // Nothing may run after the signal: the thread waits for its own end.
        let own = try? Pidfd(pid: ProcessInfo.processInfo.processIdentifier)
        _ = try? own?.send(.kill)
        while true { _ = Clock.monotonic.now }
    }
    var deadlines = EngineConfiguration.Deadlines()
    if let seconds = Int(ProcessInfo.processInfo.environment["BERTH_DEADLINE"] ?? "") {
        let time = Duration.seconds(seconds)
        (deadlines.call, deadlines.start, deadlines.adoption, deadlines.connect) = (time, time, time, time)
        deadlines.end = time
    }
    if let seconds = Int(ProcessInfo.processInfo.environment["BERTH_START_DEADLINE"] ?? "") {
        deadlines.start = .seconds(seconds)
    }
    await Daemon.main(faults: faults, deadlines: deadlines)
}
