import EngineContainer
import EngineModel
import EngineStore
import GRDB
import Kernel
import Logging
import OCISpec
import Testing
import WorkloadProfiles

/// What containers teach, from the database to the file.
@Suite struct ProfilesTests {
    private let directory: StoreTests.Directory
    private let damage = DamageLog(Logger(label: "test"))
    private let store: Store
    private let profiles: Profiles

    init() throws {
        directory = try StoreTests.Directory()
        store = try directory.open()
        profiles = Self.profiles(directory, store, damage)
    }

    private static func profiles(_ directory: StoreTests.Directory, _ store: Store, _ damage: DamageLog) -> Profiles {
        Profiles(
            directory: directory.path,
            store: store,
            pool: BlockingPool(threads: 1),
            damage: damage,
            logger: Logger(label: "test")
        )
    }

    private static let execve = ObservedUse(
        architecture: 0xc000_003e,
        number: 59,
        argument: nil,
        count: 3,
        answer: "allowed"
    )

    private func learned(_ run: String, _ uses: [ObservedUse] = [execve]) -> LearnedUses {
        let run = WorkloadProfile.Run(
            container: "c",
            run: run,
            name: "n",
            image: "i",
            command: ["x"],
            started: "now"
        )
        return LearnedUses(run: run, capabilities: ["CAP_KILL"], allowed: [], uses: uses)
    }

    private func teach(_ uses: LearnedUses) async throws {
        let insertion = try profiles.insertion(uses, into: "p")
        try await store.write(events: [], insertion)
    }

    private func restriction(_ mode: Restriction.Mode) throws -> Restriction {
        var options = RestrictionOptions()
        try options.take(mode == .learn ? "berth.learn" : "berth.profile", "p")
        var configuration = ContainerConfiguration(image: "x")
        try configuration.restrict(options, defaultBackend: "native")
        return try #require(configuration.restriction)
    }

    @Test func whatWasLearnedIsMergedOnce() async throws {
        #expect(try await profiles.learned("p") == nil)
        try await teach(learned("r1"))
        #expect(try await profiles.names() == ["p"])
        try await teach(learned("r2"))
        let profile = try #require(try await profiles.learned("p"))
        #expect(profile.calls["execve"]?.use.count == 6 && profile.runs.count == 2)
        #expect(profile.capabilities == ["CAP_KILL"])
        #expect(try await store.learned("p").isEmpty)
        #expect(try await profiles.learned("p") == profile)
        #expect(try profiles.files.read("p", .learned) == profile)
    }

    /// The manager died when the file was written and the database had not forgotten.
    @Test func whatIsInTheFileAlreadyIsNotAddedAgain() async throws {
        try await teach(learned("r1"))
        let rows = try await store.learned("p")
        let profile = try await profiles.learned("p")
        let document = try #require(rows.first)
        try await store.write(events: []) { db in
            try db.execute(
                sql: "INSERT INTO learned (sequence, profile, document) VALUES (?, 'p', ?)",
                arguments: [document.sequence, document.document]
            )
        }
        #expect(try await profiles.learned("p") == profile)
        #expect(try await store.learned("p").isEmpty)
    }

    /// A row's number says nothing in another database.
    @Test func aNewDatabaseBeginsAnew() async throws {
        try await teach(learned("r1"))
        #expect(try await profiles.learned("p")?.calls["execve"]?.use.count == 3)
        let second = try StoreTests.Directory()
        let other = try second.open()
        let later = Self.profiles(directory, other, damage)
        let insertion = try later.insertion(learned("r2"), into: "p")
        try await other.write(events: [], insertion)
        #expect(try await later.learned("p")?.calls["execve"]?.use.count == 6)
    }

    @Test func aDamagedRowIsNamedAndPassed() async throws {
        try await store.write(events: []) { db in
            try db.execute(sql: "INSERT INTO learned (profile, document) VALUES ('p', '{')")
        }
        try await teach(learned("r1"))
        #expect(try await profiles.learned("p")?.calls["execve"]?.use.count == 3)
        #expect(damage.lines.count == 1 && damage.lines[0].contains("'p'"), "\(damage.lines)")
        #expect(try await store.learned("p").isEmpty)
    }

    @Test func reportsAreGathered() {
        for _ in 0..<31 { #expect(!profiles.isDue("p", last: false)) }
        #expect(profiles.isDue("p", last: false))
        #expect(!profiles.isDue("p", last: false))
        #expect(profiles.isDue("p", last: true))
        #expect(!profiles.isDue("q", last: false))
    }

    @Test func aProfileIsNotTheOneThatHadItsNameBefore() async throws {
        try await teach(learned("r1"))
        let first = try #require(try await profiles.learned("p"))
        #expect(first.identity != nil)
        try profiles.files.write(first.promoted(at: "now"))
        #expect(try profiles.isCurrent("p", identity: first.identity))
        try await teach(learned("r2"))
        #expect(try await profiles.learned("p")?.identity == first.identity)
        _ = try profiles.files.remove("p")
        #expect(try !profiles.isCurrent("p", identity: first.identity))
        // What came between its removal and the next is the removed one's.
        try await store.write(events: [], SystemCallStoreTests.denial(41, profile: "p").addition)
        try await teach(learned("r3"))
        let second = try #require(try await profiles.learned("p"))
        #expect(try !profiles.isCurrent("p", identity: first.identity))
        #expect(try profiles.isCurrent("p", identity: second.identity))
        #expect(try await store.denials(profile: "p").denials.isEmpty)
        // Denials of a profile that is there stay, however often it learns.
        try await store.write(events: [], SystemCallStoreTests.denial(41, profile: "p").addition)
        try await teach(learned("r4"))
        _ = try await profiles.learned("p")
        #expect(try await store.denials(profile: "p").denials.count == 1)
    }

    @Test func onlyWhatIsPromotedIsEnforced() async throws {
        let base = RuntimeSpec.Seccomp(defaultAction: .errno, syscalls: [])
        let enforce = try restriction(.enforce)
        func code(_ body: () throws -> Void) -> (ErrorCode, EngineError.Reason)? {
            do { try body() } catch { return (error as? EngineError).map { ($0.code, $0.reason) } }
            return nil
        }
        #expect(code { try profiles.check(enforce) }?.0 == .notFound)
        try await teach(learned("r1"))
        let profile = try #require(try await profiles.learned("p"))
        #expect(code { try profiles.check(enforce) }?.1 == .conflict)
        #expect(code { _ = try profiles.filter(enforce, base: base) }?.1 == .conflict)
        try profiles.files.write(profile.promoted(at: "now"))
        try profiles.check(enforce)
        #expect(try profiles.filter(enforce, base: base) == profile.filter)
        // Who teaches it has what everybody has.
        #expect(try profiles.filter(restriction(.learn), base: base) == base)
    }
}
