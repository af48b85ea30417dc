internal import Kernel
internal import OCISpec

// OCI resources, whose units are v1's, to v2 files.
extension CgroupV2 {
    func apply(_ resources: RuntimeSpec.Resources) throws(CgroupError) {
        try ResourceCheck.check(resources)
        if let memory = resources.memory { try apply(memory) }
        if let cpu = resources.cpu { try apply(cpu) }
        if let limit = resources.pids?.limit { try set("pids.limit", "pids.max", CgroupV2.orMax(limit)) }
        if let blockIO = resources.blockIO { try apply(blockIO) }
        for limit in resources.hugepageLimits ?? [] {
            let (file, value) = ("hugetlb.\(limit.pageSize)", String(limit.limit))
            // Reservations and use have a counter each.
            if member.has("\(file).rsvd.max") { try set("hugepageLimits", "\(file).rsvd.max", value) }
            try set("hugepageLimits", "\(file).max", value)
        }
        for (device, limit) in (resources.rdma ?? [:]).sorted(by: { $0.key < $1.key }) {
            try set("rdma", "rdma.max", limit.line(device))
        }
        if resources.network?.classID != nil {
            throw .unsupported("network.classID", "cgroup v2 has no network classes")
        }
        if resources.network?.priorities?.isEmpty == false {
            throw .unsupported("network.priorities", "cgroup v2 has no network priorities")
        }
        if let devices = resources.devices { try apply(devices) }
        for (file, value) in (resources.unified ?? [:]).sorted(by: { $0.key < $1.key }) { try setLiteral(file, value) }
    }

    func set(_ field: String, _ file: String, _ value: String) throws(CgroupError) {
        do throws(KernelError) { try member.write(file, value) } catch  where error.errno == .noEntry {
            let controller = file.prefix { $0 != "." }
            let reason = member.hierarchy.controllers.contains { $0 == controller }
            throw .unsupported(
                field,
                "the group has no \(file)\(reason ? "" : ": the host has no \(controller) controller")"
            )
        } catch {
            throw .failed("set \(field)", field: field, error)
        }
    }

    /// Files of the core that say who is in the group or what it may hand down are not limits.
    private func setLiteral(_ file: String, _ value: String) throws(CgroupError) {
        let limits: Set = ["cgroup.max.depth", "cgroup.max.descendants", "cgroup.pressure"]
        guard !file.isEmpty, !file.contains("/"), !file.hasPrefix("."),
            !file.hasPrefix("cgroup.") || limits.contains(file)
        else { throw .invalid("unified.\(file)", "not a limit's file") }
        // Files with a line for each device take one line a write.
        for line in value.split(separator: "\n") { try set("unified.\(file)", file, String(line)) }
    }

    static func orMax(_ value: Int64) -> String { value < 0 ? "max" : String(value) }

    private func apply(_ memory: RuntimeSpec.Memory) throws(CgroupError) {
        if let value = memory.kernel, value > 0 {
            throw .unsupported("memory.kernel", "cgroup v2 counts it with the rest")
        }
        if let value = memory.kernelTCP, value > 0 {
            throw .unsupported("memory.kernelTCP", "cgroup v2 counts it with the rest")
        }
        if memory.swappiness != nil { throw .unsupported("memory.swappiness", "cgroup v2 has none") }
        if memory.disableOOMKiller == true { throw .unsupported("memory.disableOOMKiller", "cgroup v2 has none") }
        if memory.useHierarchy == false {
            throw .unsupported("memory.useHierarchy", "cgroup v2 always counts what is below")
        }
        if memory.checkBeforeUpdate == true, let limit = memory.givenLimit, limit > 0 {
            let usage = try statistics().memory.usage
            guard usage <= UInt64(limit) else {
                throw .precondition("set memory.limit", field: "memory.limit", "\(usage) bytes are in use")
            }
        }
        if let limit = memory.givenLimit { try set("memory.limit", "memory.max", CgroupV2.orMax(limit)) }
        if let value = memory.reservation { try set("memory.reservation", "memory.low", CgroupV2.orMax(value)) }
        // A kernel without swap has no such file, and no limit is what it has.
        if let swap = memory.givenSwap, swap > 0 || memory.swap == -1 || member.has("memory.swap.max") {
            try set("memory.swap", "memory.swap.max", try swapAlone(swap, limit: memory.givenLimit))
        }
    }

    /// OCI's value is memory and swap together, v2's is swap alone.
    private func swapAlone(_ together: Int64, limit: Int64?) throws(CgroupError) -> String {
        if together < 0 { return "max" }
        let known: Int64?
        if let limit {
            known = limit
        } else {
            known = try attempt("read limit of") { () throws(KernelError) in
                Int64(try member.read("memory.max").words.first ?? "")
            }
        }
        guard let known, known >= 0, together >= known else {
            throw .invalid("memory.swap", "memory+swap \(together) needs a memory limit that is not above it")
        }
        return String(together - known)
    }

