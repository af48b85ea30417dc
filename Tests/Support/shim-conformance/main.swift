import Kernel
import ShimKitTesting

// Runs the conformance suite on shim programs and prints a table for each:
//     shim-conformance PROGRAM… [--runtime BINARY] [--isolation | --succession] [--only CHECK]
// A program is a path, or `runc` or `crun` for containerd's own shim with that runtime; `--runtime` is the OCI runtime of
// shims that drive one. `--isolation` takes the checks of the OCI runtime-spec instead of those of the shim protocol,
// `--succession` those of upgrade and adoption, which only shims of ShimKit have.
// Root is needed, and busybox as /usr/bin/busybox. Status 1 when a check failed.

var programs: [String] = []
var only: String?
var runtime: String?
var family = Conformance.checks
var rest = CommandLine.arguments.dropFirst()
while let argument = rest.popFirst() {
    switch argument {
    case "--only": only = rest.popFirst()
    case "--runtime": runtime = rest.popFirst()
    case "--isolation": family = Conformance.isolation
    case "--succession": family = Conformance.succession
    default: programs.append(argument)
    }
}

var hasFailed = programs.isEmpty
for path in programs {
    var program: ShimProgram
    switch path {
    case "runc", ShimProgram.containerdRunc.path: program = .containerdRunc
    case "crun": program = .containerdCrun
    default: program = ShimProgram(name: path.split(separator: "/").last.map(String.init) ?? path, path: path)
    }
    if let runtime {
        (program.runtime, program.prefix) = (runtime, ShimProgram.oci(path, runtime: runtime).prefix)
        // What is known is known of another runtime.
        (program.exceptions, program.unsteady) = ([:], [:])
        program.name += " with " + runtime
    }
    let checks = family.filter { check in only.map { check.name.contains($0) } ?? true }
    let results = Conformance.run(checks, on: program)
    print(Conformance.table(results, title: program.name))
    hasFailed = hasFailed || results.contains { if case .failed = $0.outcome { true } else { false } }
}
if programs.isEmpty {
    print("usage: shim-conformance PROGRAM… [--runtime BINARY] [--isolation | --succession] [--only CHECK]")
}
if hasFailed { CurrentProcess.exit(1) }
