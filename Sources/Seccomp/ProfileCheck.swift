internal import CLibSeccomp
internal import OCISpec

// The check of a compiled program: every call that the profile names, with every class of arguments that its conditions
// tell apart, every number up to a bound that it does not name, and foreign architectures.

extension ProfileMeaning {
    /// Compares the program's verdicts with the profile's.
    ///
    /// - Throws: `internal` naming the first call on which they differ.
    package func check(_ program: BPFInterpreter) throws(SeccompError) {
        let byName = Dictionary(grouping: rules, by: \.name)
        for architecture in architectures {
            try check(program, byName, architecture)
        }
        let foreign = SystemCall(architecture: 0x1234, number: 0)
        guard program.verdict(on: foreign) == Verdict.killProcess else { throw .wrongVerdict("a foreign architecture") }
    }

    private func check(
        _ program: BPFInterpreter,
        _ byName: [String: [Rule]],
        _ architecture: UInt32
    ) throws(SeccompError) {
        var named: Set<UInt32> = []
        for (name, rules) in byName {
            guard let number = Self.number(of: name, architecture) else { continue }
            named.insert(number)
            for arguments in samples(rules, architecture) {
                let call = systemCall(architecture, number, arguments)
                guard let verdict = program.verdict(on: call) else { throw .wrongVerdict(name) }
                guard verdicts(for: rules, arguments: arguments).contains(verdict) else {
                    throw .wrongVerdict("\(name)(\(arguments)) of architecture \(architecture)")
                }
            }
        }
        for number: UInt32 in 0..<1024 where !named.contains(number) && !Self.isMultiplexer(number, architecture) {
            let verdict = program.verdict(on: systemCall(architecture, number, []))
            guard verdict == defaultVerdict else {
                throw .wrongVerdict("call \(number) of architecture \(architecture)")
            }
        }
    }

    /// The call's number by this architecture, nil when it has none of its own.
    private static func number(of name: String, _ architecture: UInt32) -> UInt32? {
        let number = unsafe seccomp_syscall_resolve_name_arch(architecture, name)
        if number >= 0 { return UInt32(number) & ~x32Bit }
        return architecture == i386Token ? directNumbers[name] : nil
    }

    /// Numbers of the 32-bit x86 calls that also hide behind a multiplexer; the library resolves them to the latter.
    private static var directNumbers: [String: UInt32] {
        [
            "socket": 359, "socketpair": 360, "bind": 361, "connect": 362, "listen": 363, "accept4": 364,
            "getsockopt": 365, "setsockopt": 366, "getsockname": 367, "getpeername": 368, "sendto": 369, "sendmsg": 370,
            "recvfrom": 371, "recvmsg": 372, "shutdown": 373, "recvmmsg": 337, "sendmmsg": 345, "semget": 393,
            "semctl": 394, "shmget": 395, "shmctl": 396, "shmat": 397, "shmdt": 398, "msgget": 399, "msgsnd": 400,
            "msgrcv": 401, "msgctl": 402,
        ]
    }

    /// Whether a number is one of the old calls whose first argument picks the real one; their rules come from several names.
    private static func isMultiplexer(_ number: UInt32, _ architecture: UInt32) -> Bool {
        ["socketcall", "ipc"].contains { self.number(of: $0, architecture) == number }
    }

    private func systemCall(_ architecture: UInt32, _ number: UInt32, _ arguments: [UInt64]) -> SystemCall {
        // x32 is the 64-bit architecture to the kernel, with a bit in the number.
        architecture == Self.x32Token
            ? SystemCall(architecture: Self.x86_64Token, number: number | Self.x32Bit, arguments: arguments)
            : SystemCall(architecture: architecture, number: number, arguments: arguments)
    }

    /// Argument lists on both sides of every border that the conditions draw, in the low and in the high half.
    private func samples(_ rules: [Rule], _ architecture: UInt32) -> [[UInt64]] {
        var lists: [[UInt64]] = [Array(repeating: 0, count: 6), Array(repeating: .max, count: 6)]
        let wide = architecture & Self.wideBit != 0
        for rule in rules {
            for condition in rule.conditions {
                for base in [condition.value, condition.valueTwo] {
                    for value in [base, base &- 1, base &+ 1, ~base, base ^ 1 << 32, base | 0xffff_ffff << 32] {
                        var list = satisfying(rule)
                        list[Int(condition.index)] = value
                        lists.append(list)
                    }
                }
            }
            lists.append(satisfying(rule))
        }
        return wide ? lists : lists.map { $0.map { $0 & 0xffff_ffff } }
    }

    /// Arguments that a rule's conditions hold for.
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

    private static let i386Token: UInt32 = 0x4000_0003
    private static let x32Bit: UInt32 = 0x4000_0000
    private static let x32Token: UInt32 = 0x4000_003e
    private static let x86_64Token: UInt32 = 0xc000_003e
    private static let wideBit: UInt32 = 0x8000_0000
}
