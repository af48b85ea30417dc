import Kernel
import ShimKitTesting

// Runs the conformance suite on shim programs and prints a table for each:
//     shim-conformance PROGRAM… [--only CHECK]
// Root is needed, and busybox as /usr/bin/busybox. Status 1 when a check failed.

var programs: [String] = []
var only: String?
var rest = CommandLine.arguments.dropFirst()
while let argument = rest.popFirst() {
    if argument == "--only" { only = rest.popFirst() } else { programs.append(argument) }
}

var hasFailed = programs.isEmpty
for path in programs {
    let program =
        path == ShimProgram.containerdRunc.path
        ? ShimProgram.containerdRunc
        : ShimProgram(name: path.split(separator: "/").last.map(String.init) ?? path, path: path)
    let checks = Conformance.checks.filter { check in only.map { check.name.contains($0) } ?? true }
    let results = Conformance.run(checks, on: program)
    print(Conformance.table(results, title: program.name))
    hasFailed = hasFailed || results.contains { if case .failed = $0.outcome { true } else { false } }
}
if programs.isEmpty { print("usage: shim-conformance PROGRAM… [--only CHECK]") }
if hasFailed { CurrentProcess.exit(1) }
