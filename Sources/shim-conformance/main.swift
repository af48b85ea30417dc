import Kernel
import ShimKitTesting

// Runs the conformance suite on shim programs: any shim v2 binary. `shim-conformance --help` says how.

/// Ends with an error for which nothing is tried.
func refuse(_ text: String) -> Never {
    // Without standard error nobody is there to be told.
    try? BorrowedDescriptor.standardError.writeAll("error: \(text)\n")
    CurrentProcess.exit(Options.misuse)
}

let options: Options
do { options = try Options(Array(CommandLine.arguments.dropFirst())) } catch { refuse(error.text) }
if options.wantsHelp {
    print(Options.help)
    CurrentProcess.exit(0)
}
if let missing = Suite.missing { refuse(missing) }
do throws(KernelError) {
    try OwnedRun.run { place in
        Conformance.$place.withValue(place) {
            for program in options.programs { if let trouble = Suite.trouble(program) { refuse(trouble) } }
            return options.programs.reduce(true) { Suite.run($1, options) && $0 } ? 0 : 1
        }
    }
} catch { refuse("run in namespaces of its own, for which capabilities of root are needed: \(error)") }
