import Testing

@testable import berth_runtime

@Suite struct ArgumentsTests {
    private static let options = [
        Option("bundle", "b", "DIR", ""), Option("force", "f", nil, ""), Option("env", "e", "X", ""),
    ]

    @Test(arguments: [
        ["--bundle", "x", "id"], ["--bundle=x", "id"], ["-b", "x", "id"], ["-bx", "id"], ["-b=x", "id"],
        ["-bundle", "x", "id"], ["id", "--bundle", "x"], ["--bundle", "x", "--", "id"],
    ])
    func formsOfAnOption(_ words: [String]) throws {
        let arguments = try Arguments(words, Self.options)
        #expect(arguments.last("bundle") == "x")
        #expect(arguments.operands == ["id"])
    }

    @Test func wordsAfterTheLimitAreOperands() throws {
        let arguments = try Arguments(["-f", "id", "ls", "-f", "--bundle"], Self.options, limit: 1)
        #expect(arguments.has("force"))
        #expect(arguments.operands == ["id", "ls", "-f", "--bundle"])
    }

    @Test func valuesAreCollectedInOrder() throws {
        #expect(try Arguments(["-e", "A=1", "--env=B=2"], Self.options).all("env") == ["A=1", "B=2"])
    }

    @Test func switchesMayBeTurnedOff() throws {
        #expect(try !Arguments(["--force", "--force=false"], Self.options).has("force"))
    }

    @Test(arguments: [["--nope"], ["-x"], ["--bundle"], ["--force=maybe"], ["-fx"]])
    func wordsThatCannotBeUnderstoodAreErrors(_ words: [String]) {
        #expect(throws: RuntimeError.self) { try Arguments(words, Self.options) }
    }
}
