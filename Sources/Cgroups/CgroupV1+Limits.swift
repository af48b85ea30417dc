internal import Kernel
internal import OCISpec

// OCI resources to v1 files. Fields in the order in which they must be written.
extension CgroupV1 {
    func apply(_ resources: RuntimeSpec.Resources) throws(CgroupError) {
        if let unified = resources.unified, let key = unified.keys.min() {
            throw .unsupported("unified.\(key)", "the host has cgroup v1")
        }
        if let memory = resources.memory { try apply(memory) }
        if let cpu = resources.cpu { try apply(cpu) }
        if let limit = resources.pids?.limit {
            try set("pids.limit", "pids", "pids.max", limit < 0 ? "max" : String(limit))
        }
        if let blockIO = resources.blockIO { try apply(blockIO) }
        if let network = resources.network { try apply(network) }
        for limit in resources.hugepageLimits ?? [] {
            try set("hugepageLimits", "hugetlb", "hugetlb.\(limit.pageSize).limit_in_bytes", String(limit.limit))
        }
        if let rdma = resources.rdma, !rdma.isEmpty { throw .unsupported("rdma", "the host has no rdma controller") }
        if let devices = resources.devices { try apply(devices) }
    }

    /// Writes one file, and tells the field's name when that fails.
    private func set(_ field: String, _ controller: String, _ file: String, _ value: String) throws(CgroupError) {
        guard let member = member(controller) else {
            throw .unsupported(field, "the host has no \(controller) controller")
        }
        do throws(KernelError) { try member.write(file, value) } catch  where error.errno == .noEntry {
            throw .unsupported(field, "the host has no \(file)")
        } catch  where error.errno == .busy {
            throw .failed("set \(field)", field: field, error, message: "more is in use")
        } catch {
            throw .failed("set \(field)", field: field, error)
        }
    }

    private func apply(_ memory: RuntimeSpec.Memory) throws(CgroupError) {
        if memory.checkBeforeUpdate == true, let limit = memory.limit, limit >= 0 {
            let usage = try statistics().memory.usage
            guard usage <= UInt64(limit) else {
                throw .precondition("set memory.limit", field: "memory.limit", "\(usage) bytes are in use")
            }
        }
        try applyLimits(memory)
        if let value = memory.reservation {
            try set("memory.reservation", "memory", "memory.soft_limit_in_bytes", String(value))
        }
        if let value = memory.kernelTCP {
            try set("memory.kernelTCP", "memory", "memory.kmem.tcp.limit_in_bytes", String(value))
        }
        if let value = memory.swappiness { try set("memory.swappiness", "memory", "memory.swappiness", String(value)) }
        if memory.disableOOMKiller == true { try set("memory.disableOOMKiller", "memory", "memory.oom_control", "1") }
        // memory.kernel: the kernel has ignored it since 5.16 and the specification calls it not recommended, so nothing is written.
    }

    /// The kernel wants limit <= memory+swap at every moment, so when one order is refused the other is right.
    private func applyLimits(_ memory: RuntimeSpec.Memory) throws(CgroupError) {
        guard let limit = memory.limit else {
            if let swap = memory.swap { try set("memory.swap", "memory", "memory.memsw.limit_in_bytes", String(swap)) }
            return
        }
        guard let swap = memory.swap else {
            try set("memory.limit", "memory", "memory.limit_in_bytes", String(limit))
            return
        }
        guard swap < 0 || (limit >= 0 && swap >= limit) else {
            throw .invalid("memory.swap", "memory+swap \(swap) is below the memory limit \(limit)")
        }
        do throws(CgroupError) {
            try set("memory.limit", "memory", "memory.limit_in_bytes", String(limit))
            try set("memory.swap", "memory", "memory.memsw.limit_in_bytes", String(swap))
        } catch  where error.cause?.errno == .invalid {
            try set("memory.swap", "memory", "memory.memsw.limit_in_bytes", String(swap))
            try set("memory.limit", "memory", "memory.limit_in_bytes", String(limit))
        }
    }

