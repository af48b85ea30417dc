public import OCISpec

/// Turns profiles into checked programs.
public enum SeccompCompiler {
    /// Compiles a profile and checks the result against the profile's meaning.
    ///
    /// Calls that this machine's table does not know are skipped, as the specification asks. When one rule has several
    /// conditions on the same argument, each of them becomes a rule of its own (any of them matches): that is what
    /// profiles written for other runtimes mean by it. Of several rules for one call one without conditions decides
    /// alone, else the strictest whose conditions hold; the order of the rules does not matter.
    ///
    /// - Parameter profile: The `seccomp` section. `listenerPath` is the business of whoever loads the program.
    /// - Returns: The program, ready for seccomp(2).
    /// - Throws: `invalidArgument` for a profile that contradicts itself or is too long for the kernel, `unsupported` for an
    ///   architecture or flag that is unknown here, `internal` when the program is not what the profile says.
    public static func compile(_ profile: RuntimeSpec.Seccomp) throws(SeccompError) -> SeccompProgram {
        let meaning = try ProfileMeaning(profile)
        let program = try SeccompProgram(flags: meaning.flags, instructions: instructions(for: meaning))
        try meaning.check(BPFInterpreter(program))
        return program
    }

    /// The program from its end to its begin: the choice between the architectures comes first and is emitted last.
    private static func instructions(for meaning: ProfileMeaning) -> [UInt8] {
        var assembler = BPFAssembler()
        // A call by an architecture that the profile does not list is an attempt to get around it.
        var entry = assembler.result(Verdict.killProcess)
        for token in meaning.tokens.reversed() {
            let search = emitSearch(meaning.ranges(of: token)[...], meaning.defaultVerdict, &assembler)
            let section = assembler.load(0, then: search)
            entry = assembler.jump(.equal, token, yes: section, no: entry)
        }
        _ = assembler.load(4, then: entry)
        return assembler.bytes
    }

    /// A binary search over the numbers: the filter runs at every call of the container.
    private static func emitSearch(
        _ ranges: ArraySlice<ProfileMeaning.Range>,
        _ defaultVerdict: UInt32,
        _ assembler: inout BPFAssembler
    ) -> BPFAssembler.Label {
        guard ranges.count > 1 else {
            // There is always one: the ranges cover every number.
            return emit(ranges.first?.decision ?? .always(Verdict.killProcess), defaultVerdict, &assembler)
        }
        let middle = ranges.startIndex + ranges.count / 2
        let above = emitSearch(ranges[middle...], defaultVerdict, &assembler)
        let below = emitSearch(ranges[..<middle], defaultVerdict, &assembler)
        return assembler.jump(.greaterOrEqual, ranges[middle].first, yes: above, no: below)
    }

    private static func emit(
        _ decision: ProfileMeaning.Decision,
        _ defaultVerdict: UInt32,
        _ assembler: inout BPFAssembler
    ) -> BPFAssembler.Label {
        switch decision {
        case .always(let verdict): return assembler.result(verdict)
        case .firstMatch(let rules):
            if let known = assembler.blocks[rules] { return known }
            var next = assembler.result(defaultVerdict)
            for rule in rules.reversed() {
                var matched = assembler.result(rule.verdict)
                for condition in rule.conditions.reversed() {
                    matched = emit(condition, yes: matched, no: next, &assembler)
                }
                next = matched
            }
            assembler.blocks[rules] = next
            return next
        }
    }

    /// A comparison of 64 bits in halves, the upper one first.
    private static func emit(
        _ condition: ProfileMeaning.Condition,
        yes: BPFAssembler.Label,
        no: BPFAssembler.Label,
        _ assembler: inout BPFAssembler
    ) -> BPFAssembler.Label {
        let low = 16 + condition.index * 8
        let (valueHigh, valueLow) = condition.value.halves
        switch condition.operation {
        case .equal: return emitEqual(low, condition.value, yes: yes, no: no, &assembler)
        case .notEqual: return emitEqual(low, condition.value, yes: no, no: yes, &assembler)
        case .greaterOrEqual, .greater, .less, .lessOrEqual:
            let isInverse = condition.operation == .less || condition.operation == .lessOrEqual
            let (yes, no) = isInverse ? (no, yes) : (yes, no)
            // "Less" is not "greater or equal", "less or equal" is not "greater".
            let isStrict = condition.operation == .greater || condition.operation == .lessOrEqual
            let lower = assembler.jump(isStrict ? .greater : .greaterOrEqual, valueLow, yes: yes, no: no)
            let lowerPart = assembler.load(low, then: lower)
            let isSame = assembler.jump(.equal, valueHigh, yes: lowerPart, no: no)
            let isAbove = assembler.jump(.greater, valueHigh, yes: yes, no: isSame)
            return assembler.load(low + 4, then: isAbove)
        case .maskedEqual:
            let (maskHigh, maskLow) = condition.value.halves
            let (wantedHigh, wantedLow) = condition.valueTwo.halves
            // Bits that the mask takes away are never wanted in vain: the comparison below is simply never true.
            let lowerTest = assembler.jump(.equal, wantedLow, yes: yes, no: no)
            let lowerMask = assembler.and(maskLow, then: lowerTest)
            let lowerPart = assembler.load(low, then: lowerMask)
            let upperTest = assembler.jump(.equal, wantedHigh, yes: lowerPart, no: no)
            let upperMask = assembler.and(maskHigh, then: upperTest)
            return assembler.load(low + 4, then: upperMask)
        }
    }

    private static func emitEqual(
        _ low: UInt32,
        _ value: UInt64,
        yes: BPFAssembler.Label,
        no: BPFAssembler.Label,
        _ assembler: inout BPFAssembler
    ) -> BPFAssembler.Label {
        let (high, lowValue) = value.halves
        let lower = assembler.jump(.equal, lowValue, yes: yes, no: no)
        let lowerPart = assembler.load(low, then: lower)
        let upper = assembler.jump(.equal, high, yes: lowerPart, no: no)
        return assembler.load(low + 4, then: upper)
    }
}

extension UInt64 {
    /// Upper and lower half.
    var halves: (UInt32, UInt32) { (UInt32(truncatingIfNeeded: self >> 32), UInt32(truncatingIfNeeded: self)) }
}
