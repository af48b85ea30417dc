internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

// Counts and reports of a guard where they are hard to get right.
extension Conformance {
    static func deniesOnAndOn(_ program: ShimProgram, _ mode: String) throws {
        try ConformanceBundle.$guarding.withValue(GuardDocument(mode: mode)) {
            let container = try GuardedContainer(program, ["until=\(refused)"], input: true)
            let managed = container.container
            try managed.start()
            for round in 0..<8 {
                if round % 4 == 0 { try managed.upgrade() }
                try managed.succeed()
            }
            try managed.call(.closeIO, TaskCloseIORequest.with { ($0.id, $0.stdin) = (managed.id, true) })
            // Whether anybody sees how it ended is another check's business.
            _ = try managed.waitForExit()
            let made = try managed.output().split(separator: " ").last.flatMap { UInt64($0.filter(\.isNumber)) }
            let answer = mode == "audit" ? "allowed" : "EPERM"
            try requireEqual(try container.count(refused, answer), made ?? 0, "calls in mode \(mode)")
            try require(made ?? 0 >= 100, "hardly any call was made: \(made ?? 0)")
        }
    }

    static func isHeld(_ program: ShimProgram) throws {
        try ConformanceBundle.$guarding.withValue(GuardDocument(mode: "enforce")) {
            let container = try GuardedContainer(program, ["threads=1*\(refused)", "pause"])
            let managed = container.container
            try managed.start()
            func reports() throws -> Int { try managed.events().filter { $0.topic == EventTopic.denials }.count }
            for _ in 0..<2 {
                // As long as nobody acknowledges, there are not many.
                let begin = Clock.monotonic.now
                while try reports() < 4 {
                    try require(Clock.monotonic.now - begin < second * 10, "no reports come")
                }
                let quiet = Clock.monotonic.now
                while Clock.monotonic.now - quiet < .milliseconds(1300) { _ = try managed.state() }
                let last = try managed.events().last?.seq ?? 0
                try requireEqual(reports(), 4, "reports of which none is acknowledged")
                _ = try managed.client.supervisor(
                    .acknowledge,
                    ShimAcknowledgeRequest.with { $0.seq = last },
                    ShimAcknowledgeResponse.self
                )
                let time = Clock.monotonic.now
                let request = ShimEventsRequest.with { ($0.afterSeq, $0.waitMilliseconds) = (last, 60_000) }
                let answer = try managed.client.supervisor(.events, request, ShimEventsResponse.self)
                try requireEqual(answer.events.first?.topic, EventTopic.denials, "the next event")
                let waited = Clock.monotonic.now - time
                try require(waited < second / 5, "the next report came after \(waited)")
            }
            try managed.kill(.kill)
            try requireEqual(managed.waitForExit(), 137, "status")
        }
    }

    /// A workload that was never begun has called nothing, and there is no last word of it.
    static func learnsNothing(_ program: ShimProgram) throws {
        let managed = try ManagedContainer(program, .init(arguments: ["/bin/nobody"]))
        do {
            try managed.start()
            throw ConformanceFailure("a program that is not there runs")
        } catch let error as RPCError {
            try requireEqual(error.status, .notFound, "code of a program that is not there, of '\(error)'")
        }
        let begin = Clock.monotonic.now
        while Clock.monotonic.now - begin < second {
            let last = try managed.events().last?.seq ?? 0
            let request = ShimEventsRequest.with { ($0.afterSeq, $0.waitMilliseconds) = (last, 200) }
            _ = try managed.client.supervisor(.events, request, ShimEventsResponse.self)
        }
        let told = try managed.events().filter { $0.topic == EventTopic.learned }
        try require(told.isEmpty, "\(told.count) reports of a workload that never began")
        try managed.delete()
    }

