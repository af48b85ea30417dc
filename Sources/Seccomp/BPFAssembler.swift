/// Puts a filter together from its end, so that every jump leads to an instruction that exists already.
///
/// A label is an instruction's distance from the end. Conditional jumps reach 255 instructions; a longer way gets a jump of
/// its own, or a copy where the target only gives a verdict.
struct BPFAssembler {
    typealias Label = Int

    /// The comparisons that the machine has.
    enum Comparison: UInt16 {
        case equal = 0x15
        case greater = 0x25
        case greaterOrEqual = 0x35
    }

    private struct Instruction {
        var code: UInt16
        var jumpTrue: UInt8 = 0
        var jumpFalse: UInt8 = 0
        var constant: UInt32
    }

    /// The last instruction first.
    private var reversed: [Instruction] = []
    private var results: [UInt32: Label] = [:]
    /// What was emitted for a list of rules: several calls and architectures may share it.
    var blocks: [[ProfileMeaning.Rule]: Label] = [:]

    /// The instructions as the kernel takes them.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(reversed.count * 8)
        for instruction in reversed.reversed() {
            bytes.appendLittleEndian(instruction.code)
            bytes += [instruction.jumpTrue, instruction.jumpFalse]
            bytes.appendLittleEndian(instruction.constant)
        }
        return bytes
    }

    /// The end with a verdict.
    mutating func result(_ verdict: UInt32) -> Label {
        if let known = results[verdict] { return known }
        let label = append(Instruction(code: 0x06, constant: verdict))
        results[verdict] = label
        return label
    }

    /// Loads a word of the call, then goes on somewhere.
    mutating func load(_ offset: UInt32, then next: Label) -> Label {
        follow(next)
        return append(Instruction(code: 0x20, constant: offset))
    }

    /// Masks what was loaded, then goes on somewhere.
    mutating func and(_ mask: UInt32, then next: Label) -> Label {
        follow(next)
        return append(Instruction(code: 0x54, constant: mask))
    }

    /// Compares what was loaded with a constant.
    mutating func jump(_ comparison: Comparison, _ constant: UInt32, yes: Label, no: Label) -> Label {
        if yes == no { return yes }
        // The second detour may push the first target one further away.
        let yes = within(254, yes)
        let no = within(255, no)
        let here = reversed.count
        return append(
            Instruction(
                code: comparison.rawValue,
                jumpTrue: UInt8(here - yes - 1),
                jumpFalse: UInt8(here - no - 1),
                constant: constant
            )
        )
    }

    /// Makes sure that the target is what comes next.
    private mutating func follow(_ target: Label) {
        if target != reversed.count - 1 { _ = detour(target) }
    }

    private mutating func within(_ reach: Int, _ target: Label) -> Label {
        reversed.count - target - 1 <= reach ? target : detour(target)
    }

    private mutating func detour(_ target: Label) -> Label {
        let instruction = reversed[target]
        guard instruction.code == 0x06 else {
            return append(Instruction(code: 0x05, constant: UInt32(reversed.count - target - 1)))
        }
        let label = append(instruction)
        results[instruction.constant] = label
        return label
    }

    private mutating func append(_ instruction: Instruction) -> Label {
        reversed.append(instruction)
        return reversed.count - 1
    }
}
