import Kernel
import ProbeSupport
import Testing

@Suite struct FallbackTests {
    @Test func missingCallsAreReplacedOrReported() throws {
        let scratch = try Scratch()
        let result = try Probe.run("fallbacks", scratch.path)
        #expect(result["error"] == nil, "\(result.output)")
        #expect(result["mode"] == "640")
        #expect(result["link"] == "refused", "changing a link's mode must not reach its target")
        #expect(result["target"] == "640")
        #expect(result["sealed"] == "false", "a program that is not sealed must not claim so")
        #expect(result["runs"] == "exited(0)")
        // There is no safe replacement for openat2, so nothing is resolved.
        #expect(result["rooted"] == "unsupported")
        #expect(File.exists(scratch.path + "/link"))
    }
}
