import OCISpec
import Seccomp
import Testing
import WorkloadProfiles

/// Makes reports as a shim does.
enum Learned {
    static func use(
        _ name: String,
        _ argument: UInt64? = nil,
        _ count: UInt64 = 1,
        answer: String = "allowed"
    ) throws
        -> ObservedUse
    {
        ObservedUse(
            architecture: SyscallNames.native,
            number: try #require(SyscallNames.number(of: name)),
            argument: argument,
            count: count,
            answer: answer
        )
    }

    static func run(_ container: String, complete: Bool = false) -> WorkloadProfile.Run {
        var run = WorkloadProfile.Run(
            container: container,
            run: "r1",
            name: "web",
            image: "busybox",
            command: ["sh"],
            started: "2026-01-01T00:00:00Z"
        )
        run.ended = complete ? "2026-01-01T00:00:01Z" : nil
        run.complete = complete
        return run
    }

    static func report(
        _ uses: [ObservedUse],
        container: String = "c1",
        complete: Bool = false,
        capabilities: [String] = [],
        allowed: [String] = []
    ) -> LearnedUses {
        LearnedUses(run: run(container, complete: complete), capabilities: capabilities, allowed: allowed, uses: uses)
    }

    static func profile() throws -> WorkloadProfile {
        var profile = try WorkloadProfile(name: "web")
        profile.merge(
            report(
                [
                    try use("read", nil, 7), try use("execve"), try use("socket", 2, 3), try use("socket", 16),
                    try use("clone", 0, 2), try use("ioctl", 0x5401), try use("mmap", 3), try use("mmap", 5),
                    try use("prctl", 15), try use("fcntl", 1030), try use("personality", 0xffff_ffff),
                    try use("keyctl", nil, 2, answer: "EPERM"), try use("clone3", nil, 9, answer: "ENOSYS"),
                    try use("acct", nil, 1, answer: "ENOSYS"), try use("socket", 38, 4),
                    try use("unshare", 0x1000_0000),
                    try use("ptrace"),
                ],
                complete: true
            )
        )
        return profile
    }
}

@Suite struct WorkloadProfileTests {
    static func verdict(_ filter: RuntimeSpec.Seccomp, _ name: String, _ arguments: [UInt64] = []) throws -> UInt32? {
        let program = BPFInterpreter(try SeccompCompiler.compile(filter))
        let number = try #require(SyscallNames.number(of: name))
        return program.verdict(on: SystemCall(architecture: SyscallNames.native, number: number, arguments: arguments))
    }

