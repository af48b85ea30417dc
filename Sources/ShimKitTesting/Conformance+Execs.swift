internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

extension Conformance {
    /// Further processes in a container.
    static let execs: [Check] = [
        Check(name: "execHasItsOwnLife", body: execLife),
        Check(name: "execStatusIsTheProcessOwn") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            for status in [0, 1, 42, 126, 127] as [UInt32] {
                try requireEqual(container.runExec("e\(status)", "exit \(status)").status, status, "status")
            }
            try requireEqual(container.runExec("sig", "kill -9 $$").status, 137, "status of a killed exec")
        },
        Check(name: "execIdIsTakenOnce") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try container.addExec("e", .init("true"))
            try expect(.alreadyExists, "a second exec of the same id") { try container.addExec("e", .init("true")) }
            try container.start("e")
            try expectRefusal("a second Start") { try container.start("e") }
            _ = try container.waitForExit("e")
            try container.delete("e")
            try requireEqual(container.runExec("e", "exit 4").status, 4, "status of the id's next use")
        },
        Check(name: "execOfAProgramThatDoesNotExistIsReported") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try container.addExec("e", .init(arguments: ["/no/such/program"]))
            try expectRefusal("Start") { try container.start("e") }
            try container.delete("e")
            try requireEqual(container.runExec("f", "exit 4").status, 4, "status of the next exec")
        },
        Check(name: "execIsKilledAlone") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try container.addExec("e", .init("sleep 1000"))
            try container.start("e")
            try container.kill(.kill, "e")
            try requireEqual(container.waitForExit("e"), 137, "status")
            try requireEqual(container.state().status, .running, "state of the container")
        },
        Check(name: "waitForAnExecBeforeItsStart") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try container.addExec("e", .init("exit 9"))
            let wait = try container.beginWait("e")
            try container.start("e")
            try requireEqual(container.finish(wait, TaskWaitResponse.self).exitStatus, 9, "status")
        },
        Check(name: "endOfTheContainerEndsItsExecs") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try container.addExec("e", .init("sleep 1000"))
            try container.start("e")
            let wait = try container.beginWait("e")
            try container.kill(.kill)
            try requireEqual(container.waitForExit(), 137, "status of the container")
            try requireEqual(container.finish(wait, TaskWaitResponse.self).exitStatus, 137, "status of the exec")
            try container.wait("both exits") { container.sink.topics.count { $0.hasPrefix(EventTopic.exit) } == 2 }
            let exits = container.sink.topics.filter { $0.hasPrefix(EventTopic.exit) }
            try requireEqual(exits, [EventTopic.exit + " e", EventTopic.exit], "order of the exits")
        },
        Check(name: "manyExecsOneAfterTheOther") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            for number in 0..<40 {
                let result = try container.runExec("e\(number)", "echo \(number); exit \(number)")
                try requireEqual(result.status, UInt32(number), "status")
                try requireEqual(result.output, "\(number)\n", "output")
            }
        },
        Check(name: "manyExecsAtOnce", body: manyAtOnce),
    ]

    private static func execLife(_ program: ShimProgram) throws {
        let container = try ConformanceContainer(program, "sleep 1000")
        try container.run()
        let streams = try container.makeStreams("e")
        try container.addExec("e", .init("echo out; echo err >&2; read line; exit 6"), streams)
        let added = try container.state("e")
        try requireEqual(added.status, .created, "state before Start")
        try requireEqual(added.pid, 0, "pid before Start")
        let pid = try container.start("e")
        try require(pid > 1, "pid \(pid)")
        // Without standard input there is nothing to read.
        try requireEqual(container.waitForExit("e", also: [streams]), 6, "status")
        let stopped = try container.state("e")
        try requireEqual(stopped.status, .stopped, "state after the exit")
        try requireEqual(container.delete("e").exitStatus, 6, "status from Delete")
        try container.endOfOutput(streams)
        try requireEqual(streams.text, "out\n", "standard output")
        try requireEqual(streams.errorText, "err\n", "standard error")
        try expect(.notFound, "State after Delete") { _ = try container.state("e") }
        try requireEqual(container.state().status, .running, "state of the container")
    }

    private static func manyAtOnce(_ program: ShimProgram) throws {
        let container = try ConformanceContainer(program, "sleep 1000")
        try container.run()
        let names = (0..<20).map { "e\($0)" }
        let streams = try names.map { try container.makeStreams($0) }
        for (name, stream) in zip(names, streams) {
            try container.addExec(name, .init("echo \(name); sleep 0.1; exit 11"), stream)
        }
        let waits = try names.map { try container.beginWait($0) }
        let starts = try names.map { name in
            try container.client.begin(
                container.client.taskService,
                TaskMethod.start.rawValue,
                TaskStartRequest.with { ($0.id, $0.execID) = (container.id, name) }
            )
        }
        for start in starts { _ = try container.finish(start, TaskStartResponse.self, also: streams) }
        for wait in waits {
            try requireEqual(container.finish(wait, TaskWaitResponse.self, also: streams).exitStatus, 11, "status")
        }
        for (name, stream) in zip(names, streams) {
            try container.delete(name)
            try container.endOfOutput(stream)
            try requireEqual(stream.text, name + "\n", "output")
        }
    }
}
