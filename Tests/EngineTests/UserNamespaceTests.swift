import EngineModel
import EngineSpec
import Kernel
import OCISpec
import Testing

/// Who gets a user namespace, and which ids.
struct UserNamespaceTests {
    // Modes -----------------------------------------------------------------------------------------------------------

    @Test func modes() throws {
        #expect(try UserNamespaceMode(parsing: "") == nil)
        #expect(try UserNamespaceMode(parsing: "host") == .host)
        #expect(try UserNamespaceMode(parsing: "auto") == .auto(size: nil))
        #expect(try UserNamespaceMode(parsing: "private") == .auto(size: nil))
        #expect(try UserNamespaceMode(parsing: "auto:size=1000") == .auto(size: 1000))
    }

    @Test(
        arguments: [
            "Host", "auto:", "auto:size=", "auto:size=999", "auto:size=16777217", "auto:size=-1", "auto:uid=1",
            "host:x", ":",
            "container:x", "keep-id",
        ]
    )
    func badModes(text: String) {
        #expect { try UserNamespaceMode(parsing: text) } throws: { ($0 as? EngineError)?.code == .invalidArgument }
    }

    // Decision --------------------------------------------------------------------------------------------------------

    func outcome(
        missing: [String] = [],
        maps: Bool = true,
        byDefault: UserNamespaceMode = .auto(size: nil),
        joined: [UserNamespaceDecision.Joined] = [],
        _ change: (inout ContainerConfiguration) -> Void = { _ in }
    ) throws -> UserNamespaceDecision.Outcome {
        var configuration = ContainerConfiguration(image: "x")
        change(&configuration)
        var decision = UserNamespaceDecision(
            defaultMode: byDefault,
            missing: missing,
            backend: "b",
            backendMaps: maps
        )
        decision.joined = joined
        return try decision.outcome(configuration)
    }

    func isHost(_ outcome: UserNamespaceDecision.Outcome, because word: String) -> Bool {
        if case .host(let reason) = outcome { return reason.contains(word) }
        return false
    }

    @Test func theDefaultIsARangeOfItsOwn() throws {
        guard case .own(let size, _) = try outcome() else {
            Issue.record("no range")
            return
        }
        #expect(size == 65_536)
        #expect(isHost(try outcome(byDefault: .host), because: "configuration"))
    }

    @Test func whatTheKernelForcesImpliesHost() throws {
        #expect(isHost(try outcome { $0.privileged = true }, because: "--privileged"))
        #expect(isHost(try outcome { $0.network = .host }, because: "--network host"))
        #expect(isHost(try outcome { $0.pidMode = .host }, because: "--pid host"))
        #expect(isHost(try outcome { $0.ipcMode = .host }, because: "--ipc host"))
        #expect(!isHost(try outcome { $0.utsMode = .host }, because: ""))
        #expect(isHost(try outcome { $0.userNamespace = .host }, because: "client"))
    }