    @Test func whatWentThroughIsLearnedAndWhatIsDangerousIsNot() throws {
        let profile = try Learned.profile()
        #expect(
            Set(profile.calls.keys) == [
                "read", "execve", "socket", "clone", "ioctl", "mmap", "prctl", "fcntl", "personality",
            ]
        )
        #expect(profile.calls["read"]?.use == .init(count: 7, runs: [1]))
        #expect(profile.calls["socket"]?.classes == [2: .init(count: 3, runs: [1]), 16: .init(count: 1, runs: [1])])
        #expect(Set(profile.dangerous.keys) == ["socket", "unshare", "ptrace"])
        #expect(profile.dangerous["socket"]?.classes.keys.first == 38)
        // clone3 is asked by every program with threads and says nothing.
        #expect(Set(profile.refused.keys) == ["keyctl", "acct"])
        #expect(profile.refused["keyctl"]?.answer == "EPERM")
        #expect(profile.incompleteRuns.isEmpty)
    }

    @Test func theFilterDecidesAsTheProfileSays() throws {
        let filter = try Learned.profile().filter
        let denied = Verdict.errno(1)
        let absent = Verdict.errno(38)
        let wanted: [(String, [UInt64], UInt32)] = [
            ("read", [], Verdict.allow), ("exit_group", [], Verdict.allow), ("rt_sigreturn", [], Verdict.allow),
            ("write", [], denied), ("keyctl", [], denied), ("acct", [], absent), ("clone3", [], absent),
            ("socket", [2], Verdict.allow), ("socket", [16, 3, 0], Verdict.allow), ("socket", [16, 3, 9], denied),
            ("socket", [38], denied), ("socket", [1 << 32 | 38], denied), ("socket", [10], denied),
            ("socket", [99], absent), ("clone", [17], Verdict.allow), ("clone", [0x1000_0011], denied),
            ("unshare", [0], denied), ("ptrace", [], denied), ("ioctl", [1, 0x5401], Verdict.allow),
            ("ioctl", [1, 0xffff_ffff_0000_5401], Verdict.allow), ("ioctl", [1, 0x5412], absent),
            ("mmap", [0, 0, 3], Verdict.allow), ("mmap", [0, 0, 7], denied),
            ("mmap", [0, 0, 0x0100_0005], Verdict.allow),
            ("prctl", [15], Verdict.allow), ("prctl", [22], absent), ("personality", [0], denied),
        ]
        for (name, arguments, verdict) in wanted {
            #expect(try Self.verdict(filter, name, arguments) == verdict, "\(name) \(arguments)")
        }
        // Another convention than the machine's own is none of the profile's.
        let program = BPFInterpreter(try SeccompCompiler.compile(filter))
        #expect(program.verdict(on: SystemCall(architecture: 0x4000_0003, number: 3)) == Verdict.killProcess)
        #expect(
            program.verdict(on: SystemCall(architecture: SyscallNames.native, number: 0x4000_0000)) != Verdict.allow
        )
        #expect(program.verdict(on: SystemCall(architecture: SyscallNames.native, number: 1000)) == absent)
    }

    /// Whether the shim's counts come before the word that it never began, or after.
    @Test(arguments: [true, false])
    func nothingIsLearnedOfARunThatNeverBegan(isTold: Bool) throws {
        var failed = Learned.report([], container: "c9")
        failed.run.failed = "no such program"
        // A shim of before tells of the execve that failed, and that this was all.
        let counts = Learned.report(
            [
                try Learned.use("execve"), try Learned.use("read"), try Learned.use("socket", 2),
                try Learned.use("acct"),
            ],
            container: "c9",
            complete: true
        )
        var profile = try WorkloadProfile(name: "p")
        for report in isTold ? [counts, failed] : [failed, counts] { profile.merge(report) }
        #expect(profile.calls.isEmpty && profile.refused.isEmpty && profile.dangerous.isEmpty)
        #expect(profile.failedRun?.failed == "no such program" && profile.runs.map(\.complete) == [false])
        #expect(profile.incompleteRuns.isEmpty)
        // What others have called stays, and one that began is enough.
        let before = try Learned.profile()
        var other = before
        for report in isTold ? [counts, failed] : [failed, counts] { other.merge(report) }
        #expect(Set(other.calls.keys) == Set(before.calls.keys) && other.failedRun == nil)
        let again = try WorkloadProfile(document: other.document())
        #expect(again == other)
    }

    @Test func mergingAddsAndKeepsTheRunsApart() throws {
        var profile = try Learned.profile()
        profile.merge(Learned.report([try Learned.use("read", nil, 3), try Learned.use("write")], container: "c2"))
        profile.merge(
            Learned.report([try Learned.use("read")], container: "c2", capabilities: ["CAP_KILL"])
        )
        #expect(profile.calls["read"]?.use == .init(count: 11, runs: [1, 2]))
        #expect(profile.calls["write"]?.use.runs == [2])
        #expect(profile.runs.map(\.number) == [1, 2])
        #expect(profile.incompleteRuns.map(\.container) == ["c2"])
        profile.merge(Learned.report([], container: "c2", complete: true))
        #expect(profile.incompleteRuns.isEmpty)
        #expect(profile.capabilities == ["CAP_KILL"])
    }

    @Test func whatIsNamedIsTakenUp() throws {
        var profile = try Learned.profile()
        profile.allow([try CallSelector(parsing: "socket:AF_ALG"), try CallSelector(parsing: "ptrace")])
        #expect(profile.calls["socket"]?.classes[38]?.count == 4)
        #expect(profile.calls["ptrace"]?.use.count == 1)
        #expect(Set(profile.dangerous.keys) == ["unshare"])
        #expect(try Self.verdict(profile.filter, "socket", [38]) == Verdict.allow)
        #expect(try Self.verdict(profile.filter, "ptrace") == Verdict.allow)
        #expect(try Self.verdict(profile.filter, "unshare", [0x1000_0000]) == Verdict.errno(1))
        // Named before it is seen, it is learned like any other.
        var fresh = try WorkloadProfile(name: "p")
        fresh.merge(
            Learned.report(
                [try Learned.use("unshare", 0x1000_0000), try Learned.use("unshare", 0x2000_0000)],
                allowed: ["unshare:CLONE_NEWUSER"]
            )
        )
        #expect(fresh.calls["unshare"]?.classes.keys.map(\.self) == [0x1000_0000])
        #expect(fresh.dangerous["unshare"]?.classes.keys.map(\.self) == [0x2000_0000])
    }

    @Test(arguments: [
        ("nonsense", "no such call"), ("socket:AF_NONSENSE", "no such class"), ("read:1", "no classes"),
        ("", "nothing"),
        ("socket:", "empty class"),
    ])
    func whatCannotBeNamedIsRefused(_ text: String, _ why: String) {
        #expect(throws: ProfileError.self, "\(why)") { try CallSelector(parsing: text) }
    }

    @Test func theCeilingLetsThroughWhatIsNamedAndNothingElse() throws {
        let base = DefaultProfile.profile(capabilities: [])
        let names = try ["io_uring_setup", "socket:AF_ALG", "unshare:CLONE_NEWUSER", "clone:CLONE_NEWNS"].map(
            CallSelector.init(parsing:)
        )
        let ceiling = WorkloadProfile.ceiling(base, naming: names)
        #expect(try Self.verdict(ceiling, "io_uring_setup") == Verdict.allow)
        #expect(try Self.verdict(ceiling, "socket", [38]) == Verdict.allow)
        #expect(try Self.verdict(ceiling, "unshare", [0x1000_0000]) == Verdict.allow)
        #expect(try Self.verdict(ceiling, "clone", [0x2_0011]) == Verdict.allow)
        for (name, arguments) in [
            ("io_uring_enter", []), ("socket", [40]), ("unshare", [0x1002_0000]), ("clone", [0x1000_0000]),
            ("clone", [0x1002_0000]),
        ] as [(String, [UInt64])] {
            #expect(try Self.verdict(ceiling, name, arguments) != Verdict.allow, "\(name)")
        }
        #expect(WorkloadProfile.ceiling(base, naming: []) == base)
    }

    @Test(arguments: ["", ".", "a/b", "-a", "a b", "a.promoted", String(repeating: "a", count: 65), "ä"])
    func namesAreFileNames(_ name: String) {
        #expect(throws: ProfileError.self) { try WorkloadProfile(name: name) }
    }
}

