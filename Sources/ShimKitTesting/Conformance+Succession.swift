internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

// A shim that another program takes the place of, and a container whose shim dies: for shims of ShimKit that say `upgrade` and
// `adopt`, driven as berthd drives them.
extension Conformance {
    /// Upgrade in place and adoption.
    public static let succession: [Check] = [
        Check(name: "upgradeKeepsProcessesAndExecs", body: upgradeKeepsProcesses),
        Check(name: "upgradesLoseNoOutput", body: upgradesLoseNoOutput),
        Check(name: "createdContainerStartsAfterAnUpgrade") { program in
            let container = try ManagedContainer(program, "echo here; exit 3")
            try container.upgrade()
            try container.start()
            try requireEqual(container.waitForExit(), 3, "status")
            try requireEqual(container.output(), "here\n", "output")
            try container.delete()
        },
        Check(name: "groupOfAnExecIsKilledAfterAnUpgrade", body: execGroup),
        Check(name: "pausedContainerGoesOnAfterAnUpgrade") { program in
            let container = try ManagedContainer(program, "sleep 1000")
            try container.start()
            try container.call(.pause, TaskPauseRequest.with { $0.id = container.id })
            try container.upgrade()
            try requireEqual(container.state().status, .paused, "state")
            try container.call(.resume, TaskResumeRequest.with { $0.id = container.id })
            try requireEqual(container.state().status, .running, "state")
            try container.kill(.kill)
            try requireEqual(container.waitForExit(), 137, "status")
            try container.delete()
        },
        Check(name: "adoptedContainerGoesOn", body: adoptedGoesOn),
        Check(name: "adoptionFindsOutputThatNobodyHeld") { program in
            let container = try ManagedContainer(program, "i=1; while :; do echo $i; i=$((i+1)); done")
            try container.start()
            try container.waitForLog(100_000)
            try container.succeed(holding: { _ in false })
            try container.waitForLog(try File.status(container.logPath).size + 100_000)
            try container.kill(.kill)
            try requireEqual(container.waitForExit(), 137, "status")
        },
        Check(name: "endWithoutAShimIsFound") { program in
            let container = try ManagedContainer(program, "read line; exit 7", input: true)
            let pid = try container.start()
            let process = try Pidfd(pid: Int32(pid))
            try container.succeed(holding: { $0 != "init/stdin" }) {
                // Nobody writes any more: the input ends, and with it the container.
                let ended = try process.poll(for: .readable, timeout: ConformanceContainer.patience)
                try require(!ended.isEmpty, "the container has not ended")
            }
            try requireEqual(container.waitForExit(), 7, "status")
            let exits = try container.events().filter { $0.topic == EventTopic.exit }
            try requireEqual(exits.count, 1, "ends that were told")
            try container.delete()
        },
    ]

    private static func upgradeKeepsProcesses(_ program: ShimProgram) throws {
        let container = try ManagedContainer(program, "sleep 1000")
        let pid = try container.start()
        try container.addExec("e", "sleep 1000")
        let exec = try container.start("e")
        let shim = container.shim.pid
        try container.upgrade()
        let info = try container.client.supervisor(.info, ShimInfoRequest(), ShimInfoResponse.self)
        try requireEqual(info.pid, UInt32(shim), "pid of the shim")
        try requireEqual(container.state().pid, pid, "pid of the container")
        try requireEqual(container.state("e").pid, exec, "pid of the exec session")
        try require(Set(container.pids()).isSuperset(of: [pid, exec]), "processes of the container")
        try container.addExec("f", "exit 6")
        try container.start("f")
        try requireEqual(container.waitForExit("f"), 6, "status of a new exec session")
        try container.kill(.kill, "e")
        try requireEqual(container.waitForExit("e"), 137, "status of the exec session")
        try container.kill(.kill)
        try requireEqual(container.waitForExit(), 137, "status")
        try container.delete()
    }

    private static func upgradesLoseNoOutput(_ program: ShimProgram) throws {
        let container = try ManagedContainer(program, "i=1; while :; do echo $i; i=$((i+1)); done")
        try container.start()
        for upgrade in 1...10 {
            try container.waitForLog(Int64(upgrade) * 20_000)
            try container.upgrade()
        }
        try container.kill(.kill)
        try requireEqual(container.waitForExit(), 137, "status")
        let lines = try container.output().split(separator: "\n").dropLast()
        try require(lines.count > 1000, "\(lines.count) lines")
        for (index, line) in lines.enumerated() where Int(line) != index + 1 {
            throw ConformanceFailure("line \(index + 1) is '\(line)'")
        }
    }

    private static func execGroup(_ program: ShimProgram) throws {
        let container = try ManagedContainer(program, "sleep 1000")
        try container.start()
        try container.addExec("e", "sleep 1000 & sleep 1000 & wait")
        try container.start("e")
        let deadline = Clock.monotonic.now + ConformanceContainer.patience
        while try container.pids().count < 4 {
            try require(Clock.monotonic.now < deadline, "the session's processes do not come")
        }
        try container.upgrade()
        try container.kill(.kill, "e", all: true)
        try requireEqual(container.waitForExit("e"), 137, "status of the exec session")
        while try container.pids().count > 1 {
            try require(Clock.monotonic.now < deadline, "the session's processes are still there")
        }
        try requireEqual(container.state().status, .running, "state")
        try container.kill(.kill)
        try requireEqual(container.waitForExit(), 137, "status")
    }

    private static func adoptedGoesOn(_ program: ShimProgram) throws {
        let container = try ManagedContainer(program, "while read line; do echo $line; done; exit 4", input: true)
        let pid = try container.start()
        let attached = try container.shim.attach(.with { ($0.stdin, $0.stdout) = (true, true) })
        try container.addExec("e", "sleep 1000")
        let exec = try container.start("e")
        try container.succeed()
        try requireEqual(container.state().pid, pid, "pid of the container")
        try requireEqual(container.state("e").pid, exec, "pid of the exec session")
        try attached.client.writeAll("word\n")
        try requireEqual(attached.client.read(upTo: 100), Array("word\n".utf8), "output")
        _ = try container.client.task(.stats, TaskStatsRequest.with { $0.id = container.id }, TaskStatsResponse.self)
        try container.addExec("f", "exit 6")
        try container.start("f")
        try requireEqual(container.waitForExit("f"), 6, "status of a new exec session")
        try container.kill(.kill, "e")
        try requireEqual(container.waitForExit("e"), 137, "status of the exec session")
        try container.call(.closeIO, TaskCloseIORequest.with { ($0.id, $0.stdin) = (container.id, true) })
        try requireEqual(container.waitForExit(), 4, "status")
        try requireEqual(container.output(), "word\n", "output")
        try container.delete()
    }
}
