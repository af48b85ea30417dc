internal import OCISpec

// The check of a compiled program. It runs the program as the kernel would, for every number of every architecture up to a
// bound and those beyond that mean something, with every class of arguments that the conditions tell apart, and compares
// the verdicts with the profile's. What compiles is not what checks: nothing here knows of instructions.

extension ProfileMeaning {
    /// Compares the program's verdicts with the profile's.
    ///
    /// - Throws: `internal` naming the first call on which they differ.
    package func check(_ program: BPFInterpreter) throws(SeccompError) {
        for token in tokens {
            // Numbers that no table reaches.
            let isX86 = token == Self.x86_64Token
            for number: UInt32 in [0x8000_0000, 0xffff_fffe] {
                let wanted = isX86 && !isListed(Self.x32Token) ? Verdict.killProcess : defaultVerdict
                try expect(wanted, program, SystemCall(architecture: token, number: number))
            }
            try expect(defaultVerdict, program, SystemCall(architecture: token, number: .max))
            if isX86 {
                try check(program, token, isListed(Self.x86_64Token), Self.x86_64Token, base: 0)
                try check(program, token, isListed(Self.x32Token), Self.x32Token, base: Self.x32Bit)
            } else {
                try check(program, token, true, token, base: 0)
            }
        }
        for foreign in Self.knownTokens where !tokens.contains(foreign) {
            for number: UInt32 in [0, 1, 59, 1000, Self.x32Bit, .max] {
                try expect(Verdict.killProcess, program, SystemCall(architecture: foreign, number: number))
            }
        }
    }

    private func isListed(_ architecture: UInt32) -> Bool { architectures.contains(architecture) }

    private func check(
        _ program: BPFInterpreter,
        _ token: UInt32,
        _ isListed: Bool,
        _ architecture: UInt32,
        base: UInt32
    ) throws(SeccompError) {
        let decisions = isListed ? decisions(for: architecture) : [:]
        let otherwise = isListed ? defaultVerdict : Verdict.killProcess
        let beyond: [UInt32] = [1024, 4095, 0xffff, 0x10000, 0x3fff_fffe, 0x3fff_ffff]
        // Made once: most numbers have no rule, and there are thousands of them.
        var plain = SystemCall(architecture: token, number: 0)
        var wild = SystemCall(architecture: token, number: 0, arguments: Self.extremes)
        for number in Array(0..<1024) + beyond + decisions.keys.filter({ $0 >= 1024 }) {
            let decision = decisions[number]
            guard case .firstMatch(let rules)? = decision else {
                let wanted = decision?.only ?? otherwise
                (plain.number, wild.number) = (base | number, base | number)
                try expect(wanted, program, plain)
                try expect(wanted, program, wild)
                continue
            }
            for arguments in samples(rules, isWide: architecture & Self.wideBit != 0 || base != 0) {
                let call = SystemCall(architecture: token, number: base | number, arguments: arguments)
                let rule = rules.first { $0.conditions.allSatisfy { $0.holds(arguments) } }
                try expect(rule?.verdict ?? defaultVerdict, program, call)
            }
        }
    }

    private func expect(_ wanted: UInt32, _ program: BPFInterpreter, _ call: SystemCall) throws(SeccompError) {
        guard program.verdict(on: call) == wanted else {
            let number = String(call.number, radix: 16)
            let architecture = String(call.architecture, radix: 16)
            throw .wrongVerdict("call 0x\(number)\(call.arguments) of architecture 0x\(architecture)")
        }
    }

    private static let extremes: [UInt64] = Array(repeating: .max, count: 6)

    /// Argument lists on both sides of every border that the conditions draw, in each half and in both.
    private func samples(_ rules: [Rule], isWide: Bool) -> [[UInt64]] {
        var lists: [[UInt64]] = [Array(repeating: 0, count: 6), Self.extremes]
        // Borders of all rules for the same argument: where one rule ends another may begin.
        var borders: [UInt32: Set<UInt64>] = [:]
        for condition in rules.flatMap(\.conditions) {
            borders[condition.index, default: []].formUnion(Self.neighbours(of: condition))
        }
        let total = borders.values.reduce(0) { $0 + $1.count }
        for rule in rules {
            let base = satisfying(rule)
            lists.append(base)
            if total * rules.count <= Self.mostSamples {
                for (index, values) in borders { lists += values.map { base.with($0, at: index) } }
            } else {
                for condition in rule.conditions {
                    lists += Self.neighbours(of: condition).map { base.with($0, at: condition.index) }
                }
            }
        }
        // The registers of a 32-bit call have no upper half.
        return isWide ? lists : lists.map { $0.map { $0 & 0xffff_ffff } }
    }

    /// Above it, each rule is held against its own borders only.
    private static let mostSamples = 50_000

    private static func neighbours(of condition: Condition) -> Set<UInt64> {
        var result: Set<UInt64> = []
        for base in [condition.value, condition.valueTwo] {
            let high = base & ~0xffff_ffff
            let low = base & 0xffff_ffff
            for upper in [high, high &- (1 << 32), high &+ (1 << 32)] {
                for lower in [low, low &- 1, low &+ 1, 0, 0xffff_ffff] { result.insert(upper | lower & 0xffff_ffff) }
            }
            result.formUnion([base &- 1, base &+ 1, ~base])
        }
        if condition.operation == .maskedEqual {
            // Each bit of the mask alone, and everything outside of it.
            for bit in 0..<64 { result.insert(condition.valueTwo ^ 1 << UInt64(bit)) }
            result.insert(condition.valueTwo | ~condition.value)
        }
        return result
    }

    /// Arguments that a rule's conditions hold for, where there are any.
    private func satisfying(_ rule: Rule) -> [UInt64] {
        var list: [UInt64] = Array(repeating: 0, count: 6)
        for condition in rule.conditions {
            list[Int(condition.index)] =
                switch condition.operation {
                case .notEqual, .greater: condition.value &+ 1
                case .less: condition.value &- 1
                case .lessOrEqual, .equal, .greaterOrEqual: condition.value
                case .maskedEqual: condition.valueTwo
                }
        }
        return list
    }

    /// AUDIT_ARCH_* of what Linux runs on, and one of nothing.
    private static let knownTokens: [UInt32] = [
        0xc000_003e, 0x4000_0003, 0x4000_003e, 0xc000_00b7, 0x4000_0028, 0xc000_00f3, 0xc000_0102, 0x8000_0015,
        0xc000_0015, 0x8000_0016, 0x16, 0x8000_0008, 0x8, 0x4000_0008, 0x1234, 0, .max,
    ]
}

extension ProfileMeaning.Decision {
    var only: UInt32? {
        if case .always(let verdict) = self { return verdict }
        return nil
    }
}

extension [UInt64] {
    fileprivate func with(_ value: UInt64, at index: UInt32) -> [UInt64] {
        var copy = self
        copy[Int(index)] = value
        return copy
    }
}
