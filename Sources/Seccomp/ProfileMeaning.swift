internal import CLibSeccomp
package import OCISpec

/// A profile with its words resolved: what the compiler is told, and what its program is checked against.
package struct ProfileMeaning {
    struct Condition {
        var index: UInt32
        var operation: RuntimeSpec.Seccomp.Operator
        var value: UInt64
        var valueTwo: UInt64

        func holds(_ arguments: [UInt64]) -> Bool {
            let argument = arguments[Int(index)]
            return switch operation {
            case .notEqual: argument != value
            case .less: argument < value
            case .lessOrEqual: argument <= value
            case .equal: argument == value
            case .greaterOrEqual: argument >= value
            case .greater: argument > value
            case .maskedEqual: argument & value == valueTwo
            }
        }
    }

    struct Rule {
        var name: String
        var verdict: UInt32
        var conditions: [Condition]
    }

    let defaultVerdict: UInt32
    let flags: UInt32
    /// Architecture tokens, AUDIT_ARCH_* except for the x32 convention.
    let architectures: [UInt32]
    /// The rules, one name each, those left out that say what the default says.
    let rules: [Rule]

    /// Resolves a profile.
    ///
    /// - Throws: `invalidArgument` or `unsupported`, see `SeccompCompiler.compile`.
    package init(_ profile: RuntimeSpec.Seccomp) throws(SeccompError) {
        let defaultVerdict = try Verdict.of(profile.defaultAction, errno: profile.defaultErrnoRet)
        self.defaultVerdict = defaultVerdict
        flags = try Self.flags(profile.flags ?? [])
        architectures = try Self.architectures(profile.architectures ?? [])
        var rules: [Rule] = []
        for rule in profile.syscalls ?? [] {
            guard !rule.names.isEmpty else { throw .invalidProfile("a rule without names") }
            let verdict = try Verdict.of(rule.action, errno: rule.errnoRet)
            // The library refuses a rule that says what the default says, and it changes nothing.
            if verdict == defaultVerdict { continue }
            for alternative in try Self.alternatives(rule.args ?? []) {
                for name in rule.names { rules.append(Rule(name: name, verdict: verdict, conditions: alternative)) }
            }
        }
        self.rules = rules
    }

    /// The lists of conditions that stand for a rule's: one, or one for each when an argument occurs twice.
    private static func alternatives(
        _ arguments: [RuntimeSpec.Seccomp.Argument]
    ) throws(SeccompError) -> [[Condition]] {
        var conditions: [Condition] = []
        for argument in arguments {
            guard argument.index < 6 else { throw .invalidProfile("argument index \(argument.index) is out of range") }
            conditions.append(
                Condition(
                    index: argument.index,
                    operation: argument.op,
                    value: argument.value,
                    valueTwo: argument.valueTwo ?? 0
                )
            )
        }
        let unique = Set(conditions.map(\.index)).count == conditions.count
        return unique ? [conditions] : conditions.map { [$0] }
    }

    private static func architectures(_ names: [String]) throws(SeccompError) -> [UInt32] {
        guard !names.isEmpty else { return [seccomp_arch_native()] }
        var tokens: [UInt32] = []
        for name in names {
            guard name.hasPrefix("SCMP_ARCH_") else { throw .unsupported("architecture \(name)") }
            let token = unsafe seccomp_arch_resolve_name(name.dropFirst("SCMP_ARCH_".count).lowercased())
            guard token != 0 else { throw .unsupported("architecture \(name)") }
            if !tokens.contains(token) { tokens.append(token) }
        }
        return tokens
    }

    private static func flags(_ names: [String]) throws(SeccompError) -> UInt32 {
        var flags: UInt32 = 0
        for name in names {
            switch name {
            // One thread loads the filter, so there are no others to synchronise with.
            case "SECCOMP_FILTER_FLAG_TSYNC": break
            case "SECCOMP_FILTER_FLAG_LOG": flags |= 1 << 1
            case "SECCOMP_FILTER_FLAG_SPEC_ALLOW": flags |= 1 << 2
            case "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": flags |= 1 << 5
            default: throw .unsupported("flag \(name)")
            }
        }
        return flags
    }

    /// Verdicts that the profile admits for a call of this name.
    ///
    /// A rule without conditions decides alone. Of several rules whose conditions all hold any may win: the specification
    /// gives no order, and profiles that mean something do not depend on one.
    func verdicts(for rules: [Rule], arguments: [UInt64]) -> Set<UInt32> {
        let unconditional = rules.filter(\.conditions.isEmpty)
        if !unconditional.isEmpty { return Set(unconditional.map(\.verdict)) }
        let matching = rules.filter { rule in rule.conditions.allSatisfy { $0.holds(arguments) } }
        return matching.isEmpty ? [defaultVerdict] : Set(matching.map(\.verdict))
    }
}

extension RuntimeSpec.Seccomp.Operator {
    /// The operator of the library.
    var libraryValue: scmp_compare {
        switch self {
        case .notEqual: SCMP_CMP_NE
        case .less: SCMP_CMP_LT
        case .lessOrEqual: SCMP_CMP_LE
        case .equal: SCMP_CMP_EQ
        case .greaterOrEqual: SCMP_CMP_GE
        case .greater: SCMP_CMP_GT
        case .maskedEqual: SCMP_CMP_MASKED_EQ
        }
    }
}
