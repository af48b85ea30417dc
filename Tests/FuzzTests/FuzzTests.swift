import Kernel
import ProbeSupport
import Testing

/// A short run of every fuzz target; `fuzz --seconds N --seed S` runs longer.
@Suite struct FuzzTests {
    func fuzz(_ arguments: String...) throws -> (status: Kernel.ExitStatus, output: String) {
        let path = try Probe.path()
        let program =
            path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/fuzz"
        let pipe = try Pipe()
        var spawn = Spawn(arguments: [program] + arguments, environment: [])
        spawn.descriptors = [1: pipe.writer.raw, 2: 2]
        let child = try spawn.start(program)
        let (reader, _) = pipe.ends()
        let output = String(decoding: try reader.readToEnd(limit: 1 << 16), as: UTF8.self)
        return (try child.pidfd.wait(), output)
    }

    @Test(arguments: ["1", "20261121"])
    func damagedInputsKillNobody(_ seed: String) throws {
        let (status, output) = try fuzz("--seconds", "4", "--seed", seed)
        #expect(status == .exited(0), "\(output)")
    }

    @Test(arguments: [
        "runtime-spec", "process", "resources", "docker-profile", "seccomp-program", "bpf", "user-database", "lists",
        "frames", "server", "client",
    ])
    func everyTargetRunsAlone(_ target: String) throws {
        let (status, output) = try fuzz("--target", target, "--seed", "7", "--count", "300")
        #expect(status == .exited(0), "\(output)")
        #expect(output.contains("300 inputs"), "\(output)")
    }

    /// A run that could not fail would prove nothing.
    @Test func aDeathIsReportedWithItsNumber() throws {
        let (status, output) = try fuzz("--target", "self-test", "--seed", "7", "--count", "300")
        #expect(status == .exited(1))
        #expect(output.contains("input 123 of seed 7") && output.contains("--from 123 --count 1"), "\(output)")
        let again = try fuzz("--target", "self-test", "--seed", "7", "--from", "123", "--count", "1")
        #expect(again.status == .exited(1))
    }
}