    @Test func autoWithWhatImpliesHostIsRefusedByName() {
        for (change, word) in [
            ({ $0.privileged = true }, "--privileged"), ({ $0.network = .host }, "--network host"),
            ({ $0.pidMode = .host }, "--pid host"),
        ] as [((inout ContainerConfiguration) -> Void, String)] {
            #expect {
                try outcome {
                    change(&$0)
                    $0.userNamespace = .auto(size: nil)
                }
            } throws: { error in
                let error = error as? EngineError
                return error?.code == .invalidArgument && error?.message.contains(word) == true
            }
        }
    }

    @Test func aNodeWithoutGivesHostUnlessItWasAskedFor() throws {
        #expect(isHost(try outcome(missing: ["a thing"]), because: "a thing"))
        #expect(isHost(try outcome(maps: false), because: "backend 'b'"))
        for (missing, maps) in [(["a thing"], true), ([], false)] {
            #expect {
                try outcome(missing: missing, maps: maps) { $0.userNamespace = .auto(size: nil) }
            } throws: { ($0 as? EngineError)?.code == .failedPrecondition }
        }
    }

    func other(_ option: String, _ range: IDRange?) -> UserNamespaceDecision.Joined {
        .init(option: option, id: .random(), setting: UserNamespaceSetting(range: range, reason: "test"))
    }

    @Test func joiningSharesOrImpliesHost() throws {
        let range = IDRange(first: 524_288, size: 65_536)
        let with = other("--network container:a", range)
        let without = other("--pid container:b", nil)
        guard case .shared(range, with: with.id, _) = try outcome(joined: [with]) else {
            Issue.record("not shared")
            return
        }
        #expect(isHost(try outcome(joined: [with, without]), because: "--pid container:b"))
        #expect(isHost(try outcome(joined: [with]) { $0.userNamespace = .host }, because: "client"))
        #expect(throws: EngineError.self) {
            try outcome(joined: [without]) { $0.userNamespace = .auto(size: nil) }
        }
        #expect(throws: EngineError.self) {
            try outcome(joined: [with, other("--ipc container:c", IDRange(first: 1 << 20, size: 65_536))])
        }
        #expect(throws: EngineError.self) {
            try outcome(joined: [with]) { $0.userNamespace = .auto(size: 1000) }
        }
    }

    @Test(arguments: ["65536", "0:65536", "root:65536", "65536:root", "4294967294"])
    func usersThatTheNamespaceHasNotAreRefused(user: String) throws {
        #expect {
            try outcome { $0.user = user }
        } throws: {
            ($0 as? EngineError)?.code == .invalidArgument
                && ($0 as? EngineError)?.message.contains("65536 ids") == true
        }
        #expect(isHost(try outcome(byDefault: .host) { $0.user = user }, because: ""))
        let range = IDRange(first: 524_288, size: 1000)
        #expect(throws: EngineError.self) {
            try outcome(joined: [other("--network container:a", range)]) { $0.user = user }
        }
    }

    @Test(arguments: ["", "65535", "65535:65535", "root", "root:root", "0:0"])
    func usersThatTheNamespaceHasAreTaken(user: String) throws {
        guard case .own = try outcome({ $0.user = user }) else {
            Issue.record("no range for \(user)")
            return
        }
    }

    // Pool ------------------------------------------------------------------------------------------------------------

    func pool(_ configured: [IDRange]? = nil, _ subuid: String = "", _ subgid: String = "") -> IDPool {
        IDPool(configured: configured, subuid: subuid, subgid: subgid)
    }

    @Test func defaultPoolLeavesOutWhatOthersHave() {
        #expect(pool().ranges == [524_288..<1_879_048_192])
        let people = "# note\nann:100000:65536\nbob:600000:65536\nbad line\nx:1:y\n"
        #expect(
            pool(nil, people, "carl:1000000:10\n").ranges == [
                524_288..<600_000, 665_536..<1_000_000, 1_000_010..<1_879_048_192,
            ]
        )
    }

    @Test func entriesForUsAreThePool() {
        let both = "ann:524288:65536\ncontainers:2000000:131072\n"
        #expect(pool(nil, both, "containers:2065536:200000\n").ranges == [2_065_536..<2_131_072])
        #expect(
            pool(nil, both + "berth:3000000:65536\n", both + "berth:3000000:65536\n").ranges == [3_000_000..<3_065_536]
        )
        // An entry in one file only is no pool: both kinds of ids are needed.
        #expect(pool(nil, both, "").ranges == [589_824..<2_000_000, 2_131_072..<1_879_048_192])
    }

    @Test func configuredPoolWins() throws {
        let ranges = try ["1048576:65536", "1114112:65536"].map { try IDRange(parsing: $0) }
        #expect(pool(ranges, "berth:3000000:65536", "berth:3000000:65536").ranges == [1_048_576..<1_179_648])
    }

    @Test(arguments: [
        "", "1", "1:1:1", "0:65536", "65535:10", "2147483647:2", "x:1", "70000:0", "4294967296:1", "-1:5",
    ])
    func badPools(text: String) {
        #expect { try IDRange(parsing: text) } throws: { ($0 as? EngineError)?.code == .invalidArgument }
    }

    @Test func rangesNeverMeetAndTheLatestFreedComesLast() throws {
        let pool = IDPool([524_288..<(524_288 + 4 * 65_536)], source: "test")
        var taken: [IDRange] = []
        for index in 0..<4 {
            let range = try #require(pool.allocate(65_536, taken: taken, after: taken.last?.end ?? 0))
            #expect(range.first == UInt32(524_288 + index * 65_536))
            taken.append(range)
        }
        #expect(pool.allocate(65_536, taken: taken, after: 0) == nil)
        let freed = taken.remove(at: 1)
        #expect(pool.allocate(65_536, taken: taken, after: taken[1].end) == freed)
        #expect(pool.allocate(65_537, taken: taken, after: 0) == nil)
        #expect(pool.allocate(1000, taken: taken, after: 0)?.first == freed.first)
    }

    @Test func aPlaceIsFoundInAnyOrderOfSizes() {
        let pool = IDPool([524_288..<1_000_000, 2_000_000..<3_000_000], source: "test")
        var taken: [IDRange] = []
        var cursor: UInt64 = 0
        for size: UInt32 in [1000, 65_536, 100_000, 65_537, 200_000, 1000, 300_000] {
            guard let range = pool.allocate(size, taken: taken, after: cursor) else { continue }
            #expect(range.first % 65_536 == 0)
            #expect(pool.ranges.contains { $0.lowerBound <= range.first && range.end <= $0.upperBound })
            #expect(taken.allSatisfy { UInt64($0.first) >= range.end || UInt64(range.first) >= $0.end })
            taken.append(range)
            cursor = range.end
        }
        #expect(taken.count >= 6)
    }

    // Cgroups ---------------------------------------------------------------------------------------------------------

    @Test func cgroupManagerOfTheNode() {
        #expect(CgroupManager.resolve(.auto, systemdRuns: true) == .systemd)
        #expect(CgroupManager.resolve(.auto, systemdRuns: false) == .cgroupfs)
        #expect(CgroupManager.resolve(.cgroupfs, systemdRuns: true) == .cgroupfs)
        #expect(CgroupManager.resolve(.systemd, systemdRuns: false) == .systemd)
    }

    @Test func cgroupPlaces() throws {
        let id = ContainerID.random()
        func place(_ manager: CgroupManager, _ parent: String = "") throws -> CgroupPlace {
            try CgroupPlace(id, manager: manager, own: "berth", parent: parent)
        }
        #expect(try place(.cgroupfs).text == "/berth/\(id)")
        #expect(try place(.cgroupfs, "/a/./b/").directory == "/a/b/\(id)")
        #expect(try place(.systemd).text == "system.slice:berth:\(id)")
        #expect(try place(.systemd).directory == "/system.slice/berth-\(id).scope")
        #expect(try place(.systemd, "a-b-c.slice").directory == "/a.slice/a-b.slice/a-b-c.slice/berth-\(id).scope")
        #expect(try place(.systemd, "-.slice").directory == "/berth-\(id).scope")
    }

    @Test(arguments: ["/", "a/../b", "..", "a:b", "work.slice", "a\nb"])
    func badCgroupParents(parent: String) {
        #expect(throws: EngineError.self) {
            try CgroupPlace(.random(), manager: .cgroupfs, own: "berth", parent: parent)
        }
    }

    @Test(arguments: ["/a", "a", ".slice", "a/b.slice", "a:b.slice", "-a.slice", "a-.slice", "a--b.slice", "a b.slice"])
    func badSlices(parent: String) {
        #expect(throws: EngineError.self) {
            try CgroupPlace(.random(), manager: .systemd, own: "berth", parent: parent)
        }
    }
}
