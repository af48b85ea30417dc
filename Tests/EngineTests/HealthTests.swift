import EngineModel
import Testing

/// What a client and an image say of a health check together.
struct HealthTests {
    static func check(_ test: [String], _ change: (inout HealthConfiguration) -> Void = { _ in }) -> HealthConfiguration
    {
        var check = HealthConfiguration()
        check.test = test
        change(&check)
        return check
    }

    @Test func clientGoesBeforeTheImage() throws {
        let image = Self.check(["CMD", "/look"]) { ($0.interval, $0.retries) = (5_000_000_000, 7) }
        #expect(HealthConfiguration.merge(nil, image) == image)
        #expect(HealthConfiguration.merge(nil, nil) == nil)
        #expect(HealthConfiguration.merge(Self.check([]), nil) == nil)
        let merged = HealthConfiguration.merge(Self.check(["CMD-SHELL", "true"]) { $0.retries = 1 }, image)
        #expect(merged?.test == ["CMD-SHELL", "true"] && merged?.interval == 5_000_000_000 && merged?.retries == 1)
        #expect(HealthConfiguration.merge(Self.check([]) { $0.timeout = 2_000_000 }, image)?.test == ["CMD", "/look"])
        #expect(try HealthConfiguration.merge(Self.check(["NONE"]), image)?.command(shell: []) == nil)
    }

    @Test func commandsAreMadeOfTheTest() throws {
        #expect(try Self.check(["CMD", "a", "b"]).command(shell: ["sh"]) == ["a", "b"])
        #expect(
            try Self.check(["CMD-SHELL", "a b"]).command(shell: ["/bin/bash", "-c"]) == ["/bin/bash", "-c", "a b"]
        )
    }

    @Test(arguments: [["CMD"], ["CMD-SHELL"], ["CMD-SHELL", "a", "b"], ["LOOK", "a"], ["NONE", "a"], []])
    func wrongTestsAreRefused(test: [String]) {
        #expect(throws: EngineError.self) { try Self.check(test).command(shell: ["sh"]) }
    }

    @Test func timesOfLessThanAMillisecondAreRefused() {
        for time: Int64 in [-1, 1, 999_999] {
            #expect(throws: EngineError.self) {
                try Self.check(["CMD", "a"]) { $0.interval = time }.command(shell: [])
            }
            #expect(throws: EngineError.self) { try Self.check(["CMD", "a"]) { $0.timeout = time }.command(shell: []) }
            #expect(throws: EngineError.self) {
                try Self.check(["CMD", "a"]) { $0.startPeriod = time }.command(shell: [])
            }
        }
    }
}
