import Kernel
import ShimKitTesting

// Runs the conformance suite on shim programs: any shim v2 binary. `shim-conformance --help` says how.

let options: Options
do {
    options = try Options(Array(CommandLine.arguments.dropFirst()))
} catch {
    try? BorrowedDescriptor.standardError.writeAll("error: \(error.text)\n")
    CurrentProcess.exit(Options.misuse)
}
if options.wantsHelp {
    print(Options.help)
    CurrentProcess.exit(0)
}
if let missing = Suite.missing {
    try? BorrowedDescriptor.standardError.writeAll("error: \(missing)\n")
    CurrentProcess.exit(Options.misuse)
}
if let trouble = options.programs.lazy.compactMap(Suite.trouble).first {
    try? BorrowedDescriptor.standardError.writeAll("error: \(trouble)\n")
    CurrentProcess.exit(Options.misuse)
}
var isGood = true
for program in options.programs { isGood = Suite.run(program, options) && isGood }
CurrentProcess.exit(isGood ? 0 : 1)
