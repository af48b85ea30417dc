import Kernel
import ShimKitTesting

/// Tries one program and prints what came of it.
enum Suite {
    /// What the machine lacks; nil when everything is there.
    static var missing: String? {
        guard Credentials.effectiveUser == 0 else { return "root is needed: containers are made" }
        guard File.exists("/usr/bin/busybox") else { return "/usr/bin/busybox is missing, which the containers run" }
        return nil
    }

    /// What is wrong with a program that is no shim; nil for a shim.
    static func trouble(_ program: ShimProgram) -> String? {
        program.trouble().map { reason in
            "'\(program.path)' is no shim v2 program that works: \(reason); a shim prints on 'start', in its bundle, where it listens, and "
                + "answers there"
        }
    }

    /// - Returns: Whether nothing failed.
    static func run(_ program: ShimProgram, _ options: Options) -> Bool {
        if let family = options.family {
            let results = Conformance.run(family, on: program)
            print(Conformance.table(results, title: program.name))
            return !results.contains { if case .failed = $0.outcome { true } else { false } }
        }
        var program = program
        // What is known of a program is for tests: here it is shown what there is.
        (program.exceptions, program.unsteady) = ([:], [:])
        let report = Conformance.report(on: program, only: options.only, progress: tell)
        tell("")
        switch options.form {
        case .table: print(report.table)
        case .json: print(report.json)
        case .markdown: print(report.markdown)
        }
        return report.isGood
    }

    /// Says on a terminal what is tried now, in one line that the next one replaces.
    private static func tell(_ check: String) {
        guard BorrowedDescriptor.standardError.isTerminal else { return }
        // A terminal that has gone needs no news.
        try? BorrowedDescriptor.standardError.writeAll("\r\u{1b}[K\(check)")
    }
}
