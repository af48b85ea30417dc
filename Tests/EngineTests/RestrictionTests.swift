import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import ShimProtocol
import SwiftProtobuf
import Testing

@Suite struct RestrictionTests {
    static func restricted(
        _ options: [(String, String)],
        default backend: String = "native",
        _ change: (inout ContainerConfiguration) -> Void = { _ in }
    ) throws -> ContainerConfiguration {
        var configuration = ContainerConfiguration(image: "busybox")
        change(&configuration)
        var restriction = RestrictionOptions()
        for (name, value) in options { try restriction.take(name, value) }
        try configuration.restrict(restriction, defaultBackend: backend)
        return configuration
    }

    @Test func aProfileTakesRightsAway() throws {
        let configuration = try Self.restricted([("berth.profile", "web")]) { $0.capabilitiesToAdd = ["CHOWN"] }
        #expect(configuration.restriction == Self.restriction("web", .enforce))
        #expect(configuration.backend == "restricted")
        #expect(configuration.capabilitiesToDrop == ["ALL"] && configuration.capabilitiesToAdd == ["CHOWN"])
        #expect(configuration.readonlyRootfs && configuration.noNewPrivileges)
        #expect(configuration.tmpfs.keys.sorted() == ["/run", "/tmp", "/var/tmp"])
    }

    private static func restriction(_ name: String, _ mode: Restriction.Mode) -> Restriction? {
        // There is no public way to make one: it comes of options.
        var options: [(String, String)] = mode == .learn ? [("berth.learn", name)] : [("berth.profile", name)]
        if mode != .learn, mode != .enforce { options.append(("berth.mode", mode.rawValue)) }
        return try? restricted(options).restriction
    }

    @Test func learningHasTheSameDefaults() throws {
        let learning = try Self.restricted([("berth.learn", "web"), ("berth.allow", "bpf,socket:AF_ALG")])
        #expect(learning.restriction?.mode == .learn)
        #expect(learning.restriction?.allowed == ["bpf", "socket:AF_ALG"])
        var held = try Self.restricted([("berth.profile", "web")])
        held.restriction = learning.restriction
        #expect(held == learning)
    }

    @Test func withoutOptionsNothingChanges() throws {
        #expect(try Self.restricted([]) == ContainerConfiguration(image: "busybox"))
        #expect(try Self.restricted([("berth.readonly", "false")]) == ContainerConfiguration(image: "busybox"))
        #expect(try Self.restricted([("berth.readonly", "true")]).readonlyRootfs)
    }

