internal import Kernel
internal import ShimProtocol

/// The conformance suite: what every shim v2 program must do, seen from outside.
public enum Conformance {
    /// One thing that a shim must do.
    public struct Check: Sendable, CustomStringConvertible {
        /// What holds, as a sentence in one word.
        public let name: String
        /// Where the OCI runtime-spec, or the shim protocol, demands it, such as `2.3 rlimits`; empty for the protocol's.
        public let row: String
        /// What the kernel must have for it; nil for nothing special.
        let needs: KernelFeature?
        let body: @Sendable (ShimProgram) throws -> Void

        init(
            name: String,
            row: String = "",
            needs: KernelFeature? = nil,
            body: @escaping @Sendable (ShimProgram) throws -> Void
        ) {
            (self.name, self.row, self.needs, self.body) = (name, row, needs, body)
        }

        /// The name.
        public var description: String { name }

        /// Whether this kernel has what the check is about.
        public var isPossible: Bool { needs?.isPresent ?? true }

        /// Tries the check on a program, with containers of its own.
        ///
        /// - Throws: why it does not hold; for a program that is known not to pass, that it does.
        public func run(on program: ShimProgram) throws {
            if program.unsteady[name] != nil { return }
            guard let reason = program.exceptions[name] else { return try attempt(program) }
            do { try attempt(program) } catch { return }
            throw ConformanceFailure("it holds, although \(program.name) is said not to pass: \(reason)")
        }

        private func attempt(_ program: ShimProgram) throws {
            try ConformanceBundle.$guarding.withValue(program.guarding) { try body(program) }
        }
    }

    /// How a check ended.
    public enum Outcome: Sendable, Equatable {
        /// It holds.
        case passed
        /// It does not, for this reason.
        case failed(String)
        /// The program does not pass, and is known not to, for this reason.
        case excepted(String)
        /// The kernel lacks what the check is about.
        case impossible(String)
        /// The program says, for this reason, that it does not do such things.
        case notClaimed(String)
    }

    /// A check's outcome.
    public struct Result: Sendable {
        /// The check.
        public let check: String
        /// Its row in the specification.
        public let row: String
        /// How it ended.
        public internal(set) var outcome: Outcome
        /// How long it took.
        public let duration: Duration
        /// Whether it failed by an answer that says that there is no such method.
        var isUnimplemented = false
        /// Whether it failed because nothing came for as long as a check waits.
        var isOverdue: Bool {
            if case .failed = outcome { duration >= ConformanceContainer.shortestPatience } else { false }
        }
    }

    /// The protocol: what a manager needs of a shim.
    public static let checks = lifecycle + failures + execs + streams + resources + faults

    /// The isolation: what the OCI runtime-spec demands of a container, seen from inside.
    public static let isolation =
        operations + hooks + documents + mounts + processes + credentials + scheduling + namespaces + userNamespaces
        + places + limits + systemCalls + sessions

    /// Tries checks on a program, one after the other.
    ///
    /// - Parameters:
    ///   - checks: what to try; all by default.
    ///   - program: the shim.
    /// - Returns: the results, in the order of `checks`.
    public static func run(_ checks: [Check] = checks, on program: ShimProgram) -> [Result] {
        checks.map { run($0, on: program) }
    }

    static func run(_ check: Check, on program: ShimProgram) -> Result {
        let start = Clock.monotonic.now
        var isUnimplemented = false
        let reason = program.unsteady[check.name] ?? program.exceptions[check.name]
        var outcome = reason.map(Outcome.excepted) ?? .passed
        if let needs = check.needs, !needs.isPresent {
            outcome = .impossible(needs.description)
        } else {
            do { try check.run(on: program) } catch {
                outcome = .failed("\(error)")
                isUnimplemented = (error as? RPCError)?.status == .unimplemented
            }
        }
        let duration = Clock.monotonic.now - start
        var result = Result(check: check.name, row: check.row, outcome: outcome, duration: duration)
        result.isUnimplemented = isUnimplemented
        return result
    }

    /// The results as text, one line each.
    public static func table(_ results: [Result], title: String) -> String {
        let names = results.map { $0.row.isEmpty ? $0.check : "\($0.check) (\($0.row))" }
        let width = names.map(\.count).max() ?? 0
        let lines = zip(names, results).map { name, result in
            let name = name + String(repeating: " ", count: width - name.count)
            let milliseconds = result.duration / .milliseconds(1)
            let time = "\(Int(milliseconds.rounded())) ms"
            switch result.outcome {
            case .passed: return "\(name)  ok      \(time)"
            case .failed(let reason): return "\(name)  FAILED  \(time)  \(Excerpt.reason(reason))"
            case .excepted(let reason): return "\(name)  -       \(reason)"
            case .impossible(let reason), .notClaimed(let reason): return "\(name)  n/a     \(reason)"
            }
        }
        let failed = results.count { if case .failed = $0.outcome { true } else { false } }
        return (["\(title): \(results.count - failed) of \(results.count)"] + lines).joined(separator: "\n")
    }
}