@Suite struct ProfileDocumentTests {
    @Test func aDocumentIsReadBack() throws {
        var profile = try Learned.profile()
        profile.allow([try CallSelector(parsing: "bpf")])
        profile.merged = 12
        #expect(try WorkloadProfile(document: profile.document()) == profile)
        let promoted = profile.promoted(at: "2026-01-01T00:00:00Z")
        #expect(try WorkloadProfile(document: promoted.document()) == promoted)
        let text = String(decoding: try profile.document(), as: UTF8.self)
        #expect(text.contains("\"AF_INET\"") && text.contains("\"TCGETS\"") && text.contains("\"PROT_READ|PROT_EXEC\""))
    }

    @Test(arguments: [
        ("\"version\" : 1", "\"version\" : 2"), ("\"version\" : 1", "\"version\" : 0"), ("\"web\"", "\"../web\""),
        ("AF_INET", "AF_WHAT"), ("\"read\"", "\"reed\""), ("SCMP_ARCH_", "SCMP_NONE_"), ("\"learned\"", "\"else\""),
        ("\"merged\" : 0", "\"merged\" : -1"), ("{", ""),
    ])
    func aWrongDocumentIsRefused(_ from: String, _ to: String) throws {
        let text = String(decoding: try Learned.profile().document(), as: UTF8.self)
        let wrong = text.replacing(from, with: to, maxReplacements: 1)
        #expect(wrong != text)
        #expect(throws: ProfileError.self) { try WorkloadProfile(document: Array(wrong.utf8)) }
    }