    @Test(arguments: [true, false])
    func theBackendAloneTakesRightsAway(isDefault: Bool) throws {
        func made(
            _ options: [(String, String)] = [],
            _ change: (inout ContainerConfiguration) -> Void = { _ in }
        ) throws -> ContainerConfiguration {
            try Self.restricted(options, default: isDefault ? "restricted" : "native") { configuration in
                if !isDefault { configuration.backend = "restricted" }
                change(&configuration)
            }
        }
        let plain = try made { $0.capabilitiesToAdd = ["CHOWN"] }
        #expect(plain.capabilitiesToDrop == ["ALL"] && plain.capabilitiesToAdd == ["CHOWN"] && plain.restriction == nil)
        #expect(
            plain.readonlyRootfs && plain.noNewPrivileges && plain.tmpfs.keys.sorted() == ["/run", "/tmp", "/var/tmp"]
        )
        #expect(plain.tmpfs.values.allSatisfy { $0.hasSuffix(",\(Restriction.ifPresent)") })
        let writable = try made([("berth.readonly", "false")])
        #expect(!writable.readonlyRootfs && writable.tmpfs.isEmpty && writable.capabilitiesToDrop == ["ALL"])
        // All rights are asked for by name.
        let privileged = try made { $0.privileged = true }
        #expect(privileged.capabilitiesToDrop.isEmpty && !privileged.readonlyRootfs)
        // Another backend is another's business.
        let other = try made { $0.backend = "oci" }
        #expect(other.capabilitiesToDrop.isEmpty && !other.readonlyRootfs)
    }

    @Test func whatTheClientMountsWins() throws {
        let configuration = try Self.restricted([("berth.profile", "web")]) {
            $0.tmpfs = ["/run": "exec"]
            $0.binds = ["/data:/tmp:ro"]
            $0.mounts = [MountRequest(kind: .volume, source: "v", target: "/var/tmp/")]
        }
        #expect(configuration.tmpfs == ["/run": "exec"])
        let writable = try Self.restricted([("berth.profile", "web"), ("berth.readonly", "false")])
        #expect(!writable.readonlyRootfs && writable.tmpfs.isEmpty)
    }

    static let contradictions: [([(String, String)], String)] = [
        ([("berth.learn", "a"), ("berth.profile", "b")], "berth.profile"),
        ([("berth.learn", "a"), ("berth.mode", "kill")], "berth.mode"), ([("berth.mode", "kill")], "berth.profile"),
        ([("berth.profile", "a"), ("berth.mode", "learn")], "enforce"),
        ([("berth.profile", "a"), ("berth.mode", "x")], "'x'"),
        ([("berth.profile", "a"), ("berth.profile", "b")], "twice"),
        ([("berth.allow", "bpf")], "berth.learn"), ([("berth.profile", "")], "no value"),
        ([("berth.nonsense", "1")], "berth.learn"), ([("berth.readonly", "maybe")], "maybe"),
        ([("berth.profile", "a"), ("berth.readonly", "maybe")], "maybe"),
    ]

    @Test(arguments: contradictions)
    func contradictionsNameTheOption(_ options: [(String, String)], _ word: String) {
        let error = #expect(throws: EngineError.self) { try Self.restricted(options) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }

    @Test func otherBackendsAndFiltersAreRefusedByName() {
        let changes: [(inout ContainerConfiguration) -> Void] = [
            { $0.backend = "native" }, { $0.privileged = true }, { $0.seccomp = .unconfined },
            { $0.seccomp = .json("{}") },
        ]
        for change in changes {
            let error = #expect(throws: EngineError.self) { try Self.restricted([("berth.profile", "a")], change) }
            #expect(error?.code == .invalidArgument)
        }
        // A filter of the client's is the ceiling of what is learned.
        #expect(throws: Never.self) { try Self.restricted([("berth.learn", "a")]) { $0.seccomp = .json("{}") } }
        #expect(throws: EngineError.self) { try Self.restricted([("berth.learn", "a")]) { $0.seccomp = .unconfined } }
        #expect(throws: Never.self) { try Self.restricted([("berth.profile", "a")]) { $0.backend = "restricted" } }
    }
}

@Suite struct SystemCallStoreTests {
    static func denial(
        _ number: UInt32,
        count: UInt64 = 1,
        at seconds: Int64 = 100,
        profile: String = "web"
    ) -> DenialRecord {
        DenialRecord(
            profile: profile,
            container: "c1",
            name: "web",
            mode: "enforce",
            exec: "",
            command: "sh",
            architecture: 0xc000_003e,
            number: number,
            argument: number == 41 ? 0x8000_0000_0000_0010 : nil,
            answer: "EPERM",
            pid: UInt32(seconds),
            count: count,
            first: Timestamp(seconds: seconds, nanoseconds: 0),
            last: Timestamp(seconds: seconds, nanoseconds: 5)
        )
    }

    static func withStore(_ body: (Store) async throws -> Void) async throws {
        let directory = "/tmp/berth-calls-\(Random.hex(8))"
        try File.makeDirectory(directory)
        defer { _ = try? File.removeTree(directory) }
        let store = try Store(path: directory + "/berth.db", publish: { _ in })
        try await body(store)
        try store.close()
    }

    @Test func denialsOfAKindAreSummedUp() async throws {
        try await Self.withStore { store in
            for (number, seconds) in [(41, 100), (101, 200), (41, 50), (41, 300)] as [(UInt32, Int64)] {
                try await store.write(events: [], Self.denial(number, count: 2, at: seconds).addition)
            }
            try await store.write(events: [], Self.denial(41, profile: "other").addition)
            let found = try await store.denials(profile: "web").denials
            #expect(found.map(\.number) == [41, 101])
            #expect(found.map(\.count) == [6, 2])
            #expect(found.first?.argument == 0x8000_0000_0000_0010)
            #expect(found.first?.pid == 300)
            #expect(found.first?.first.seconds == 50 && found.first?.last.seconds == 300)
            #expect(try await store.denials(profile: nil).denials.count == 3)
            try await store.forgetDenials(profile: "web")
            #expect(try await store.denials(profile: nil).denials.map(\.profile) == ["other"])
        }
    }

