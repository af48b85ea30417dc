internal import Kernel

/// The static helper that containers of the isolation checks run.
enum IsolationProbe {
    /// Its path.
    ///
    /// - Throws: `ConformanceFailure` when there is none.
    static func path() throws -> String { try built.get() }

    private static let built = Result { try StaticHelper.make("isolation-probe") }
}

/// The static helper that makes exactly the system calls that it is told to.
enum SyscallLoad {
    /// Its path.
    ///
    /// - Throws: `ConformanceFailure` when there is none.
    static func path() throws -> String { try built.get() }

    private static let built = Result { try StaticHelper.make("syscall-load") }
}

/// Helpers in C that run in roots that hold nothing else.
private enum StaticHelper {
    /// Path of one: beside the running program; compiled with gcc first when its sources are there and newer.
    static func make(_ name: String) throws -> String {
        let runner = String(decoding: try RootedDir("/proc").readlink("self/exe"), as: UTF8.self)
        let program = parent(runner) + "/" + name
        let sources = parent(parent(parent(#filePath))) + "/Tests/Support/" + name
        let parts = try names(sources)
        if File.exists(program), try isNewer(program, than: parts.map { "\(sources)/\($0)" }) { return program }
        guard !parts.isEmpty else {
            throw ConformanceFailure("\(program) is missing, and so are its sources at \(sources)")
        }
        // A name of its own until it is whole: others may be at it as well.
        let draft = "\(program).\(Random.hex(4))"
        let compiler = ShimProgram(name: "gcc", path: "/usr/bin/gcc")
        let flags = [
            "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-s", "-o", draft,
        ]
        let output = try compiler.run(flags + parts.filter { $0.hasSuffix(".c") }, bundle: sources)
        try require(output.status == .exited(0), "gcc: \(String(decoding: output.errors, as: UTF8.self))")
        try File.rename(draft, to: program)
        return program
    }

    private static func names(_ directory: String) throws -> [String] {
        guard File.exists(directory) else { return [] }
        return try File.open(directory, [.read, .directory]).readDirectory().map(\.name)
    }

    private static func isNewer(_ program: String, than sources: [String]) throws -> Bool {
        let made = try File.status(program).modified
        return try sources.allSatisfy { try File.status($0).modified <= made }
    }

    private static func parent(_ path: String) -> String {
        path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
    }
}
