package import OCISpec
package import Seccomp

/// What a filter lets through, asked of its program: call by call and class by class.
package struct AllowedCalls: Sendable, Equatable {
    /// How far a call is open.
    package enum Openness: Sendable, Equatable {
        /// Whatever its arguments are.
        case whole
        /// For these classes.
        case classes(Set<UInt64>)
        /// For some arguments that are no class.
        case conditional
    }

    /// The calls that are open at all.
    package let calls: [String: Openness]

    /// Every call of this machine that a filter can name; sorted.
    package static let names: [String] = {
        let native = SyscallNames.native
        return (0..<1024 as Range<UInt32>).compactMap { number in
            SyscallNames.name(architecture: native, number: number).flatMap { name in
                SyscallNames.number(of: name) == number ? name : nil
            }
        }.sorted()
    }()

    /// Asks a filter.
    ///
    /// - Throws: As `SeccompCompiler.compile`.
    package init(_ filter: RuntimeSpec.Seccomp) throws(SeccompError) {
        let program = BPFInterpreter(try SeccompCompiler.compile(filter))
        var conditions: [String: [RuntimeSpec.Seccomp.Argument]] = [:]
        for rule in filter.syscalls ?? [] {
            for name in rule.names { conditions[name, default: []] += rule.args ?? [] }
        }
        var calls: [String: Openness] = [:]
        for name in Self.names {
            guard let number = SyscallNames.number(of: name) else { continue }
            let question = Question(program: program, name: name, number: number, conditions: conditions[name] ?? [])
            calls[name] = question.openness
        }
        self.calls = calls
    }

    /// Whether a use of a call goes through.
    package func contains(_ name: String, _ argument: UInt64?) -> Bool {
        switch calls[name] {
        case .whole: true
        case .classes(let values): argument.map(values.contains) ?? false
        case .conditional, nil: false
        }
    }
}

/// One call of a filter.
private struct Question {
    let program: BPFInterpreter
    let name: String
    let number: UInt32
    let conditions: [RuntimeSpec.Seccomp.Argument]

    var openness: AllowedCalls.Openness? {
        guard !conditions.isEmpty else { return isAllowed([]) ? .whole : nil }
        let verdicts = samples.map(isAllowed)
        guard verdicts.contains(true) else { return nil }
        if !verdicts.contains(false) { return .whole }
        guard let kind = ArgumentClass(call: name) else { return .conditional }
        let values = Set(samples.map(kind.value) + kind.named + kind.namedProtocols)
        let open = values.filter { kind.isPossible($0) && isOpen($0, kind) }
        return open.isEmpty ? .conditional : .classes(open)
    }

    /// A class is open when nothing beside it matters.
    private func isOpen(_ value: UInt64, _ kind: ArgumentClass) -> Bool {
        let plain = kind.arguments(for: value)
        let wild = (0..<64).map { bit in plain.map { $0 ^ 1 << UInt64(bit) } }
        return isAllowed(plain) && wild.filter { kind.value(of: $0) == value }.allSatisfy(isAllowed)
    }

    /// Arguments on both sides of every condition.
    private var samples: [[UInt64]] {
        var result: [[UInt64]] = [Array(repeating: 0, count: 6), Array(repeating: .max, count: 6)]
        for condition in conditions where condition.index < 6 {
            let two = condition.valueTwo ?? 0
            for value in [
                condition.value, condition.value &+ 1, condition.value &- 1, two, ~two, two | ~condition.value,
            ] {
                for rest: UInt64 in [0, .max] {
                    var arguments = Array(repeating: rest, count: 6)
                    arguments[Int(condition.index)] = value
                    for other in conditions where other.index != condition.index && other.index < 6 {
                        arguments[Int(other.index)] = other.valueTwo ?? other.value
                    }
                    result.append(arguments)
                }
            }
        }
        for value in ArgumentClass(call: name)?.named ?? [] {
            if let kind = ArgumentClass(call: name) { result.append(kind.arguments(for: value)) }
        }
        return result
    }

    private func isAllowed(_ arguments: [UInt64]) -> Bool {
        let call = SystemCall(architecture: SyscallNames.native, number: number, arguments: arguments)
        return program.verdict(on: call) == Verdict.allow
    }
}
