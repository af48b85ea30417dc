internal import OCISpec

/// Files of cgroup v2 that have an exact counterpart among OCI's fields, for hosts with v1.
enum UnifiedConversion {
    /// Turns what can be turned into fields.
    ///
    /// - Parameter resources: with `unified`; afterwards without.
    /// - Throws: `unsupported` with the first key that v1 has nothing for, `invalidArgument` for a value that is none.
    static func apply(_ resources: inout RuntimeSpec.Resources) throws(CgroupError) {
        guard let unified = resources.unified else { return }
        resources.unified = nil
        for (key, value) in unified.sorted(by: { $0.key < $1.key }) { try convert(key, value, &resources) }
    }

    private static func convert(
        _ key: String,
        _ value: String,
        _ resources: inout RuntimeSpec.Resources
    ) throws(CgroupError) {
        let parts = key.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        switch parts[0] {
        case "pids" where key == "pids.max": resources.pids = .init(limit: try number(key, value))
        case "memory": try memory(key, value, &resources)
        case "cpu": try cpu(key, value, &resources)
        case "cpuset" where key == "cpuset.cpus":
            change(&resources.cpu, .init()) { $0.cpus = value }
        case "cpuset" where key == "cpuset.mems":
            change(&resources.cpu, .init()) { $0.mems = value }
        case "hugetlb" where key.hasSuffix(".max") && !key.hasSuffix(".rsvd.max"):
            let limit = try number(key, value)
            let size = String(key.dropFirst("hugetlb.".count).dropLast(".max".count))
            // Unlimited is the largest number that the file takes.
            let bytes = limit < 0 ? UInt64(Int64.max) : UInt64(limit)
            resources.hugepageLimits = (resources.hugepageLimits ?? []) + [.init(pageSize: size, limit: bytes)]
        default: throw .unsupported("unified.\(key)", "the host has cgroup v1, which has no counterpart")
        }
    }

    private static func memory(
        _ key: String,
        _ value: String,
        _ resources: inout RuntimeSpec.Resources
    ) throws(CgroupError) {
        let bytes = try number(key, value)
        var memory = resources.memory ?? .init()
        switch key {
        case "memory.max": memory.limit = bytes
        case "memory.low": memory.reservation = bytes
        case "memory.swap.max":
            // v1 limits the sum; keys come in order, so that memory.max is known.
            guard let limit = memory.givenLimit, limit > 0 || bytes < 0 else {
                throw .unsupported(
                    "unified.\(key)",
                    "cgroup v1 limits memory and swap together, and memory has no limit"
                )
            }
            let (sum, overflow) = limit.addingReportingOverflow(bytes)
            memory.swap = bytes < 0 || overflow ? -1 : sum
        default: throw .unsupported("unified.\(key)", "the host has cgroup v1, which has no counterpart")
        }
        resources.memory = memory
    }

    private static func cpu(
        _ key: String,
        _ value: String,
        _ resources: inout RuntimeSpec.Resources
    ) throws(CgroupError) {
        var cpu = resources.cpu ?? .init()
        switch key {
        case "cpu.idle": cpu.idle = try number(key, value)
        case "cpu.max.burst": cpu.burst = try amount(key, value)
        case "cpu.weight":
            let weight = try number(key, value)
            guard (1...10000).contains(weight) else { throw .invalid("unified.\(key)", "'\(value)'") }
            cpu.shares = CPUWeight.shares(UInt64(weight))
        case "cpu.max":
            let words = value.words
            guard (1...2).contains(words.count) else { throw .invalid("unified.\(key)", "'\(value)'") }
            cpu.quota = try number(key, words[0])
            if words.count == 2 { cpu.period = try amount(key, words[1]) }
        default: throw .unsupported("unified.\(key)", "the host has cgroup v1, which has no counterpart")
        }
        resources.cpu = cpu
    }

    /// A number of which "max" is none.
    private static func amount(_ key: String, _ text: String) throws(CgroupError) -> UInt64 {
        guard let amount = UInt64(exactly: try number(key, text)) else { throw .invalid("unified.\(key)", "'\(text)'") }
        return amount
    }

    private static func change<Value>(_ value: inout Value?, _ fresh: Value, _ body: (inout Value) -> Void) {
        var changed = value ?? fresh
        body(&changed)
        value = changed
    }

    /// A number as the kernel reads it; `max` is -1.
    static func number(_ key: String, _ text: String) throws(CgroupError) -> Int64 {
        let word = text.words.first ?? ""
        if word == "max" { return -1 }
        let shift: Int64 =
            switch word.last {
            case "k", "K": 10
            case "m", "M": 20
            case "g", "G": 30
            default: 0
            }
        guard text.words.count == 1, let value = Int64(shift == 0 ? word : String(word.dropLast())), value >= 0,
            value <= Int64.max >> shift
        else { throw .invalid("unified.\(key)", "'\(text)' is not a number") }
        return value << shift
    }
}

/// Between v1's shares (2 to 262144, 1024 where nobody asks) and v2's weights (1 to 10000, 100 where nobody asks).
enum CPUWeight {
    /// In a straight line, as the runtimes of the time of v1 do it, so that groups of different makers on one host compare.
    static func weight(_ shares: UInt64) -> UInt64 {
        let bounded = min(max(shares, 2), 262_144)
        return 1 + ((bounded - 2) * 9999) / 262_142
    }

    /// The smallest number of shares with this weight.
    static func shares(_ weight: UInt64) -> UInt64 { 2 + ((weight - 1) * 262_142 + 9998) / 9999 }
}