    private func apply(_ cpu: RuntimeSpec.CPU) throws(CgroupError) {
        if let value = cpu.shares, value != 0 { try set("cpu.shares", "cpu", "cpu.shares", String(value)) }
        try applyBandwidth(cpu)
        if let value = cpu.burst { try set("cpu.burst", "cpu", "cpu.cfs_burst_us", String(value)) }
        if let value = cpu.realtimePeriod { try set("cpu.realtimePeriod", "cpu", "cpu.rt_period_us", String(value)) }
        if let value = cpu.realtimeRuntime { try set("cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us", String(value)) }
        if let value = cpu.idle { try set("cpu.idle", "cpu", "cpu.idle", String(value)) }
        if let value = cpu.cpus, !value.isEmpty { try set("cpu.cpus", "cpuset", "cpuset.cpus", value) }
        if let value = cpu.mems, !value.isEmpty { try set("cpu.mems", "cpuset", "cpuset.mems", value) }
    }

    /// A new period can be refused against the old quota and the other way round.
    private func applyBandwidth(_ cpu: RuntimeSpec.CPU) throws(CgroupError) {
        let period = cpu.period.flatMap { $0 == 0 ? nil : String($0) }
        let quota = cpu.quota.flatMap { $0 == 0 ? nil : String($0) }
        do throws(CgroupError) {
            if let period { try set("cpu.period", "cpu", "cpu.cfs_period_us", period) }
        } catch  where error.cause?.errno == .invalid && quota != nil {
            try set("cpu.quota", "cpu", "cpu.cfs_quota_us", "-1")
            if let period { try set("cpu.period", "cpu", "cpu.cfs_period_us", period) }
        }
        if let quota { try set("cpu.quota", "cpu", "cpu.cfs_quota_us", quota) }
    }

    private func apply(_ blockIO: RuntimeSpec.BlockIO) throws(CgroupError) {
        if let value = blockIO.weight, value != 0 { try setWeight("blockIO.weight", "weight", String(value)) }
        if let value = blockIO.leafWeight, value != 0 {
            try set("blockIO.leafWeight", "blkio", "blkio.leaf_weight", String(value))
        }
        for device in blockIO.weightDevice ?? [] {
            guard let weight = device.weight else { continue }
            try setWeight("blockIO.weightDevice", "weight_device", "\(device.major):\(device.minor) \(weight)")
        }
        try throttle("blockIO.throttleReadBpsDevice", "read_bps", blockIO.throttleReadBpsDevice)
        try throttle("blockIO.throttleWriteBpsDevice", "write_bps", blockIO.throttleWriteBpsDevice)
        try throttle("blockIO.throttleReadIOPSDevice", "read_iops", blockIO.throttleReadIOPSDevice)
        try throttle("blockIO.throttleWriteIOPSDevice", "write_iops", blockIO.throttleWriteIOPSDevice)
    }

    /// `blkio.weight` belonged to the CFQ scheduler, gone in Linux 5.0; BFQ's file has the same range.
    private func setWeight(_ field: String, _ file: String, _ value: String) throws(CgroupError) {
        let old = member("blkio")?.has("blkio.\(file)") ?? false
        try set(field, "blkio", old ? "blkio.\(file)" : "blkio.bfq.\(file)", value)
    }

    private func throttle(
        _ field: String,
        _ file: String,
        _ devices: [RuntimeSpec.ThrottleDevice]?
    ) throws(CgroupError) {
        for device in devices ?? [] {
            try set(field, "blkio", "blkio.throttle.\(file)_device", "\(device.major):\(device.minor) \(device.rate)")
        }
    }

    private func apply(_ network: RuntimeSpec.Network) throws(CgroupError) {
        if let value = network.classID { try set("network.classID", "net_cls", "net_cls.classid", String(value)) }
        for priority in network.priorities ?? [] {
            try set("network.priorities", "net_prio", "net_prio.ifpriomap", "\(priority.name) \(priority.priority)")
        }
    }

    /// One rule a write, through descriptors that stay open: a container has a dozen rules.
    private func apply(_ rules: [RuntimeSpec.DeviceRule]) throws(CgroupError) {
        guard let member = member("devices") else {
            throw .unsupported("devices", "the host has no devices controller")
        }
        let checked = try rules.map { (rule) throws(CgroupError) in try CheckedDeviceRule(rule) }
        do throws(KernelError) {
            let allow = try File.open("devices.allow", .write, at: member.directory.raw)
            let deny = try File.open("devices.deny", .write, at: member.directory.raw)
            for rule in checked {
                if rule.allow { try allow.writeAll(rule.text) } else { try deny.writeAll(rule.text) }
            }
        } catch {
            throw .failed("set devices", field: "devices", error)
        }
    }
}
