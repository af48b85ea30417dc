@testable import Cgroups
import Kernel
import ProbeSupport
import Testing

/// The helper that speaks to systemd, played by scripts.
@Suite struct ScopeHelperTests {
    /// A helper that notes its number and then does what the script says.
    private func helper(_ script: String, in scratch: Scratch) throws -> ScopeHelper {
        let path = scratch.path + "/helper"
        let text = "#!/bin/sh\necho $$ > \(scratch.path)/pid\n\(script)\n"
        try File.writeAtomically(path, Array(text.utf8), mode: 0o755, durable: false)
        return ScopeHelper(program: path, patience: .milliseconds(300))
    }

    @Test(arguments: ["exec sleep 1000", "exec >&-; exec sleep 1000"])
    func aHelperThatDoesNotEndIsKilledAndReaped(_ script: String) throws {
        let scratch = try Scratch()
        let helper = try helper(script, in: scratch)
        let error = #expect(throws: CgroupError.self) { try helper.stop(SystemdScopeName("a.slice:b:c")) }
        #expect(error?.code == .timedOut)
        let pid = try #require(Int32(File.readText(scratch.path + "/pid").filter(\.isNumber)))
        let gone = #expect(throws: KernelError.self) { _ = try Pidfd(pid: pid) }
        #expect(gone?.errno == .noProcess)
    }
}