    @Test func countsThatAreTooGreatStayGreat() async throws {
        try await Self.withStore { store in
            for _ in 0..<4 { try await store.write(events: [], Self.denial(1, count: .max).addition) }
            let count = try await store.denials(profile: "web").denials.first?.count ?? 0
            #expect(count >= UInt64(Int64.max / 2) && count <= UInt64(Int64.max))
        }
    }

    @Test func theNewestKindsAreKept() async throws {
        try await Self.withStore { store in
            for number: UInt32 in 0..<20 {
                try await store.write(events: [], Self.denial(number, at: Int64(number)).addition)
            }
            try await store.write(events: [], DenialRecord.trim(keeping: 5))
            #expect(try await store.denials(profile: "web").denials.map(\.number) == [19, 18, 17, 16, 15])
        }
    }

    @Test func whatWasLearnedStaysUntilItIsForgotten() async throws {
        try await Self.withStore { store in
            for text in ["a", "b", "c"] { try await store.write(events: [], LearnedRow.insertion(text, into: "web")) }
            try await store.write(events: [], LearnedRow.insertion("x", into: "other"))
            let rows = try await store.learned("web")
            #expect(rows.map(\.document) == ["a", "b", "c"])
            #expect(try await store.learningProfiles() == ["other", "web"])
            try await store.forgetLearned("web", upTo: rows[1].sequence)
            #expect(try await store.learned("web").map(\.document) == ["c"])
            try await store.forgetLearned("web", upTo: nil)
            // A number is never used again: a profile's file says up to which it has them.
            try await store.write(events: [], LearnedRow.insertion("d", into: "web"))
            #expect(try #require(await store.learned("web").first).sequence > rows[2].sequence)
        }
    }

    /// What a shim leaves in its file when it dies is read as it would have been told.
    @Test func aJournalLineIsAReport() throws {
        let line = """
            {"seq":7,"time":"2026-01-01T00:00:00Z","topic":"/berth/denials","container":"c","syscalls":{"profile":"web",\
            "mode":"enforce","last":true,"uses":[{"exec":"e","pid":9,"command":"sh","architecture":3221225534,"number":-1,\
            "argument":68719476752,"count":3,"first":"2026-01-01T00:00:01Z","lastSeen":"2026-01-01T00:00:02Z",\
            "answer":"EPERM"},{"architecture":3221225534,"number":101,"count":1,"answer":"killed"}]}}

            """
        let event = try #require(JournalFile.parse(Array(line.utf8), after: 0).first)
        #expect(event.topic == EventTopic.denials)
        let report = event.syscalls
        #expect(report.profile == "web" && report.mode == "enforce" && report.last)
        #expect(report.uses.count == 2)
        #expect(
            report.uses[0].number == -1 && report.uses[0].argument == 68_719_476_752 && report.uses[0].hasArgument_p
        )
        #expect(report.uses[0].first.seconds + 1 == report.uses[0].lastSeen.seconds)
        #expect(!report.uses[1].hasArgument_p && report.uses[1].answer == "killed")
    }
}

/// Rules for files, which are asked for by an option of their own.
@Suite struct AccessRulesTests {
    @Test func theOptionChoosesTheBackend() throws {
        for rules in AccessRules.allCases {
            let configuration = try RestrictionTests.restricted([("berth.landlock", rules.rawValue)])
            #expect(configuration.accessRules == rules && configuration.backend == "restricted")
            #expect(configuration.restriction == nil && configuration.capabilitiesToDrop == ["ALL"])
        }
        #expect(throws: EngineError.self) { try RestrictionTests.restricted([("berth.landlock", "on")]) }
        #expect(throws: EngineError.self) {
            try RestrictionTests.restricted([("berth.landlock", "off")]) { $0.backend = "native" }
        }
    }

    @Test func whatTheKernelLacksIsSaidOrRefused() throws {
        var configuration = ContainerConfiguration(image: "busybox")
        func lack(_ version: Int, _ backend: String = "restricted") throws -> String? {
            try ConfigurationCheck.rules(configuration, backend: backend, version: version)
        }
        #expect(try lack(2) == nil && lack(0, "native") == nil)
        #expect(try lack(1) != nil && lack(0) != nil)
        configuration.accessRules = .off
        #expect(try lack(0) == nil)
        configuration.accessRules = .required
        #expect(try lack(2) == nil)
        for version in [0, 1] {
            #expect { try lack(version) } throws: { ($0 as? EngineError)?.code == .unsupported }
        }
    }
}
