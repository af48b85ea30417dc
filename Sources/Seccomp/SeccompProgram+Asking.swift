/// Which calls a program asks about that decides by itself otherwise.
public enum AskedCalls: Sendable {
    /// Those that it would refuse.
    case refused
    /// All.
    case all
}

/// What a filter says about one call.
public enum SeccompDecision: Sendable, Hashable {
    /// It is made.
    case allow
    /// It fails with this number; 0 is success without being made.
    case fail(Int32)
    /// Its process is killed.
    case kill
}

extension SeccompProgram {
    /// The program with questions to a listener in the place of decisions.
    ///
    /// Verdicts that hand the call to somebody else stay as they are: a signal to the program itself, a tracer. `clone3` fails with ENOSYS
    /// without a question wherever the program does not allow it, and always when all calls are asked about: its flags cannot be judged,
    /// and the C library takes `clone` then.
    ///
    /// - Parameters:
    ///   - calls: What is asked about. A call that is allowed otherwise costs what it cost before.
    ///   - flags: Further flags to load the program with.
    /// - Returns: The program.
    public func asking(about calls: AskedCalls, flags: UInt32) -> SeccompProgram {
        var asking = instructions
        let question: [UInt8] = [0x00, 0x00, 0xc0, 0x7f]
        for offset in stride(from: 0, to: asking.count, by: 8) {
            let code: UInt16 = asking.littleEndian(at: offset)
            let verdict: UInt32 = asking.littleEndian(at: offset + 4)
            // RET | K
            guard code == 0x06, Self.isAsked(verdict, calls) else { continue }
            asking.replaceSubrange(offset + 4..<offset + 8, with: question)
        }
        let prefix = hidesClone3(calls) && count + Self.clone3Absent.count / 8 <= Self.maximumInstructions
        return SeccompProgram(flags: self.flags | flags, checked: (prefix ? Self.clone3Absent : []) + asking)
    }

    private func hidesClone3(_ calls: AskedCalls) -> Bool {
        if calls == .all { return true }
        let judge = SeccompJudge(self)
        let absent = SeccompDecision.fail(Self.absent)
        return judge.decide(architecture: SyscallNames.native, number: Self.clone3, arguments: []) == absent
    }

    /// ENOSYS, and the number of clone3 on every architecture.
    private static let (absent, clone3): (Int32, UInt32) = (38, 435)

    /// What goes before a program to answer for clone3.
    private static var clone3Absent: [UInt8] {
        var assembler = BPFAssembler()
        // The program that follows takes the place of this verdict, the last instruction.
        let rest = assembler.result(Verdict.allow)
        let failure = assembler.result(Verdict.errno(UInt32(absent)))
        let number = assembler.load(0, then: assembler.jump(.equal, clone3, yes: failure, no: rest))
        _ = assembler.load(4, then: assembler.jump(.equal, SyscallNames.native, yes: number, no: rest))
        return assembler.bytes.dropLast(8)
    }

    private static func isAsked(_ verdict: UInt32, _ calls: AskedCalls) -> Bool {
        switch verdict & 0xffff_0000 {
        // SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_ERRNO
        case 0x8000_0000, 0, 0x0005_0000: true
        // SECCOMP_RET_LOG, SECCOMP_RET_ALLOW
        case 0x7ffc_0000, 0x7fff_0000: calls == .all
        default: false
        }
    }
}

/// Decides about calls as a program would, for who answers its questions.
public struct SeccompJudge: Sendable {
    private let interpreter: BPFInterpreter

    /// Takes the program as it was before it asked.
    public init(_ program: SeccompProgram) {
        interpreter = BPFInterpreter(program)
    }

    /// What the program says about a call.
    ///
    /// - Parameters:
    ///   - architecture: AUDIT_ARCH_* of the calling convention.
    ///   - number: The call's number, with the bit of the x32 convention.
    ///   - arguments: The six argument registers.
    /// - Returns: What is to happen; a call that the program has nothing to say about kills.
    public func decide(architecture: UInt32, number: UInt32, arguments: [UInt64]) -> SeccompDecision {
        let call = SystemCall(architecture: architecture, number: number, arguments: arguments)
        guard let verdict = interpreter.verdict(on: call) else { return .kill }
        switch verdict & 0xffff_0000 {
        case 0x7ffc_0000, 0x7fff_0000: return .allow
        case 0x0005_0000: return .fail(Int32(min(verdict & 0xffff, 4095)))
        default: return .kill
        }
    }
}
