import EngineContainer
import EngineModel
import Kernel
import Logging
import Synchronization
import Testing
import WorkloadProfiles

/// Profiles on a real disk.
@Suite struct ProfileFilesTests {
    private let directory: StoreTests.Directory
    private let damage = DamageLog(Logger(label: "test"))
    private let files: ProfileFiles

    init() throws {
        directory = try StoreTests.Directory()
        files = ProfileFiles(directory: directory.path, damage: damage)
    }

    private func code(_ body: () throws -> Void) -> ErrorCode? {
        do {
            try body()
            return nil
        } catch { return (error as? EngineError)?.code }
    }

    private func learned(_ name: String) throws -> WorkloadProfile {
        try files.update(name) { $0.allow([try CallSelector(parsing: "read")]) }
    }

    @Test func eachStateHasItsFile() throws {
        let profile = try learned("web")
        #expect(try files.read("web", .learned) == profile)
        #expect(try files.read("web", .promoted) == nil)
        let promoted = profile.promoted(at: "now")
        try files.write(promoted)
        _ = try files.update("web") { $0.allow([try CallSelector(parsing: "write")]) }
        // What is in force does not change by learning.
        #expect(try files.read("web", .promoted) == promoted)
        #expect(try files.read("web", .learned)?.allowed.map(\.description) == ["read", "write"])
        #expect(try files.read("other", .learned) == nil)
    }

    @Test func onlyProfilesAreListed() throws {
        for name in ["b", "a.1"] { _ = try learned(name) }
        try files.write(try learned("c").promoted(at: "now"))
        try File.remove(directory.path + "/c.json")
        for name in [".json", "a b.json", "notes.txt", ".promoted.json", "x.json.bad"] {
            try File.writeAtomically("\(directory.path)/\(name)", [], durable: false)
        }
        #expect(try files.names() == ["a.1", "b", "c"])
    }

    @Test(arguments: ["", "../a", "a/b", "a b", "x.promoted", ".x", String(repeating: "x", count: 65)])
    func namesAreNoPaths(name: String) throws {
        #expect(code { _ = try files.read(name, .learned) } == .invalidArgument)
        #expect(code { _ = try files.remove(name) } == .invalidArgument)
        #expect(code { _ = try files.update(name) { _ in } } == .invalidArgument)
        #expect(try RootedDir(directory.path).openPath(".", follow: false).status().isRegular == false)
    }

    @Test func whatIsDamagedIsSetAside() throws {
        let whole = try learned("web").document()
        let path = directory.path + "/web.json"
        let other = try learned("other").document()
        let promoted = try learned("web").promoted(at: "now").document()
        // Cut off, of another name, of another state, empty.
        for bytes in [Array(whole.dropLast(9)), other, promoted, []] {
            try File.writeAtomically(path, bytes, durable: false)
            #expect(try files.read("web", .learned) == nil)
            #expect(try !File.isThere(path))
        }
        #expect(damage.lines.count == 4 && damage.lines.allSatisfy { $0.contains("web.json") }, "\(damage.lines)")
        // From then on it is learned anew.
        #expect(try learned("web").allowed.count == 1)
    }

    @Test func aNewerOneIsLeftToItsProgram() throws {
        let text = String(decoding: try learned("web").document(), as: UTF8.self)
        let newer = text.replacing("\"version\" : 1", with: "\"version\" : 2")
        #expect(newer != text)
        try File.writeAtomically(directory.path + "/web.json", Array(newer.utf8), durable: false)
        #expect(code { _ = try files.read("web", .learned) } == .unsupported)
        #expect(code { _ = try learned("web") } == .unsupported)
        #expect(try File.readText(directory.path + "/web.json", limit: 1 << 20) == newer)
        #expect(damage.lines.isEmpty)
    }

    @Test func changesAtOnceAreAllKept() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<64 {
                group.addTask { [files] in _ = try files.update("web") { $0.capabilities.append("CAP_\(number)") } }
            }
            try await group.waitForAll()
        }
        #expect(try files.read("web", .learned)?.capabilities.count == 64)
    }

    @Test func whatIsRemovedIsGoneInBothStates() throws {
        try files.write(try learned("web").promoted(at: "now"))
        #expect(try files.remove("web"))
        #expect(try files.names().isEmpty)
        #expect(try !files.remove("web"))
        try files.write(try learned("web").promoted(at: "now"))
        try File.remove(directory.path + "/web.json")
        #expect(try files.remove("web"))
    }
}
