internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

// A guard over system calls: for backends that say `syscall-reports`, driven as berthd drives them.
extension Conformance {
    /// What an ordinary machine does in one.
    static let second = ConformanceContainer.patience / 30
    /// Numbers of x86_64: one that nothing needs and the filter refuses, and one that is allowed and never made by the way.
    static let (refused, allowed) = (111, 110)

    /// What is learned, refused, allowed and told.
    public static let guarding: [Check] = [
        Check(name: "learningCountsExactly", body: learns),
        Check(name: "learningCountsOverUpgradesAndDeaths", body: learnsOnAndOn),
        guarded("nothingIsLearnedOfAProgramThatIsNotThere", "learn", learnsNothing),
        Check(name: "denialsAreCountedOverUpgradesAndDeaths") { program in
            for mode in ["enforce", "audit"] { try deniesOnAndOn(program, mode) }
        },
        Check(name: "denialIsToldWithinASecond", body: denies),
        Check(name: "whatWasHeldIsToldAfterTheAcknowledgement", body: isHeld),
        Check(name: "setUpIsNotToldOf") { program in
            for mode in ["enforce", "kill"] { try setsUp(program, mode) }
        },
        Check(name: "questionThatIsAnsweredAlreadyIsNotWaitedFor", body: isStale),
        Check(name: "interruptedCallIsCountedOnce", body: isInterrupted),
        Check(name: "refusedCallKills", body: kills),
        Check(name: "auditedCallIsMade", body: audits),
        guarded("otherConventionsAreRefusedAndTold", "enforce") { program in
            for word in ["i386=20", "x32=39"] {
                let container = try GuardedContainer(program, [word])
                try container.container.start()
                try requireEqual(container.container.waitForExit(), 137, "status of \(word)")
                let uses = try container.uses(EventTopic.denials)
                try requireEqual(uses.map(\.answer), ["killed"], "answers to \(word)")
                let use = uses[0]
                let isOther = use.architecture != 0xc000_003e || use.number & 0x4000_0000 != 0
                try require(isOther, "\(word) is told as \(use.number) of 0x\(String(use.architecture, radix: 16))")
            }
        },
        Check(name: "floodOfDenialsHoldsNobodyUp", body: floods),
        guarded("noCallIsInterruptedThatNeverIs", "learn") { program in
            let container = try GuardedContainer(program, ["deaths=300"])
            try container.container.start()
            try requireEqual(container.container.waitForExit(), 0, "status")
            try requireEqual(try container.container.output(), "deaths=300: 0\n", "interrupted calls")
        },
        guarded("guardOutlivesAnUpgradeBeforeTheStart", "learn") { program in
            let container = try GuardedContainer(program, ["call=\(allowed)*5"])
            try container.container.upgrade()
            try container.container.start()
            try requireEqual(container.container.waitForExit(), 0, "status")
            try requireEqual(try container.count(allowed, "allowed"), 5, "calls")
        },
        guarded("pausedAndKilledWhileAsking", "learn") { program in
            let container = try GuardedContainer(program, ["threads=4*\(allowed)", "pause"])
            let managed = container.container
            try managed.start()
            for _ in 0..<5 {
                try managed.call(.pause, TaskPauseRequest.with { $0.id = managed.id })
                try requireEqual(managed.state().status, .paused, "state")
                try managed.call(.resume, TaskResumeRequest.with { $0.id = managed.id })
            }
            try managed.kill(.kill)
            try requireEqual(managed.waitForExit(), 137, "status")
            try managed.delete()
        },
        Check(name: "ownListenerIsRefused") { program in
            var document = GuardDocument(mode: "enforce")
            document.filter["listenerPath"] = "/run/nobody.sock"
            document.filter["syscalls"] = [["names": ["getpgrp"], "action": "SCMP_ACT_NOTIFY"]]
            try ConformanceBundle.$guarding.withValue(document) {
                do { _ = try GuardedContainer(program, ["call=39"]) } catch let error as RPCError {
                    try requireEqual(error.status, .unimplemented, "code")
                    return try require(error.message.contains("listenerPath"), "error: \(error.message)")
                }
                throw ConformanceFailure("it was created")
            }
        },
        Check(name: "unknownModeIsRefused") { program in
            try ConformanceBundle.$guarding.withValue(GuardDocument(mode: "watch")) {
                do { _ = try GuardedContainer(program, ["call=39"]) } catch let error as RPCError {
                    return try requireEqual(error.status, .invalidArgument, "code")
                }
                throw ConformanceFailure("it was created")
            }
        },
    ]

    private static func guarded(
        _ name: String,
        _ mode: String,
        _ body: @escaping @Sendable (ShimProgram) throws -> Void
    ) -> Check {
        Check(name: name) { program in
            try ConformanceBundle.$guarding.withValue(GuardDocument(mode: mode)) { try body(program) }
        }
    }

