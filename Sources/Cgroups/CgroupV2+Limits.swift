internal import Kernel
internal import OCISpec

// OCI resources, whose units are v1's, to v2 files.
extension CgroupV2 {
    func apply(_ resources: RuntimeSpec.Resources) throws(CgroupError) {
        if let memory = resources.memory { try apply(memory) }
        if let cpu = resources.cpu { try apply(cpu) }
        if let limit = resources.pids?.limit { try set("pids.limit", "pids.max", CgroupV2.orMax(limit)) }
        if let blockIO = resources.blockIO { try apply(blockIO) }
        for limit in resources.hugepageLimits ?? [] {
            try set("hugepageLimits", "hugetlb.\(limit.pageSize).max", String(limit.limit))
        }
        for (device, limit) in (resources.rdma ?? [:]).sorted(by: { $0.key < $1.key }) {
            let handles = limit.hcaHandles.map { " hca_handle=\($0)" } ?? ""
            let objects = limit.hcaObjects.map { " hca_object=\($0)" } ?? ""
            try set("rdma", "rdma.max", device + handles + objects)
        }
        if resources.network?.classID != nil || resources.network?.priorities?.isEmpty == false {
            throw .unsupported("network", "cgroup v2 has no network classes")
        }
        if let devices = resources.devices { try apply(devices) }
        for (file, value) in (resources.unified ?? [:]).sorted(by: { $0.key < $1.key }) {
            guard !file.contains("/"), file != "..", !file.hasPrefix("cgroup.") else {
                throw .invalid("unified.\(file)", "not a controller's file")
            }
            try set("unified.\(file)", file, value)
        }
    }

    private func set(_ field: String, _ file: String, _ value: String) throws(CgroupError) {
        do throws(KernelError) { try member.write(file, value) } catch  where error.errno == .noEntry {
            throw .unsupported(field, "the host has no \(file)")
        } catch {
            throw .failed("set \(field)", field: field, error)
        }
    }

    private static func orMax(_ value: Int64) -> String { value < 0 ? "max" : String(value) }

    private func apply(_ memory: RuntimeSpec.Memory) throws(CgroupError) {
        if memory.kernelTCP != nil { throw .unsupported("memory.kernelTCP", "cgroup v2 counts it with the rest") }
        if memory.swappiness != nil { throw .unsupported("memory.swappiness", "cgroup v2 has none") }
        if memory.disableOOMKiller == true { throw .unsupported("memory.disableOOMKiller", "cgroup v2 has none") }
        if memory.checkBeforeUpdate == true, let limit = memory.limit, limit >= 0 {
            let usage = try statistics().memory.usage
            guard usage <= UInt64(limit) else {
                throw .precondition("set memory.limit", field: "memory.limit", "\(usage) bytes are in use")
            }
        }
        if let limit = memory.limit { try set("memory.limit", "memory.max", CgroupV2.orMax(limit)) }
        if let value = memory.reservation { try set("memory.reservation", "memory.low", CgroupV2.orMax(value)) }
        if let swap = memory.swap {
            try set("memory.swap", "memory.swap.max", try swapAlone(swap, limit: memory.limit))
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
        if cpu.realtimePeriod != nil || cpu.realtimeRuntime != nil {
            throw .unsupported("cpu.realtimeRuntime", "cgroup v2 has none")
        }
        if let shares = cpu.shares, shares != 0 {
            try set("cpu.shares", "cpu.weight", String(CgroupV2.weight(shares: shares)))
        }
        try applyBandwidth(cpu)
        if let value = cpu.burst { try set("cpu.burst", "cpu.max.burst", String(value)) }
        if let value = cpu.idle { try set("cpu.idle", "cpu.idle", String(value)) }
        if let value = cpu.cpus, !value.isEmpty { try set("cpu.cpus", "cpuset.cpus", value) }
        if let value = cpu.mems, !value.isEmpty { try set("cpu.mems", "cpuset.mems", value) }
    }

    /// Shares 2...262144 to weight 1...10000, in a straight line.
    static func weight(shares: UInt64) -> UInt64 {
        let bounded = min(max(shares, 2), 262_144)
        return 1 + ((bounded - 2) * 9999) / 262_142
    }

    private func applyBandwidth(_ cpu: RuntimeSpec.CPU) throws(CgroupError) {
        let quota = cpu.quota.flatMap { $0 == 0 ? nil : $0 }
        let period = cpu.period.flatMap { $0 == 0 ? nil : $0 }
        guard quota != nil || period != nil else { return }
        // One file holds both: what is not given stays.
        let old = try attempt("read limit of") { () throws(KernelError) in try member.read("cpu.max").words }
        let first = quota.map(CgroupV2.orMax) ?? old.first ?? "max"
        try set("cpu.quota", "cpu.max", "\(first) \(period.map(String.init) ?? old.last ?? "100000")")
    }

    private func apply(_ blockIO: RuntimeSpec.BlockIO) throws(CgroupError) {
        if blockIO.leafWeight != nil { throw .unsupported("blockIO.leafWeight", "cgroup v2 has none") }
        if let weight = blockIO.weight, weight != 0 {
            if member.has("io.bfq.weight") {
                try set("blockIO.weight", "io.bfq.weight", String(weight))
            } else {
                // 10...1000 to 1...10000, in a straight line.
                try set("blockIO.weight", "io.weight", String(1 + (max(UInt64(weight), 10) - 10) * 9999 / 990))
            }
        }
        for device in blockIO.weightDevice ?? [] {
            guard let weight = device.weight else { continue }
            try set("blockIO.weightDevice", "io.bfq.weight", "\(device.major):\(device.minor) \(weight)")
        }
        try throttle("blockIO.throttleReadBpsDevice", "rbps", blockIO.throttleReadBpsDevice)
        try throttle("blockIO.throttleWriteBpsDevice", "wbps", blockIO.throttleWriteBpsDevice)
        try throttle("blockIO.throttleReadIOPSDevice", "riops", blockIO.throttleReadIOPSDevice)
        try throttle("blockIO.throttleWriteIOPSDevice", "wiops", blockIO.throttleWriteIOPSDevice)
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