    @Test func aTruncatedDocumentIsRefusedAtEveryLength() throws {
        let bytes = try Learned.profile().document()
        for length in stride(from: 0, to: bytes.count - 2, by: 13) {
            #expect(throws: ProfileError.self) { try WorkloadProfile(document: Array(bytes.prefix(length))) }
        }
    }
}

@Suite struct ProfileExchangeTests {
    /// What is exported means the same to everybody: read again as Docker's form, each call and class is decided alike.
    @Test func anExportedProfileDecidesTheSame() throws {
        var random = SplitMix(state: 3)
        for round in 0..<3 {
            var profile = try Learned.profile()
            for name in AllowedCalls.names where Int.random(in: 0..<4, using: &random) == 0 {
                let kind = ArgumentClass(call: name)
                let argument = kind.map { kind in kind.named.randomElement(using: &random) ?? 0 }
                profile.merge(Learned.report([try Learned.use(name, argument)], container: "r\(round)"))
            }
            let filter = profile.filter
            let parsed = try DockerProfile.parse(profile.exported(exact: true), capabilities: [], kernel: "6.1.0")
            #expect(parsed.syscalls == filter.syscalls)
            let (own, other) = (
                BPFInterpreter(try SeccompCompiler.compile(filter)), BPFInterpreter(try SeccompCompiler.compile(parsed))
            )
            for number: UInt32 in 0..<600 {
                let kind = ArgumentClass.kind(architecture: SyscallNames.native, number: number)
                for value in [0] + (kind?.named ?? []) + (kind?.namedProtocols ?? []) {
                    let arguments = kind?.arguments(for: value) ?? []
                    let call = SystemCall(architecture: SyscallNames.native, number: number, arguments: arguments)
                    #expect(own.verdict(on: call) == other.verdict(on: call))
                }
            }
            #expect(try AllowedCalls(filter) == AllowedCalls(parsed))
        }
    }

    /// What the runtimes need besides is all there, and nothing of it is dangerous.
    @Test func whatOtherRuntimesNeedIsExported() throws {
        let profile = try Learned.profile()
        let parsed = try DockerProfile.parse(profile.exported(), capabilities: [], kernel: "6.1.0")
        let difference = ProfileDifference(try AllowedCalls(parsed), try AllowedCalls(profile.filter))
        #expect(difference.removed.isEmpty && difference.narrowed.isEmpty)
        #expect(difference.added.contains("futex") && difference.added.contains("capset"))
        let back = try WorkloadProfile.imported(profile.exported(), name: "again", naming: [], kernel: "6.1.0")
        #expect(back.leftOut.isEmpty && back.inexpressible.isEmpty)
    }

    @Test func anImportedProfileAllowsTheSameButWhatIsDangerous() throws {
        var profile = try Learned.profile()
        let back = try WorkloadProfile.imported(
            profile.exported(exact: true),
            name: "again",
            naming: [],
            kernel: "6.1.0"
        )
        #expect(try AllowedCalls(back.profile.filter) == AllowedCalls(profile.filter))
        #expect(back.leftOut.isEmpty && back.inexpressible.isEmpty)

        let named = try ["ptrace", "socket:AF_ALG", "unshare:CLONE_NEWUSER"].map(CallSelector.init(parsing:))
        profile.allow(named)
        let without = try WorkloadProfile.imported(
            profile.exported(exact: true),
            name: "again",
            naming: [],
            kernel: "6.1.0"
        )
        #expect(Set(without.leftOut) == ["ptrace", "socket:AF_ALG", "unshare:CLONE_NEWUSER"])
        #expect(try AllowedCalls(without.profile.filter) == AllowedCalls(Learned.profile().filter))
        let with = try WorkloadProfile.imported(
            profile.exported(exact: true),
            name: "again",
            naming: named,
            kernel: "6.1.0"
        )
        #expect(with.leftOut.isEmpty)
        #expect(try AllowedCalls(with.profile.filter) == AllowedCalls(profile.filter))
    }