    private static func learns(_ program: ShimProgram) throws {
        try ConformanceBundle.$guarding.withValue(GuardDocument(mode: "learn")) {
            let container = try GuardedContainer(
                program,
                ["call=\(allowed)*1000", "call=\(refused)*7", "call=435", "call=41,1,1,0", "input"],
                input: true
            )
            let managed = container.container
            try managed.start()
            try managed.addExec("e", container.process(["call=\(allowed)*50"]))
            try managed.start("e")
            try requireEqual(managed.waitForExit("e"), 0, "status of the exec session")
            try managed.call(.closeIO, TaskCloseIORequest.with { ($0.id, $0.stdin) = (managed.id, true) })
            try requireEqual(managed.waitForExit(), 0, "status")
            let output = try managed.output().split(separator: "\n")
            try requireEqual(output[1], "call=\(refused)*7: error 1", "the refused call")
            try requireEqual(output[2], "call=435: error 38", "clone3")
            try requireEqual(container.count(allowed, "allowed"), 1050, "calls")
            try requireEqual(container.count(refused, "EPERM"), 7, "refused calls")
            let uses = try container.uses(EventTopic.learned)
            try requireEqual(uses.filter { $0.number == 59 }.map(\.count).reduce(0, +), 2, "programs")
            try requireEqual(uses.filter { $0.number == 41 }.map(\.argument), [1], "families of sockets")
            // The set-up's own calls are nobody's: setsid, capset, prctl to drop a capability.
            for number: Int32 in [112, 126, 435] {
                try require(!uses.contains { $0.number == number }, "call \(number) of the set-up was learned")
            }
            try require(uses.allSatisfy { $0.execID.isEmpty && $0.pid == 0 && $0.command.isEmpty }, "who was told")
            let events = try managed.events()
            let last = events.lastIndex { $0.topic == EventTopic.learned && $0.syscalls.last }
            let end = events.firstIndex { $0.topic == EventTopic.exit && $0.execID.isEmpty }
            try require(last.flatMap { last in end.map { last < $0 } } == true, "the last report is not before the end")
            try requireEqual(
                events.first { $0.topic == EventTopic.learned }?.syscalls.profile,
                "conformance",
                "profile"
            )
        }
    }

    private static func learnsOnAndOn(_ program: ShimProgram) throws {
        try ConformanceBundle.$guarding.withValue(GuardDocument(mode: "learn")) {
            let container = try GuardedContainer(program, ["until=\(allowed)", "call=\(refused)*3"], input: true)
            let managed = container.container
            try managed.start()
            for round in 0..<8 {
                // Most deaths come between a question and its answer.
                if round % 4 == 0 { try managed.upgrade() }
                try managed.succeed()
            }
            try requireEqual(managed.state().status, .running, "state")
            try managed.call(.closeIO, TaskCloseIORequest.with { ($0.id, $0.stdin) = (managed.id, true) })
            _ = try managed.waitForExit()
            let made = try managed.output().split(separator: "\n").first?.split(separator: " ").last.flatMap {
                UInt64($0)
            }
            try requireEqual(try container.count(allowed, "allowed"), made ?? 0, "calls")
            try requireEqual(try container.count(refused, "EPERM"), 3, "refused calls")
        }
    }

    private static func denies(_ program: ShimProgram) throws {
        try ConformanceBundle.$guarding.withValue(GuardDocument(mode: "enforce")) {
            let container = try GuardedContainer(program, ["pause"])
            let managed = container.container
            try managed.start()
            for round in 1...2 {
                let name = "e\(round)"
                try managed.addExec(name, container.process(["call=\(refused)*3", "pause"]))
                let pid = try managed.start(name)
                let begin = Clock.monotonic.now
                var use: ShimSyscallUse?
                while use == nil {
                    let after = try managed.events().last?.seq ?? 0
                    use = try container.uses(EventTopic.denials).first { $0.execID == name }
                    guard use == nil else { break }
                    let request = ShimEventsRequest.with { ($0.afterSeq, $0.waitMilliseconds) = (after, 1000) }
                    _ = try managed.client.supervisor(.events, request, ShimEventsResponse.self)
                    try require(Clock.monotonic.now - begin < .seconds(3), "no denial is told")
                }
                let time = Clock.monotonic.now - begin
                try require(time < second, "the denial was told after \(time)")
                let told = use ?? .init()
                try requireEqual(told.pid, pid, "pid")
                try requireEqual(told.command, "syscall-load", "command")
                try requireEqual(told.number, Int32(refused), "number")
                try requireEqual(told.answer, "EPERM", "answer")
                // The first of them is told at once, and the others with what follows.
                while try container.count(refused, "EPERM") < UInt64(3 * round) {
                    try require(Clock.monotonic.now - begin < ConformanceContainer.patience, "not all are told")
                    Clock.sleep(.milliseconds(2))
                }
                try requireEqual(try container.count(refused, "EPERM"), UInt64(3 * round), "count")
            }
            try managed.kill(.kill)
            try requireEqual(managed.waitForExit(), 137, "status")
        }
    }

