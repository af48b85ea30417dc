import ShimKit
import ShimModel
import Testing

@Suite struct ShimArgumentsTests {
    @Test func containerdsStart() throws {
        let arguments = try ShimArguments([
            "-namespace", "default", "-address", "/run/containerd/containerd.sock", "-publish-binary",
            "/usr/bin/containerd", "-id", "c1", "-debug", "start",
        ])
        #expect(arguments.action == .start)
        #expect(arguments.namespace == "default")
        #expect(arguments.id == "c1")
        #expect(arguments.address == "/run/containerd/containerd.sock")
        #expect(arguments.isDebug)
    }

    @Test func goAllowsTwoDashesAndEqualsSigns() throws {
        let arguments = try ShimArguments(["--namespace=n", "-id=c", "--bundle=/b", "delete"])
        #expect(arguments.action == .delete)
        #expect(arguments.bundle == "/b")
    }

    @Test func infoAndVersionNeedNothingElse() throws {
        #expect(try ShimArguments(["-info"]).action == .info)
        #expect(try ShimArguments(["-v"]).action == .version)
    }

    @Test(arguments: [
        [], ["start"], ["-namespace", "n", "start"], ["-namespace", "n", "-id", "../x", "start"],
        ["-namespace", "n", "-id", "c"], ["-nonsense", "x", "start"], ["-id"],
        ["-namespace", "n", "-id", "c", "fly"], ["-namespace", "n", "-id", "c", "start", "more"],
    ])
    func badCommandLines(arguments: [String]) {
        #expect(throws: UsageError.self) { try ShimArguments(arguments) }
    }

    @Test(arguments: ["a", "A1", "a-b.c_d", String(repeating: "x", count: 128)])
    func validIDs(id: String) {
        #expect(Identifier.isValid(id))
    }

    @Test(arguments: ["", "-a", "a-", "a--b", "a/b", "..", "ä", "a b", "a\n", String(repeating: "x", count: 129)])
    func invalidIDs(id: String) {
        #expect(!Identifier.isValid(id))
    }
}
