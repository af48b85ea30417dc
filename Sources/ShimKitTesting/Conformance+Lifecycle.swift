internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

extension Conformance {
    /// From `start` to `delete` of a container.
    static let lifecycle: [Check] = [
        Check(name: "wholeLifeOfAContainer", body: wholeLife),
        Check(name: "secondStartFindsTheSameShim") { program in
            let container = try ConformanceContainer(program, "true")
            try requireEqual(container.startAgain(), container.address, "address of the second start")
        },
        Check(name: "connectNamesShimAndTask") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            let pid = try container.create()
            let answer = try container.connect()
            try requireEqual(answer.taskPid, pid, "pid of the task")
            try require(File.exists("/proc/\(answer.shimPid)"), "no process \(answer.shimPid)")
        },
        Check(name: "exitStatusIsTheProcessOwn") { program in
            for status in [0, 1, 42, 126, 127, 255] as [UInt32] {
                let container = try ConformanceContainer(program, "exit \(status)")
                try container.run()
                try requireEqual(container.waitForExit(), status, "status")
            }
        },
        Check(name: "signalEndsAsNumberPlus128") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try container.kill(.kill)
            try requireEqual(container.waitForExit(), 137, "status")
        },
        Check(name: "signalReachesItsHandler") { program in
            let container = try ConformanceContainer(
                program,
                "trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done"
            )
            try container.run()
            try container.wait("the trap") { container.streams.text == "ready\n" }
            try container.kill(.terminate)
            try requireEqual(container.waitForExit(), 3, "status")
        },
        Check(name: "signalToAllProcesses") { program in
            let container = try ConformanceContainer(program, "sleep 1000 & wait")
            try container.run()
            try container.kill(.kill, all: true)
            try requireEqual(container.waitForExit(), 137, "status")
        },
        Check(name: "waitBeforeStartBlocksAndAllWaitersAreAnswered") { program in
            let container = try ConformanceContainer(program, "exit 7")
            try container.create()
            let waits = try (0..<10).map { _ in try container.beginWait() }
            _ = try container.state()
            try require(!waits.contains { container.client.hasAnswer($0) }, "a Wait was answered before the start")
            try container.start()
            for wait in waits + [try container.beginWait()] {
                try requireEqual(container.finish(wait, TaskWaitResponse.self).exitStatus, 7, "status")
            }
        },
        Check(name: "createdContainerIsDeletedWithoutAStart") { program in
            let container = try ConformanceContainer(program, "true")
            try container.create()
            try container.delete()
            try expect(.notFound, "State") { _ = try container.state() }
        },
        Check(name: "rootIsBoundFromAMount") { try rootOfAMount($0, .bind) },
        Check(name: "rootIsAnOverlayFromAMount") { try rootOfAMount($0, .overlay) },
        Check(name: "eventsComeInOrder", body: events),
        Check(name: "shutdownWaitsForTheLastContainer") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try container.shutdown()
            try requireEqual(container.state().status, .running, "state after Shutdown")
        },
    ]

    private static func wholeLife(_ program: ShimProgram) throws {
        let container = try ConformanceContainer(program, "echo out; echo err >&2; exit 5")
        let pid = try container.create()
        let created = try container.state()
        try requireEqual(created.status, .created, "state after Create")
        try require(pid > 1 && created.pid == pid, "pid \(created.pid) in State, \(pid) from Create")
        try requireEqual(created.id, container.id, "id")
        try requireEqual(created.bundle, container.bundle.path, "bundle")
        try requireEqual(created.stdout, container.streams.stdout, "stdout")
        try requireEqual(container.start(), pid, "pid from Start")
        try requireEqual(container.waitForExit(), 5, "status from Wait")
        let stopped = try container.state()
        try requireEqual(stopped.status, .stopped, "state after the exit")
        try requireEqual(stopped.exitStatus, 5, "status from State")
        try require(stopped.exitedAt.seconds > 1_600_000_000, "time of the exit: \(stopped.exitedAt.seconds)")
        let deleted = try container.delete()
        try requireEqual(deleted.exitStatus, 5, "status from Delete")
        try requireEqual(deleted.pid, pid, "pid from Delete")
        try container.endOfOutput()
        try requireEqual(container.streams.text, "out\n", "standard output")
        try requireEqual(container.streams.errorText, "err\n", "standard error")
        try expect(.notFound, "State after Delete") { _ = try container.state() }
        try container.shutdown()
        try container.waitForShimToEnd()
        try requireNoMounts(container.bundle)
        try requireNoCgroup(container)
    }

    private static func rootOfAMount(_ program: ShimProgram, _ root: ConformanceBundle.Root) throws {
        let container = try ConformanceContainer(program, .init("echo new > /tmp/file && cat /tmp/file"), root: root)
        try container.run()
        try requireEqual(container.waitForExit(), 0, "status")
        try container.delete()
        try container.endOfOutput()
        try requireEqual(container.streams.text, "new\n", "output")
        let place = root == .bind ? "/image/tmp/file" : "/upper/tmp/file"
        try require(File.exists(container.bundle.directory + place), "the file is not at \(place)")
        try container.shutdown()
        try container.waitForShimToEnd()
        _ = try container.runDelete()
        try requireNoMounts(container.bundle)
    }

    private static func events(_ program: ShimProgram) throws {
        let container = try ConformanceContainer(program, "sleep 1000")
        try container.run()
        _ = try container.runExec("e1", "exit 3")
        try container.kill(.kill)
        _ = try container.waitForExit()
        try container.delete()
        let wanted = [
            EventTopic.create, EventTopic.start, EventTopic.execAdded + " e1", EventTopic.execStarted + " e1",
            EventTopic.exit + " e1", EventTopic.exit, EventTopic.delete,
        ]
        try container.wait("the events, have \(container.sink.topics)") { container.sink.topics.count >= wanted.count }
        try requireEqual(container.sink.topics, wanted, "events")
    }

    // MARK: - Helpers

    /// Expects that a call is refused with a certain code.
    static func expect(_ status: StatusCode, _ what: String, _ body: () throws -> Void) throws {
        do { try body() } catch let error as RPCError {
            try require(error.status == status, "\(what) was refused with \(error)")
            return
        }
        throw ConformanceFailure("\(what) was not refused")
    }

    /// Expects that a call is refused, with whatever code.
    static func expectRefusal(_ what: String, _ body: () throws -> Void) throws {
        do { try body() } catch is RPCError { return }
        throw ConformanceFailure("\(what) was not refused")
    }

    /// No mount of this bundle is in this mount namespace; other checks, with bundles of their own, may run at the same time.
    static func requireNoMounts(_ bundle: ConformanceBundle) throws {
        let text = try File.readText("/proc/self/mountinfo", limit: 64 << 20)
        let left = text.split(separator: "\n").filter { $0.contains(bundle.directory + "/") }
        try require(left.isEmpty, "mounts are left behind: \(left.joined(separator: ", "))")
    }

    static func requireNoCgroup(_ container: ConformanceContainer) throws {
        for controller in ["memory", "pids", "cpu", "devices", "freezer", "unified", ""] {
            let path = "/sys/fs/cgroup/\(controller)\(container.bundle.cgroupPath)"
            try require(!File.exists(path), "\(path) is left behind")
        }
    }
}
