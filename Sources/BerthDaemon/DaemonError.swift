/// Why the daemon does not start; one line that says what would be right.
package struct DaemonError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The line.
    package let description: String

    private init(_ description: String) {
        self.description = description
    }

    /// A setting on the command line.
    static func option(_ name: String, _ problem: String) -> DaemonError {
        DaemonError("\(name): \(problem)")
    }

    /// A place in a configuration file.
    static func file(_ path: String, line: Int?, _ problem: String) -> DaemonError {
        DaemonError("\(path)\(line.map { ":\($0)" } ?? ""): \(problem)")
    }

    /// A place that another process holds.
    static func inUse(_ what: String, by pid: Int32?) -> DaemonError {
        DaemonError("\(what) is in use by " + (pid.map { "process \($0)" } ?? "another process"))
    }

    /// Anything else.
    static func other(_ problem: String) -> DaemonError {
        DaemonError(problem)
    }
}
