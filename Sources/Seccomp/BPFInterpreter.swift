/// What the kernel tells a filter about a system call (struct seccomp_data, seccomp(2)).
package struct SystemCall: Sendable, Equatable {
    /// AUDIT_ARCH_* of the calling convention.
    package var architecture: UInt32
    /// Number of the call.
    package var number: UInt32
    /// The six argument registers.
    package var arguments: [UInt64]

    /// Describes a call; missing arguments are 0.
    package init(architecture: UInt32, number: UInt32, arguments: [UInt64] = []) {
        self.architecture = architecture
        self.number = number
        self.arguments =
            arguments.count < 6 ? arguments + Array(repeating: 0, count: 6 - arguments.count) : arguments
    }

    /// The 32-bit word at an offset of the structure, little-endian layout.
    func word(at offset: UInt32) -> UInt32? {
        switch offset {
        case 0: return number
        case 4: return architecture
        case 8, 12: return 0
        case 16..<64 where offset % 4 == 0:
            let argument = arguments[Int(offset - 16) / 8]
            return UInt32(truncatingIfNeeded: offset % 8 == 0 ? argument : argument >> 32)
        default: return nil
        }
    }
}

/// Runs a filter the way the kernel does, for checking programs before they are trusted.
package struct BPFInterpreter: Sendable {
    private struct Instruction {
        var code: UInt16
        var jumpTrue: Int
        var jumpFalse: Int
        var constant: UInt32
    }

    private let program: [Instruction]

    /// Decodes the program.
    package init(_ program: SeccompProgram) {
        let bytes = program.instructions
        self.program = stride(from: 0, to: bytes.count, by: 8).map { offset in
            Instruction(
                code: bytes.littleEndian(at: offset),
                jumpTrue: Int(bytes[offset + 2]),
                jumpFalse: Int(bytes[offset + 3]),
                constant: bytes.littleEndian(at: offset + 4)
            )
        }
    }

    /// The filter's verdict (SECCOMP_RET_*) on a call.
    ///
    /// - Returns: Nil when the program runs off its end or holds an instruction that no filter of ours has.
    package func verdict(on call: SystemCall) -> UInt32? {
        // Each access by way of the array would count its references: more than half of the time of a check that is not optimised. The
        // pointer is valid as long as the closure runs.
        unsafe program.withUnsafeBufferPointer { unsafe Self.run($0, call) }
    }

    private static func run(_ program: UnsafeBufferPointer<Instruction>, _ call: SystemCall) -> UInt32? {
        var accumulator: UInt32 = 0
        var position = 0
        while position < program.count {
            let instruction = unsafe program[position]
            position += 1
            let constant = instruction.constant
            let jump: Bool
            switch instruction.code {
            case 0x20:  // LD | W | ABS
                guard let word = call.word(at: constant) else { return nil }
                accumulator = word
                continue
            case 0x54:  // ALU | AND | K
                accumulator &= constant
                continue
            case 0x05:  // JMP | JA
                guard let step = Int(exactly: constant) else { return nil }
                position += step
                continue
            case 0x15: jump = accumulator == constant
            case 0x25: jump = accumulator > constant
            case 0x35: jump = accumulator >= constant
            case 0x45: jump = accumulator & constant != 0
            case 0x06: return constant  // RET | K
            default: return nil
            }
            position += jump ? instruction.jumpTrue : instruction.jumpFalse
        }
        return nil
    }
}
