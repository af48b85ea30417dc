internal import OCISpec

/// Values that no host can honour; found before anything is written.
enum ResourceCheck {
    static func check(_ resources: RuntimeSpec.Resources) throws(CgroupError) {
        if let memory = resources.memory { try check(memory) }
        if let limit = resources.pids?.limit { try bound("pids.limit", limit) }
        if let idle = resources.cpu?.idle, idle != 0, idle != 1 {
            throw .invalid("cpu.idle", "\(idle) is neither 0 nor 1")
        }
        if let blockIO = resources.blockIO { try check(blockIO) }
        for limit in resources.hugepageLimits ?? [] {
            guard isPageSize(limit.pageSize) else {
                throw .invalid("hugepageLimits", "page size '\(limit.pageSize)' is not of the form 2MB")
            }
        }
    }

    private static func bound(_ field: String, _ value: Int64?) throws(CgroupError) {
        if let value, value < -1 { throw .invalid(field, "\(value) is below -1, which is no limit") }
    }

    private static func check(_ memory: RuntimeSpec.Memory) throws(CgroupError) {
        try bound("memory.limit", memory.limit)
        try bound("memory.reservation", memory.reservation)
        try bound("memory.swap", memory.swap)
        try bound("memory.kernel", memory.kernel)
        try bound("memory.kernelTCP", memory.kernelTCP)
        if let value = memory.swappiness, value > 100 { throw .invalid("memory.swappiness", "\(value) is above 100") }
        guard let swap = memory.givenSwap, swap > 0, let limit = memory.givenLimit else { return }
        guard limit > 0, swap >= limit else {
            throw .invalid("memory.swap", "memory+swap \(swap) is below the memory limit \(limit)")
        }
    }

    private static func check(_ blockIO: RuntimeSpec.BlockIO) throws(CgroupError) {
        try weight("blockIO.weight", blockIO.weight)
        try weight("blockIO.leafWeight", blockIO.leafWeight)
        for device in blockIO.weightDevice ?? [] {
            try weight("blockIO.weightDevice", device.weight)
            try weight("blockIO.weightDevice", device.leafWeight)
        }
    }

    private static func weight(_ field: String, _ value: UInt16?) throws(CgroupError) {
        guard let value, value != 0, !(10...1000).contains(value) else { return }
        throw .invalid(field, "\(value) is outside of 10 to 1000")
    }

    /// `64KB`, `2MB`, `1GB`: a part of a file's name.
    private static func isPageSize(_ text: String) -> Bool {
        guard text.hasSuffix("B"), let unit = text.dropLast().last, "KMG".contains(unit) else { return false }
        let digits = text.dropLast(2)
        return !digits.isEmpty && digits.count < 8 && digits.first != "0"
            && digits.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}

// 0 is what writers of documents leave in a limit that nobody has set.
extension RuntimeSpec.Memory {
    var givenLimit: Int64? { limit == 0 ? nil : limit }

    /// Memory and swap together; a group without a memory limit has none for both either.
    var givenSwap: Int64? {
        if let swap, swap != 0 { return swap }
        return limit == -1 ? -1 : nil
    }
}