    /// Of a profile that lacks what only the set-up calls.
    static func setsUp(_ program: ShimProgram, _ mode: String) throws {
        var document = GuardDocument(mode: mode)
        document.filter["syscalls"].elements.append([
            "names": [
                "munmap", "close", "capset", "capget", "prctl", "madvise", "sendmsg", "recvmsg", "getuid", "setsid",
                "close_range",
            ],
            "action": "SCMP_ACT_ERRNO",
        ])
        try ConformanceBundle.$guarding.withValue(document) {
            for isLast in [false, true] {
                let container = try GuardedContainer(program, ["pause"], noNewPrivileges: isLast)
                let managed = container.container
                try managed.start()
                try managed.addExec("e", container.process(["call=39", "call=\(refused)"], noNewPrivileges: isLast))
                try managed.start("e")
                try requireEqual(managed.waitForExit("e"), mode == "kill" ? 137 : 0, "status of the exec session")
                try managed.addExec("f", .init(arguments: ["/bin/nobody"], noNewPrivileges: isLast))
                do {
                    try managed.start("f")
                    throw ConformanceFailure("a program that is not there runs")
                } catch let error as RPCError {
                    try requireEqual(error.status, .notFound, "code of a program that is not there, of '\(error)'")
                }
                try managed.kill(.kill)
                try requireEqual(managed.waitForExit(), 137, "status")
                let told = try container.uses(EventTopic.denials).map { "\($0.number) of \($0.command)" }
                try requireEqual(told, ["\(refused) of syscall-load"], "denials in mode \(mode)")
            }
        }
    }

    /// The loop learns at once of a call and of a question; serving the call answers the question, and nothing is left of it then.
    static func isStale(_ program: ShimProgram) throws {
        var document = GuardDocument(mode: "enforce")
        document.filter["syscalls"].elements.append(["names": ["kill"], "action": "SCMP_ACT_ERRNO"])
        try ConformanceBundle.$guarding.withValue(document) {
            let managed = try ManagedContainer(program, .init("read x </gate; kill -0 $$; exec sleep 1000")) { root in
                try RootedDir(root).mknod("gate", .fifo, permissions: 0o600)
            }
            let pid = try managed.start()
            let shim = try Pidfd(pid: managed.shim.pid)
            let gate = try File.open(managed.shim.bundle + "/rootfs/gate", [.readWrite, .nonBlocking])
            try managed.addExec("e", "exec sleep 1000")
            let deadline = Clock.monotonic.now + ConformanceContainer.patience
            _ = try shim.send(.stop)
            while try ProcessFacts(managed.shim.pid).state != "T" {
                try require(Clock.monotonic.now < deadline, "the shim is not stopped")
                Clock.sleep(.milliseconds(1))
            }
            let request = TaskStartRequest.with { ($0.id, $0.execID) = (managed.id, "e") }
            let client = managed.client
            let stream = try client.begin(client.taskService, TaskMethod.start.rawValue, request)
            try gate.writeAll("x\n")
            // The number of kill, which is held.
            while try !File.readText("/proc/\(pid)/syscall", limit: 4096).hasPrefix("62 ") {
                try require(Clock.monotonic.now < deadline, "nothing is asked")
                Clock.sleep(.milliseconds(1))
            }
            _ = try shim.send(.resume)
            while !client.hasAnswer(stream) {
                try require(Clock.monotonic.now < deadline, "the session is not started")
                try client.receive()
            }
            try requireEqual(managed.state("e").status, .running, "state of the session")
            try managed.kill(.kill)
            try requireEqual(managed.waitForExit(), 137, "status")
        }
    }

    /// Where a kernel lets a signal interrupt a call whose question was taken, that call comes again.
    static func isInterrupted(_ program: ShimProgram) throws {
        var older = program
        // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, of Linux 5.19.
        older.prefix = [try SyscallLoad.path(), "without=5"]
        try ConformanceBundle.$guarding.withValue(GuardDocument(mode: "enforce")) {
            // Some calls shall get through between two signals.
            let pause = Int(second / .milliseconds(1))
            let container = try GuardedContainer(older, ["signals=\(pause)", "call=\(refused)*2000", "signals=0"])
            try container.container.start()
            try requireEqual(container.container.waitForExit(), 0, "status")
            try requireEqual(try container.count(refused, "EPERM"), 2000, "calls")
        }
    }
}
