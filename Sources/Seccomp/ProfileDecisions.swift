internal import CLibSeccomp
internal import OCISpec

// What a profile says about each number of a calling convention.

extension ProfileMeaning {
    /// What happens to a call of one number.
    enum Decision: Hashable {
        /// The same whatever the arguments are.
        case always(UInt32)
        /// The verdict of the first rule whose conditions hold, else the default.
        case firstMatch([Rule])
    }

    /// Numbers from `first` up to the next range that are decided alike.
    struct Range {
        var first: UInt32
        var decision: Decision
    }

    /// The architecture tokens as the kernel tells them to a filter, each once.
    ///
    /// x32 is the 64-bit architecture to the kernel, with a bit in the number.
    var tokens: [UInt32] {
        var tokens: [UInt32] = []
        for architecture in architectures {
            let token = architecture == Self.x32Token ? Self.x86_64Token : architecture
            if !tokens.contains(token) { tokens.append(token) }
        }
        return tokens
    }

    /// The decisions about all numbers that a token can come with.
    func ranges(of token: UInt32) -> [Range] {
        guard token == Self.x86_64Token else { return ranges(token, from: 0) }
        // Not listed, one of the two conventions is as foreign as any other architecture.
        let killed = [Range(first: 0, decision: .always(Verdict.killProcess))]
        let wide = architectures.contains(Self.x86_64Token) ? ranges(token, from: 0) : killed
        var narrow = architectures.contains(Self.x32Token) ? ranges(Self.x32Token, from: Self.x32Bit) : killed
        narrow[0].first = Self.x32Bit
        // -1 is no number of either: a tracer leaves it behind when it has cancelled a call.
        let none = Range(first: .max, decision: .always(defaultVerdict))
        return Self.merged(wide + narrow + [none])
    }

    private func ranges(_ architecture: UInt32, from base: UInt32) -> [Range] {
        var ranges = [Range(first: base, decision: .always(defaultVerdict))]
        var next = base
        for (number, decision) in decisions(for: architecture).sorted(by: { $0.key < $1.key }) {
            let first = base + number
            if first > next { ranges.append(Range(first: next, decision: .always(defaultVerdict))) }
            ranges.append(Range(first: first, decision: decision))
            next = first + 1
        }
        return Self.merged(ranges + [Range(first: next, decision: .always(defaultVerdict))])
    }

    private static func merged(_ ranges: [Range]) -> [Range] {
        var result: [Range] = []
        for range in ranges {
            if result.last?.first == range.first { result.removeLast() }
            if result.last?.decision != range.decision { result.append(range) }
        }
        return result
    }

    /// The decisions about the numbers that any rule names.
    func decisions(for architecture: UInt32) -> [UInt32: Decision] {
        var lists: [UInt32: [Rule]] = [:]
        for rule in rules {
            if let number = Self.number(of: rule.name, architecture) { lists[number, default: []].append(rule) }
            // What the arguments of such a call are stands in memory, out of a filter's sight.
            guard rule.conditions.isEmpty, architecture == Self.i386Token,
                let (multiplexer, which) = Self.multiplexed[rule.name],
                let number = Self.number(of: multiplexer, architecture)
            else { continue }
            // The upper half of ipc's first argument is a version.
            let condition = Condition(index: 0, operation: .maskedEqual, value: 0xffff, valueTwo: which)
            lists[number, default: []].append(
                Rule(name: multiplexer, verdict: rule.verdict, conditions: [condition])
            )
        }
        return lists.mapValues(Self.decision)
    }

    private static func decision(_ rules: [Rule]) -> Decision {
        let sorted = rules.enumerated().sorted { a, b in
            (Verdict.leniency(a.element.verdict), a.offset) < (Verdict.leniency(b.element.verdict), b.offset)
        }.map(\.element)
        if let first = sorted.first(where: \.conditions.isEmpty) { return .always(first.verdict) }
        return .firstMatch(sorted)
    }

    /// The call's number by this architecture, nil when it has none of its own.
    static func number(of name: String, _ architecture: UInt32) -> UInt32? {
        let number = unsafe seccomp_syscall_resolve_name_arch(architecture, name)
        if number >= 0 { return UInt32(number) & ~x32Bit }
        return architecture == i386Token ? directNumbers[name] : nil
    }

    /// Numbers of the 32-bit x86 calls that also hide behind a multiplexer; the library resolves them to the latter.
    private static let directNumbers: [String: UInt32] = [
        "socket": 359, "socketpair": 360, "bind": 361, "connect": 362, "listen": 363, "accept4": 364,
        "getsockopt": 365, "setsockopt": 366, "getsockname": 367, "getpeername": 368, "sendto": 369, "sendmsg": 370,
        "recvfrom": 371, "recvmsg": 372, "shutdown": 373, "recvmmsg": 337, "sendmmsg": 345, "semget": 393,
        "semctl": 394, "shmget": 395, "shmctl": 396, "shmat": 397, "shmdt": 398, "msgget": 399, "msgsnd": 400,
        "msgrcv": 401, "msgctl": 402,
    ]

    /// The old 32-bit calls whose first argument picks the real one, and which it picks by what.
    private static let multiplexed: [String: (String, UInt64)] = {
        let sockets = [
            "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv",
            "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg",
            "sendmmsg",
        ]
        let messages: [(String, UInt64)] = [
            ("semop", 1), ("semget", 2), ("semctl", 3), ("semtimedop", 4), ("msgsnd", 11), ("msgrcv", 12),
            ("msgget", 13),
            ("msgctl", 14), ("shmat", 21), ("shmdt", 22), ("shmget", 23), ("shmctl", 24),
        ]
        var result: [String: (String, UInt64)] = [:]
        for (index, name) in sockets.enumerated() { result[name] = ("socketcall", UInt64(index + 1)) }
        for (name, which) in messages { result[name] = ("ipc", which) }
        return result
    }()

    static let i386Token: UInt32 = 0x4000_0003
    static let x32Bit: UInt32 = 0x4000_0000
    static let x32Token: UInt32 = 0x4000_003e
    static let x86_64Token: UInt32 = 0xc000_003e
    static let wideBit: UInt32 = 0x8000_0000
    static let littleEndianBit: UInt32 = 0x4000_0000
}