    @Test func theDefaultProfileIsImportedWithoutItsDangers() throws {
        let filter = DefaultProfile.profile(capabilities: [])
        let json = try WorkloadProfileJSON.encode(filter)
        let back = try WorkloadProfile.imported(json, name: "default", naming: [], kernel: "6.1.0")
        #expect(back.leftOut.contains("ptrace") && back.leftOut.contains("process_vm_readv"))
        let (mine, base) = (try AllowedCalls(back.profile.filter), try AllowedCalls(filter))
        // Nothing that the document does not allow.
        #expect(mine.calls.keys.allSatisfy { base.calls[$0] != nil })
        #expect(mine.contains("socket", 2) && !mine.contains("socket", 17) && !mine.contains("socket", 38))
        #expect(mine.contains("clone", 0) && !mine.contains("clone", 0x1000_0000))
    }

    @Test func namingDoesNotBringInWhatTheDocumentRefuses() throws {
        let selectors = [try CallSelector(parsing: "bpf")]
        let back = try WorkloadProfile.imported(
            Learned.profile().exported(exact: true),
            name: "again",
            naming: selectors,
            kernel: "6.1.0"
        )
        #expect(back.profile.allowed.isEmpty)
        #expect(try AllowedCalls(back.profile.filter).calls["bpf"] == nil)
    }

    @Test(arguments: ["", "{}", "[]", #"{"defaultAction":"SCMP_ACT_ERRNO"}"#, #"{"defaultAction":"NONSENSE"}"#])
    func whatIsNoProfileIsRefused(_ text: String) {
        #expect(throws: (any Error).self) {
            try WorkloadProfile.imported(Array(text.utf8), name: "p", naming: [], kernel: "6.1.0")
        }
    }

    /// What lists count is what the filter lets through, as a comparison counts it.
    @Test func callsAreCountedAsTheFilterLetsThemThrough() throws {
        var profile = try Learned.profile()
        for name in ["exit_group", "socket:AF_NETLINK/NETLINK_ROUTE", "chroot"] {
            #expect(profile.allowedCalls == (try AllowedCalls(profile.filter).calls.count))
            profile.allowed.append(try CallSelector(parsing: name))
        }
        #expect(profile.allowedCalls == (try AllowedCalls(profile.filter).calls.count))
    }

    @Test func differencesAreCounted() throws {
        let mine = try AllowedCalls(Learned.profile().filter)
        let base = try AllowedCalls(DefaultProfile.profile(capabilities: []))
        let difference = ProfileDifference(mine, base)
        #expect(difference.allowed == 9 + 4)
        #expect(difference.otherAllowed > 250)
        #expect(difference.added.isEmpty)
        #expect(difference.removed.count == difference.otherAllowed - difference.allowed)
        #expect(difference.narrowed.contains { $0.hasPrefix("ioctl") })
        #expect(difference.widened.isEmpty)
        var wider = try Learned.profile()
        wider.allow([try CallSelector(parsing: "socket:AF_ALG"), try CallSelector(parsing: "bpf")])
        let other = ProfileDifference(try AllowedCalls(wider.filter), mine)
        #expect(other.added == ["bpf"])
        #expect(other.widened == ["socket:AF_ALG"])
        #expect(other.removed.isEmpty && other.narrowed.isEmpty)
    }
}

struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }
}
