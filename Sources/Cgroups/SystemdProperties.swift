internal import OCISpec

/// Limits as properties of a unit, in the form in which `berth-scope` takes them: name, type, value.
///
/// systemd writes a unit's files again whenever it likes (`daemon-reload`), so it must know of every limit that it has a property for.
/// What it has none for it leaves alone.
struct SystemdProperties {
    private(set) var words: [String] = []

    private static let infinity = String(UInt64.max)

    mutating func add(_ name: String, _ type: String, _ values: String...) { words += [name, type] + values }

    /// Of a new scope, beside its limits.
    mutating func addScope(_ name: SystemdScopeName) {
        add("Description", "s", "container \(name.unit)")
        add("Slice", "s", name.slice)
        add("Delegate", "b", "yes")
        add("DefaultDependencies", "b", "no")
        add("CollectMode", "s", "inactive-or-failed")
        for controller in ["CPU", "Memory", "IO", "Tasks"] { add("\(controller)Accounting", "b", "yes") }
    }

    /// Limits; what is nil is not mentioned.
    ///
    /// - Parameters:
    ///   - resources: the limits.
    ///   - layout: of the host.
    ///   - period: of the group's bandwidth now, in microseconds.
    /// - Throws: `CgroupError`, for what no property says.
    mutating func addLimits(
        _ resources: RuntimeSpec.Resources,
        layout: CgroupTree.Layout,
        period: UInt64
    ) throws(CgroupError) {
        if let limit = resources.pids?.limit { addLimit("TasksMax", limit) }
        if let cpu = resources.cpu {
            addBandwidth(quota: cpu.quota ?? 0, period: cpu.period ?? 0, now: period)
            if layout == .v1, let shares = cpu.shares, shares != 0 { add("CPUShares", "t", String(shares)) }
            if layout == .v2 { try addCPU(cpu) }
        }
        if let memory = resources.memory {
            if layout == .v1, let limit = memory.givenLimit { addLimit("MemoryLimit", limit) }
            if layout == .v2 { addMemory(memory) }
        }
        if let weight = resources.blockIO?.weight, weight != 0 {
            if layout == .v1 {
                add("BlockIOWeight", "t", String(weight))
            } else {
                add("IOWeight", "t", String(1 + (UInt64(max(weight, 10)) - 10) * 9999 / 990))
            }
        }
        if let rules = resources.devices { try addDevices(rules, layout: layout) }
        for (key, value) in (resources.unified ?? [:]).sorted(by: { $0.key < $1.key }) {
            try addLiteral(key, value, period: period)
        }
    }

    private mutating func addLimit(_ name: String, _ value: Int64) {
        add(name, "t", value < 0 ? Self.infinity : String(value))
    }

    private mutating func addMemory(_ memory: RuntimeSpec.Memory) {
        if let limit = memory.givenLimit { addLimit("MemoryMax", limit) }
        if let reservation = memory.reservation { addLimit("MemoryLow", reservation) }
        guard let swap = memory.givenSwap else { return }
        if swap < 0 { addLimit("MemorySwapMax", -1) }
        if swap > 0, let limit = memory.givenLimit, limit > 0, swap >= limit { addLimit("MemorySwapMax", swap - limit) }
    }

    private mutating func addCPU(_ cpu: RuntimeSpec.CPU) throws(CgroupError) {
        if cpu.idle == 1 {
            // That is how systemd spells idle.
            add("CPUWeight", "t", "0")
        } else if let shares = cpu.shares, shares != 0 {
            add("CPUWeight", "t", String(CPUWeight.weight(shares)))
        }
        if let cpus = cpu.cpus, !cpus.isEmpty { add("AllowedCPUs", "ay", try Self.mask("cpu.cpus", cpus)) }
        if let mems = cpu.mems, !mems.isEmpty { add("AllowedMemoryNodes", "ay", try Self.mask("cpu.mems", mems)) }
    }

    /// systemd keeps the quota in whole percents of a processor when it reloads, so it gets the next whole one: never less than was asked.
    private mutating func addBandwidth(quota: Int64, period: UInt64, now: UInt64) {
        let length = period == 0 ? now : period
        if period != 0 { add("CPUQuotaPeriodUSec", "t", String(period)) }
        if quota < 0 { add("CPUQuotaPerSecUSec", "t", Self.infinity) }
        guard quota > 0, length > 0, UInt64(quota) < 1 << 40 else { return }
        let percents = (UInt64(quota) * 100 + length - 1) / length
        add("CPUQuotaPerSecUSec", "t", String(percents * 10000))
    }

    /// A list such as `0-3,7` as bits, lowest byte first, in hexadecimal.
    static func mask(_ field: String, _ list: String) throws(CgroupError) -> String {
        var bytes: [UInt8] = []
        for range in list.split(separator: ",") {
            let ends = range.split(separator: "-", omittingEmptySubsequences: false).map { UInt16($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last,
                last < 8192
            else {
                throw .invalid(field, "'\(list)' is not a list of numbers and ranges")
            }
            for number in first...last {
                let index = Int(number / 8)
                if bytes.count <= index { bytes += [UInt8](repeating: 0, count: index + 1 - bytes.count) }
                bytes[index] |= 1 << (number % 8)
            }
        }
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }

    private mutating func addDevices(_ rules: [RuntimeSpec.DeviceRule], layout: CgroupTree.Layout) throws(CgroupError) {
        let allowed = try AllowedDevices(rules)
        // In v2 both systemd's filter and ours must agree, so its may allow more; in v1 there is one list, which systemd rewrites.
        guard allowed.isExact || layout == .v2 else {
            throw .unsupported("devices", "systemd has no list that means the same as these rules")
        }
        add("DevicePolicy", "s", allowed.isEverything ? "auto" : "strict")
        let pairs = allowed.isEverything ? [] : allowed.entries.map { [$0.systemdName, $0.accessText] }
        words += ["DeviceAllow", "a(ss)", String(pairs.count)] + pairs.joined()
    }

    /// Files of `unified` that systemd has a property for.
    private mutating func addLiteral(_ key: String, _ value: String, period: UInt64) throws(CgroupError) {
        let properties = [
            "memory.max": "MemoryMax", "memory.high": "MemoryHigh", "memory.low": "MemoryLow",
            "memory.min": "MemoryMin", "memory.swap.max": "MemorySwapMax", "pids.max": "TasksMax",
            "cpu.weight": "CPUWeight",
        ]
        if let name = properties[key] {
            return add(
                name,
                "t",
                value.words == ["max"] ? Self.infinity : String(try UnifiedConversion.number(key, value))
            )
        }
        switch key {
        case "cpu.max":
            let words = value.words
            guard let first = words.first else { throw .invalid("unified.\(key)", "'\(value)'") }
            let length = words.count > 1 ? UInt64(words[1]) ?? 0 : 0
            addBandwidth(quota: try UnifiedConversion.number(key, first), period: length, now: period)
        case "cpuset.cpus": add("AllowedCPUs", "ay", try Self.mask("unified.\(key)", value))
        case "cpuset.mems": add("AllowedMemoryNodes", "ay", try Self.mask("unified.\(key)", value))
        default: break
        }
    }
}
