internal import CLibSeccomp
package import OCISpec

/// A profile with its words resolved: what the compiler is told, and what its program is checked against.
package struct ProfileMeaning {
    struct Condition: Hashable {
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

    struct Rule: Hashable {
        var name: String
        var verdict: UInt32
        var conditions: [Condition]
    }

    let defaultVerdict: UInt32
    let flags: UInt32
    /// Architecture tokens, AUDIT_ARCH_* of little-endian machines, except for the x32 convention.
    let architectures: [UInt32]
    /// The rules, one name each, those left out that say what the default says.
    let rules: [Rule]

    /// Resolves a profile.
    ///
    /// - Throws: `invalidArgument` or `unsupported`, see `SeccompCompiler.compile`.
    package init(_ profile: RuntimeSpec.Seccomp) throws(SeccompError) {
        let defaultVerdict: UInt32
        do throws(SeccompError) {
            defaultVerdict = try Verdict.of(profile.defaultAction, errno: profile.defaultErrnoRet)
        } catch { throw error.inside("defaultErrnoRet") }
        self.defaultVerdict = defaultVerdict
        flags = try Self.flags(profile.flags ?? [])
        architectures = try Self.architectures(profile.architectures ?? [])
        var rules: [Rule] = []
        for (index, rule) in (profile.syscalls ?? []).enumerated() {
            do throws(SeccompError) { rules += try Self.rules(rule, defaultVerdict) } catch {
                throw error.inside("syscalls[\(index)]")
            }
        }
        self.rules = rules
    }

    private static func rules(
        _ rule: RuntimeSpec.Seccomp.Rule,
        _ defaultVerdict: UInt32
    ) throws(SeccompError) -> [Rule] {
        guard !rule.names.isEmpty else { throw .invalidProfile("a rule without names", at: "names") }
        if rule.names.contains(where: { $0.utf8.contains(0) || $0.isEmpty }) {
            throw .invalidProfile("an empty name or one with a NUL byte", at: "names")
        }
        let verdict: UInt32
        do throws(SeccompError) { verdict = try Verdict.of(rule.action, errno: rule.errnoRet) } catch {
            throw error.inside("errnoRet")
        }
        let alternatives = try alternatives(rule.args ?? [])
        // Other runtimes take no rule that says what the default says, so it does not count against others.
        if verdict == defaultVerdict { return [] }
        return alternatives.flatMap { conditions in
            rule.names.map { Rule(name: $0, verdict: verdict, conditions: conditions) }
        }
    }

    /// The lists of conditions that stand for a rule's: one, or one for each when an argument occurs twice.
    private static func alternatives(
        _ arguments: [RuntimeSpec.Seccomp.Argument]
    ) throws(SeccompError) -> [[Condition]] {
        var conditions: [Condition] = []
        for argument in arguments {
            guard argument.index < 6 else {
                throw .invalidProfile("argument index \(argument.index) is more than 5", at: "args")
            }
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
            guard name.hasPrefix("SCMP_ARCH_") else { throw .unsupported("architecture \(name)", at: "architectures") }
            let token = unsafe seccomp_arch_resolve_name(name.dropFirst("SCMP_ARCH_".count).lowercased())
            guard token != 0 else { throw .unsupported("architecture \(name)", at: "architectures") }
            // A machine with the other byte order never makes such calls; listed or not, they are refused.
            guard token & littleEndianBit != 0 else { continue }
            if !tokens.contains(token) { tokens.append(token) }
        }
        guard !tokens.isEmpty else {
            throw .unsupported("no architecture of this machine among \(names)", at: "architectures")
        }
        return tokens
    }

    private static func flags(_ names: [String]) throws(SeccompError) -> UInt32 {
        var flags: UInt32 = 0
        for name in names {
            guard let flag = SeccompFeatures.flagBits[name] else { throw .unsupported("flag \(name)", at: "flags") }
            flags |= flag
        }
        return flags
    }
}