    private func apply(_ cpu: RuntimeSpec.CPU) throws(CgroupError) {
        if let value = cpu.realtimeRuntime, value != 0 {
            throw .unsupported("cpu.realtimeRuntime", "cgroup v2 has none")
        }
        if let value = cpu.realtimePeriod, value != 0 {
            throw .unsupported("cpu.realtimePeriod", "cgroup v2 has none")
        }
        // A group that is idle takes no weight.
        if cpu.idle == 0, member.has("cpu.idle") { try set("cpu.idle", "cpu.idle", "0") }
        if let shares = cpu.shares, shares != 0 {
            try set("cpu.shares", "cpu.weight", String(CPUWeight.weight(shares)))
        }
        try applyBandwidth(cpu)
        if cpu.idle == 1 { try set("cpu.idle", "cpu.idle", "1") }
        if let value = cpu.cpus, !value.isEmpty { try set("cpu.cpus", "cpuset.cpus", value) }
        if let value = cpu.mems, !value.isEmpty { try set("cpu.mems", "cpuset.mems", value) }
    }

    /// One file holds quota and period: what is not given stays.
    private func applyBandwidth(_ cpu: RuntimeSpec.CPU) throws(CgroupError) {
        let quota = cpu.quota.flatMap { $0 == 0 ? nil : $0 }
        let period = cpu.period.flatMap { $0 == 0 ? nil : $0 }
        func bandwidth() throws(CgroupError) {
            guard quota != nil || period != nil else { return }
            // Without the file nothing is kept, and the write says what is missing.
            let old = try attempt("read limit of", absent: []) { () throws(KernelError) in
                try member.read("cpu.max").words
            }
            let first = quota.map(CgroupV2.orMax) ?? old.first ?? "max"
            let field = quota == nil ? "cpu.period" : "cpu.quota"
            try set(field, "cpu.max", "\(first) \(period.map(String.init) ?? old.last ?? "100000")")
        }
        func burst() throws(CgroupError) {
            if let value = cpu.burst { try set("cpu.burst", "cpu.max.burst", String(value)) }
        }
        do throws(CgroupError) {
            try bandwidth()
            try burst()
        } catch  where error.cause?.errno == .invalid && cpu.burst != nil {
            // The burst that is there may be above the new quota.
            try set("cpu.burst", "cpu.max.burst", "0")
            try bandwidth()
            try burst()
        }
    }

    private func apply(_ blockIO: RuntimeSpec.BlockIO) throws(CgroupError) {
        if let value = blockIO.leafWeight, value != 0 {
            throw .unsupported("blockIO.leafWeight", "cgroup v2 has none")
        }
        if let weight = blockIO.weight, weight != 0 { try setWeight("blockIO.weight", "", weight) }
        for device in blockIO.weightDevice ?? [] {
            if device.leafWeight != nil {
                throw .unsupported("blockIO.weightDevice", "cgroup v2 has no leaf weights")
            }
            guard let weight = device.weight, weight != 0 else { continue }
            try setWeight("blockIO.weightDevice", "\(device.major):\(device.minor) ", weight)
        }
        try throttle("blockIO.throttleReadBpsDevice", "rbps", blockIO.throttleReadBpsDevice)
        try throttle("blockIO.throttleWriteBpsDevice", "wbps", blockIO.throttleWriteBpsDevice)
        try throttle("blockIO.throttleReadIOPSDevice", "riops", blockIO.throttleReadIOPSDevice)
        try throttle("blockIO.throttleWriteIOPSDevice", "wiops", blockIO.throttleWriteIOPSDevice)
    }

    /// The two schedulers that know weights have a file each; which of them a disk has may change at any time.
    private func setWeight(_ field: String, _ device: String, _ weight: UInt16) throws(CgroupError) {
        let files = ["io.bfq.weight", "io.weight"].filter { member.has($0) }
        guard !files.isEmpty else { throw .unsupported(field, "the group has neither io.bfq.weight nor io.weight") }
        // BFQ has the range of OCI; for the other 10...1000 becomes 1...10000, in a straight line.
        var refusals: [CgroupError] = []
        for file in files {
            let value = file == "io.weight" ? 1 + (UInt64(weight) - 10) * 9999 / 990 : UInt64(weight)
            do throws(CgroupError) {
                try set(field, file, device + String(value))
            } catch  where error.cause?.errno == .notSupported {
                // The weight of one disk is only taken by the scheduler that this disk has.
                refusals.append(error)
            }
        }
        if let refusal = refusals.last, refusals.count == files.count { throw refusal }
    }

    private func throttle(
        _ field: String,
        _ key: String,
        _ devices: [RuntimeSpec.ThrottleDevice]?
    ) throws(CgroupError) {
        for device in devices ?? [] {
            let rate = device.rate == 0 ? "max" : String(device.rate)
            try set(field, "io.max", "\(device.major):\(device.minor) \(key)=\(rate)")
        }
    }
}
