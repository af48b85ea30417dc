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
    @Test func noAnswerIsAnErrorAndNotRemembered() throws {
        let directory = try StoreTests.Directory()
        let path = try script("[ -e \"$0.ready\" ] || exec sleep 1000", in: directory)
        let abilities = BackendAbilities(patience: .milliseconds(100))
        for _ in 0..<2 {
            #expect { try abilities.abilities(of: path) } throws: { ($0 as? EngineError)?.code == .unavailable }
        }
        try File.writeAtomically(path + ".ready", [], durable: false)
        #expect(try BackendAbilities().abilities(of: path).isEmpty)
    }

    @Test(arguments: ["exit 1", "echo usage", "printf '\\377\\377'"])
    func aBackendThatSaysNothingHasNoAbilities(text: String) throws {
        let directory = try StoreTests.Directory()
        #expect(try BackendAbilities().abilities(of: try script(text, in: directory)).isEmpty)
    }
}
