internal import Kernel

/// The conformance suite: what every shim v2 program must do, seen from outside.
public enum Conformance {
    /// One thing that a shim must do.
    public struct Check: Sendable, CustomStringConvertible {
        /// What holds, as a sentence in one word.
        public let name: String
        let body: @Sendable (ShimProgram) throws -> Void

        /// The name.
        public var description: String { name }

        /// Tries the check on a program, with containers of its own.
        ///
        /// - Throws: why it does not hold.
        public func run(on program: ShimProgram) throws {
            try body(program)
        }
    }

    /// How a check ended.
    public enum Outcome: Sendable, Equatable {
        /// It holds.
        case passed
        /// It does not, for this reason.
        case failed(String)
        /// The program is known not to pass, for this reason.
        case excepted(String)
    }

    /// A check's outcome.
    public struct Result: Sendable {
        /// The check.
        public let check: String
        /// How it ended.
        public let outcome: Outcome
        /// How long it took.
        public let duration: Duration
    }

    /// All checks.
    public static let checks = lifecycle + failures + execs + streams + resources + faults

    /// Tries checks on a program, one after the other.
    ///
    /// - Parameters:
    ///   - checks: what to try; all by default.
    ///   - program: the shim.
    /// - Returns: the results, in the order of `checks`.
    public static func run(_ checks: [Check] = checks, on program: ShimProgram) -> [Result] {
        checks.map { run($0, on: program) }
    }

    private static func run(_ check: Check, on program: ShimProgram) -> Result {
        let start = Clock.monotonic.now
        var outcome = Outcome.passed
        if let reason = program.exceptions[check.name] {
            outcome = .excepted(reason)
        } else {
            do { try check.run(on: program) } catch { outcome = .failed("\(error)") }
        }
        return Result(check: check.name, outcome: outcome, duration: Clock.monotonic.now - start)
    }

    /// The results as text, one line each.
    public static func table(_ results: [Result], title: String) -> String {
        let width = results.map(\.check.count).max() ?? 0
        let lines = results.map { result in
            let name = result.check + String(repeating: " ", count: width - result.check.count)
            let milliseconds = result.duration / .milliseconds(1)
            let time = "\(Int(milliseconds.rounded())) ms"
            switch result.outcome {
            case .passed: return "\(name)  ok      \(time)"
            case .failed(let reason): return "\(name)  FAILED  \(time)  \(reason)"
            case .excepted(let reason): return "\(name)  -       \(reason)"
            }
        }
        let failed = results.count { if case .failed = $0.outcome { true } else { false } }
        return (["\(title): \(results.count - failed) of \(results.count)"] + lines).joined(separator: "\n")
    }
}
