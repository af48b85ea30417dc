import Kernel
import ShimKitTesting

/// A command line that cannot be obeyed.
struct Misuse: Error {
    let text: String
}

/// What the command line says.
struct Options {
    static let help = """
        usage: shim-conformance PROGRAM… [--runtime BINARY] [--format table|json|markdown] [--only TEXT]
               shim-conformance PROGRAM… (--protocol | --isolation | --succession | --guarding) [--runtime BINARY] [--only TEXT]

        Tries what a shim v2 program can and cannot do, with containers of its own, and prints one line for each ability:
        passed, failed, or not claimed with the reason. PROGRAM is a path, or `runc` or `crun` for containerd's own shim with that
        runtime.

          --runtime BINARY   the OCI runtime of shims that drive one
          --format FORM      a table (the default), one JSON object a line, or a table for a README
          --only TEXT        checks whose names contain this
          --protocol         one line a check: what a manager needs of a shim
          --isolation        one line a check: what the OCI runtime-spec demands of a container
          --succession       one line a check: upgrade in place and adoption, which shims of ShimKit have
          --guarding         one line a check: system calls are counted and told, by shims that have a guard over them
          --guard MODE       every container asks for that guard: learn, enforce, kill or audit

        Root is needed, and busybox as /usr/bin/busybox. Status 0 when nothing failed, 1 when something did, 2 when nothing could be
        tried: a PROGRAM that is not there, is not executable, or is no shim v2 program, or a TEXT that is in no check's name. However it
        ends, also by a signal, nothing stays of what it has started.
        """

    /// The status of a command line that cannot be obeyed, and of a machine on which nothing can be tried.
    static let misuse: Int32 = 2

    enum Form: String {
        case table, json, markdown
    }

    var programs: [ShimProgram] = []
    var form = Form.table
    /// Checks one by one; nil for the abilities.
    var family: [Conformance.Check]?
    var only: String?
    var wantsHelp = false

    init(_ arguments: [String]) throws(Misuse) {
        var rest = arguments[...]
        var paths: [String] = []
        var runtime: String?
        var mode: String?
        while let word = rest.popFirst() {
            switch word {
            case "--help", "-h": wantsHelp = true
            case "--only": only = try Self.value(of: word, &rest)
            case "--runtime": runtime = try Self.value(of: word, &rest)
            case "--format": form = try Self.form(try Self.value(of: word, &rest))
            case "--protocol": family = Conformance.checks
            case "--isolation": family = Conformance.isolation
            case "--succession": family = Conformance.succession
            case "--guarding": family = Conformance.guarding
            case "--guard": mode = try Self.value(of: word, &rest)
            case _ where word.hasPrefix("-"): throw Misuse(text: "unknown option '\(word)'; see --help")
            default: paths.append(word)
            }
        }
        if wantsHelp { return }
        try choose()
        guard !paths.isEmpty else { throw Misuse(text: "no program to try; see --help") }
        for path in paths {
            var program = try Self.program(path, runtime)
            program.guarding = mode.map { GuardDocument(mode: $0) }
            programs.append(program)
        }
    }

    /// Keeps the checks that are asked for.
    private mutating func choose() throws(Misuse) {
        guard let only else { return }
        let names = (family ?? Conformance.abilities.flatMap(\.checks)).map(\.name)
        guard names.contains(where: { $0.contains(only) }) else {
            throw Misuse(text: "no check's name contains '\(only)'; the checks are\n\(Self.lines(names.sorted()))")
        }
        family = family?.filter { $0.name.contains(only) }
    }

    /// Words in lines that fit on a terminal.
    private static func lines(_ words: [String]) -> String {
        var lines: [String] = []
        for word in words {
            if let last = lines.last, last.count + word.count < 100 {
                lines[lines.count - 1] += ", " + word
            } else {
                if !lines.isEmpty { lines[lines.count - 1] += "," }
                lines.append("  " + word)
            }
        }
        return lines.joined(separator: "\n")
    }

    private static func value(of option: String, _ rest: inout ArraySlice<String>) throws(Misuse) -> String {
        guard let value = rest.popFirst(), !value.isEmpty else { throw Misuse(text: "\(option) wants a value") }
        return value
    }

    private static func form(_ word: String) throws(Misuse) -> Form {
        guard let form = Form(rawValue: word) else {
            throw Misuse(text: "--format is table, json or markdown, not '\(word)'")
        }
        return form
    }

    private static func program(_ word: String, _ runtime: String?) throws(Misuse) -> ShimProgram {
        guard !word.isEmpty else { throw Misuse(text: "an empty text is no path: name a shim v2 program by its path") }
        var program: ShimProgram
        switch word {
        case "runc", ShimProgram.containerdRunc.path: program = .containerdRunc
        case "crun": program = .containerdCrun
        default: program = ShimProgram(name: baseName(word), path: try absolute(word))
        }
        try check(program.path)
        guard let runtime else { return program }
        let found = try absolute(runtime)
        try check(found)
        (program.runtime, program.prefix) = (found, ShimProgram.oci(program.path, runtime: found).prefix)
        // What is known is known of another runtime.
        (program.exceptions, program.unsteady) = ([:], [:])
        program.name += " with " + runtime
        return program
    }

    /// What is tried must be there, and something that can be executed.
    private static func check(_ path: String) throws(Misuse) {
        guard let status = try? File.status(path, follow: true), status.kind == .regular else {
            throw Misuse(text: "'\(path)' is no file: name a shim v2 program by its path")
        }
        guard status.permissions & 0o111 != 0 else {
            throw Misuse(text: "'\(path)' is not executable: chmod +x it, if it is a shim v2 program")
        }
    }

    private static func baseName(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    /// A program is run in directories of its containers.
    private static func absolute(_ path: String) throws(Misuse) -> String {
        if path.hasPrefix("/") { return path }
        guard let directory = try? CurrentProcess.workingDirectory() else {
            throw Misuse(text: "'\(path)' is relative, and the working directory cannot be found")
        }
        return "\(directory)/\(path)"
    }
}
