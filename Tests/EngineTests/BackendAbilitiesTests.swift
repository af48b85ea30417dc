import EngineModel
import EngineShim
import Kernel
import Testing

/// What backends are taken to be able to do, which decides whether a container gets a user namespace.
struct BackendAbilitiesTests {
    private func script(_ text: String, in directory: StoreTests.Directory) throws -> String {
        let path = directory.path + "/backend"
        try File.writeAtomically(path, Array("#!/bin/sh\n\(text)\n".utf8), mode: 0o755, durable: false)
        return path
    }

    /// On a busy machine no answer in time once meant "cannot", and containers ran with the ids of the host.
    @Test func noAnswerIsAnErrorAndNotRemembered() async throws {
        let directory = try StoreTests.Directory()
        let path = try script("[ -e \"$0.ready\" ] || exec sleep 1000", in: directory)
        let abilities = BackendAbilities(patience: .milliseconds(100))
        for _ in 0..<2 {
            await #expect { try await abilities.abilities(of: path) } throws: {
                ($0 as? EngineError)?.code == .unavailable
            }
        }
        try File.writeAtomically(path + ".ready", [], durable: false)
        #expect(try await BackendAbilities().abilities(of: path).isEmpty)
    }

    @Test(arguments: ["exit 1", "echo usage", "printf '\\377\\377'"])
    func aBackendThatSaysNothingHasNoAbilities(text: String) async throws {
        let directory = try StoreTests.Directory()
        #expect(try await BackendAbilities().abilities(of: try script(text, in: directory)).isEmpty)
    }

    /// Each would keep a thread for as long as the program does not answer, and soon there would be none for anybody else.
    @Test func manyWhoAskTheSameSilentBackendKeepNobodyElseWaiting() async throws {
        let (silent, quick) = (try StoreTests.Directory(), try StoreTests.Directory())
        let started = silent.path + "/started"
        let path = try script("echo >> \(started); until [ -e $0.ready ]; do sleep 0.05; done", in: silent)
        let other = try script("echo usage", in: quick)
        let abilities = BackendAbilities(patience: .seconds(60))
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<64 {
                group.addTask {
                    _ = try? await abilities.abilities(of: path)
                    return false
                }
            }
            group.addTask {
                _ = try await abilities.abilities(of: other)
                return true
            }
            #expect(try await group.next() == true, "who asks the other one has waited for the silent one")
            try File.writeAtomically(path + ".ready", [], durable: false)
            try await group.waitForAll()
        }
        #expect(try File.readText(started) == "\n", "one question for all who want its answer")
    }
}
