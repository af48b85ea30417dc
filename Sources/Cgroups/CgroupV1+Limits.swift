internal import Kernel
internal import OCISpec

// OCI resources to v1 files. Fields in the order in which they must be written.
extension CgroupV1 {
    func apply(_ resources: RuntimeSpec.Resources) throws(CgroupError) {
        var resources = resources
        try UnifiedConversion.apply(&resources)
        try ResourceCheck.check(resources)
        if let memory = resources.memory { try apply(memory) }
        if let cpu = resources.cpu { try apply(cpu) }
        if let limit = resources.pids?.limit {
            try set("pids.limit", "pids", "pids.max", limit < 0 ? "max" : String(limit))
        }
        if let blockIO = resources.blockIO { try apply(blockIO) }
        if let network = resources.network { try apply(network) }
        for limit in resources.hugepageLimits ?? [] { try apply(limit) }
        for (device, limit) in (resources.rdma ?? [:]).sorted(by: { $0.key < $1.key }) {
            try set("rdma", "rdma", "rdma.max", limit.line(device))
        }
        if let devices = resources.devices { try apply(devices) }
    }

    /// Writes one file, and tells the field's name when that fails.
    func set(_ field: String, _ controller: String, _ file: String, _ value: String) throws(CgroupError) {
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

    private func apply(_ cpu: RuntimeSpec.CPU) throws(CgroupError) {
        // A group that is idle takes no shares.
        if cpu.idle == 0, member("cpu")?.has("cpu.idle") == true { try set("cpu.idle", "cpu", "cpu.idle", "0") }
        if let value = cpu.shares, value != 0 { try set("cpu.shares", "cpu", "cpu.shares", String(value)) }
        try applyBandwidth(cpu)
        try applyRealtime(cpu)
        if cpu.idle == 1 { try set("cpu.idle", "cpu", "cpu.idle", "1") }
        if let value = cpu.cpus, !value.isEmpty { try set("cpu.cpus", "cpuset", "cpuset.cpus", value) }
        if let value = cpu.mems, !value.isEmpty { try set("cpu.mems", "cpuset", "cpuset.mems", value) }
    }

    /// The kernel wants burst <= quota and quota to suit the period at every moment, so what is replaced may be in the way.
    private func applyBandwidth(_ cpu: RuntimeSpec.CPU) throws(CgroupError) {
        let period = cpu.period.flatMap { $0 == 0 ? nil : String($0) }
        let quota = cpu.quota.flatMap { $0 == 0 ? nil : String($0) }
        let burst = cpu.burst.map(String.init)
        func write() throws(CgroupError) {
            if let period { try set("cpu.period", "cpu", "cpu.cfs_period_us", period) }
            if let quota { try set("cpu.quota", "cpu", "cpu.cfs_quota_us", quota) }
            if let burst { try set("cpu.burst", "cpu", "cpu.cfs_burst_us", burst) }
        }
        do throws(CgroupError) { try write() } catch  where error.cause?.errno == .invalid && quota != nil {
            if burst != nil { try set("cpu.burst", "cpu", "cpu.cfs_burst_us", "0") }
            try set("cpu.quota", "cpu", "cpu.cfs_quota_us", "-1")
            try write()
        }
    }

    /// Runtime must not exceed the period at any moment: when one order is refused the other is right.
    private func applyRealtime(_ cpu: RuntimeSpec.CPU) throws(CgroupError) {
        func period() throws(CgroupError) {
            guard let value = cpu.realtimePeriod, value != 0 else { return }
            try set("cpu.realtimePeriod", "cpu", "cpu.rt_period_us", String(value))
        }
        func runtime() throws(CgroupError) {
            guard let value = cpu.realtimeRuntime else { return }
            try set("cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us", String(value))
        }
        do throws(CgroupError) {
            try period()
            try runtime()
        } catch  where error.cause?.errno == .invalid && cpu.realtimePeriod != nil && cpu.realtimeRuntime != nil {
            try runtime()
            try period()
        }
    }

    private func apply(_ network: RuntimeSpec.Network) throws(CgroupError) {
        if let value = network.classID { try set("network.classID", "net_cls", "net_cls.classid", String(value)) }
        for priority in network.priorities ?? [] {
            try set("network.priorities", "net_prio", "net_prio.ifpriomap", "\(priority.name) \(priority.priority)")
        }
    }

    /// Reservations and use have a counter each: the specification wants the first limited, and the second where that is all there is.
    private func apply(_ limit: RuntimeSpec.HugepageLimit) throws(CgroupError) {
        let (file, value) = ("hugetlb.\(limit.pageSize)", String(limit.limit))
        if let member = member("hugetlb") {
            if member.has("\(file).rsvd.limit_in_bytes") {
                try set("hugepageLimits", "hugetlb", "\(file).rsvd.limit_in_bytes", value)
            }
            return try set("hugepageLimits", "hugetlb", "\(file).limit_in_bytes", value)
        }
        guard let unified, unified.hierarchy.offered.contains("hugetlb") else {
            throw .unsupported("hugepageLimits", "the host has no hugetlb controller")
        }
        // Beside v1 hierarchies the v2 one may have controllers that no v1 hierarchy has.
        do throws(KernelError) {
            try unified.hierarchy.enable(["hugetlb"], above: unified.components)
        } catch {
            throw .failed("enable hugetlb", field: "hugepageLimits", error)
        }
        try CgroupV2(path: path, member: unified, isNew: false).apply(.init(hugepageLimits: [limit]))
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

extension RuntimeSpec.RDMA {
    /// A line of `rdma.max`; what is not given stays.
    func line(_ device: String) -> String {
        device + (hcaHandles.map { " hca_handle=\($0)" } ?? "") + (hcaObjects.map { " hca_object=\($0)" } ?? "")
    }
}