    private static func kills(_ program: ShimProgram) throws {
        try ConformanceBundle.$guarding.withValue(GuardDocument(mode: "kill")) {
            let container = try GuardedContainer(program, ["pause"])
            let managed = container.container
            try managed.start()
            // What the kernel is said not to have is no offence.
            try managed.addExec("e", container.process(["call=435", "call=\(refused)", "call=39"]))
            try managed.start("e")
            try requireEqual(managed.waitForExit("e"), 137, "status of the exec session")
            try managed.kill(.kill)
            try requireEqual(managed.waitForExit(), 137, "status")
            try requireEqual(container.uses(EventTopic.denials).map(\.answer), ["killed"], "answers")
        }
    }

    private static func audits(_ program: ShimProgram) throws {
        var document = GuardDocument(mode: "audit")
        document.filter["syscalls"] = [["names": ["getpgrp", "unshare", "clone3"], "action": "SCMP_ACT_ERRNO"]]
        try ConformanceBundle.$guarding.withValue(document) {
            let container = try GuardedContainer(
                program,
                ["call=\(refused)", "call=272,0x10000000", "call=435"]
            )
            try container.container.start()
            try requireEqual(container.container.waitForExit(), 0, "status")
            let output = try container.container.output().split(separator: "\n")
            try require(!output[0].contains("error"), "the call was not made: \(output[0])")
            try require(output[1].contains("error 1"), "a dangerous call was made: \(output[1])")
            try require(output[2].contains("error 1"), "clone3 was made: \(output[2])")
            let answers = try container.uses(EventTopic.denials).map { "\($0.number) \($0.answer)" }.sorted()
            try requireEqual(answers, ["111 allowed", "272 EPERM", "435 EPERM"], "answers")
        }
    }

    private static func floods(_ program: ShimProgram) throws {
        try ConformanceBundle.$guarding.withValue(GuardDocument(mode: "enforce")) {
            let container = try GuardedContainer(program, ["threads=4*\(refused)", "pause"])
            let managed = container.container
            try managed.start()
            let begin = Clock.monotonic.now
            var slowest = Duration.zero
            for _ in 0..<200 {
                let start = Clock.monotonic.now
                _ = try managed.state()
                slowest = max(slowest, Clock.monotonic.now - start)
            }
            try require(slowest < second / 2, "a call of another client took \(slowest)")
            try managed.addExec("e", container.process(["call=39"]))
            try managed.start("e")
            try requireEqual(managed.waitForExit("e"), 0, "status of an exec session")
            // With nobody who acknowledges there are no more than some reports, and the last.
            while Clock.monotonic.now - begin < .milliseconds(1500) { _ = try managed.state() }
            try managed.kill(.kill)
            try requireEqual(managed.waitForExit(), 137, "status")
            try require(try container.count(refused, "EPERM") > 1000, "hardly any call was told")
            let reports = try managed.events().filter { $0.topic == EventTopic.denials }
            try require(reports.count <= 6, "\(reports.count) reports")
        }
    }
}

/// A container whose program is `syscall-load`.
final class GuardedContainer {
    let container: ManagedContainer

    init(_ program: ShimProgram, _ words: [String], input: Bool = false, noNewPrivileges: Bool = false) throws {
        container = try ManagedContainer(
            program,
            .init(arguments: ["/bin/syscall-load"] + words, noNewPrivileges: noNewPrivileges),
            input: input
        ) { root in
            let helper = try File.read(SyscallLoad.path(), limit: 16 << 20)
            try File.writeAtomically(root + "/bin/syscall-load", helper, mode: 0o755, durable: false)
        }
    }

    func process(_ words: [String], noNewPrivileges: Bool = false) -> ConformanceBundle.Process {
        .init(arguments: ["/bin/syscall-load"] + words, noNewPrivileges: noNewPrivileges)
    }

    /// All that was told under a topic so far.
    func uses(_ topic: String) throws -> [ShimSyscallUse] {
        try container.events().filter { $0.topic == topic }.flatMap(\.syscalls.uses)
    }

    /// How often a call was told with an answer, in all reports.
    func count(_ number: Int, _ answer: String) throws -> UInt64 {
        try (uses(EventTopic.learned) + uses(EventTopic.denials))
            .filter { $0.number == Int32(number) && $0.answer == answer }.reduce(0) { $0 + $1.count }
    }
}
