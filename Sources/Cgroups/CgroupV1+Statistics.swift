internal import Kernel

extension CgroupV1 {
    /// A group that somebody else has removed from one hierarchy counts nothing there.
    ///
    /// systemd does so where it is not asked for the group:
    /// when its units begin or cease to need a controller, it moves every process of the machine in that hierarchy.
    func statistics() throws(CgroupError) -> CgroupStatistics {
        try attempt("read statistics of") { () throws(KernelError) in
            var result = CgroupStatistics()
            try readCPU(into: &result.cpu)
            try readMemory(into: &result.memory)
            if let pids = member("pids")?.files {
                result.pids.current = try pids.number("pids.current") ?? 0
                result.pids.limit = try pids.number("pids.max")
            }
            if let blkio = member("blkio")?.files {
                result.blockIO = BlockIOText.merge(
                    bytes: try blkio.readIfThere("blkio.throttle.io_service_bytes_recursive") ?? [],
                    operations: try blkio.readIfThere("blkio.throttle.io_serviced_recursive") ?? []
                )
            }
            if let files = member("hugetlb")?.files { result.hugePages = try readHugePages(files) }
            if let files = member("rdma")?.files { result.rdma = try RDMAText.read(files) }
            return result
        }
    }

    private func readCPU(into cpu: inout CgroupStatistics.CPU) throws(KernelError) {
        if let account = member("cpuacct")?.files {
            cpu.usage = try account.number("cpuacct.usage") ?? 0
            cpu.user = try account.number("cpuacct.usage_user") ?? 0
            cpu.system = try account.number("cpuacct.usage_sys") ?? 0
            let each = try account.readIfThere("cpuacct.usage_percpu") ?? []
            cpu.perCPU = KeyedText.lines(each).joined().compactMap { UInt64($0) }
        }
        guard let files = member("cpu")?.files else { return }
        let values = KeyedText.flat(try files.readIfThere("cpu.stat") ?? [])
        cpu.periods = values["nr_periods"] ?? 0
        cpu.throttledPeriods = values["nr_throttled"] ?? 0
        cpu.throttledTime = values["throttled_time"] ?? 0
        cpu.bursts = values["nr_bursts"] ?? 0
        cpu.burstTime = values["burst_time"] ?? 0
    }

    private func readMemory(into memory: inout CgroupStatistics.Memory) throws(KernelError) {
        guard let files = member("memory")?.files else { return }
        let own = try counter(files, "memory", "usage_in_bytes")
        memory.usage = own?.usage ?? 0
        memory.maximumUsage = own?.maximum
        memory.failures = own?.failures ?? 0
        memory.limit = own?.limit
        memory.withSwap = try counter(files, "memory.memsw", "usage_in_bytes")
        memory.kernel = try counter(files, "memory.kmem", "usage_in_bytes")
        memory.kernelTCP = try counter(files, "memory.kmem.tcp", "usage_in_bytes")
        memory.details = KeyedText.flat(try files.readIfThere("memory.stat") ?? [])
        memory.swapUsage = memory.details["swap"]
        let control = KeyedText.flat(try files.readIfThere("memory.oom_control") ?? [])
        memory.isKillerDisabled = control["oom_kill_disable"] == 1
        memory.isOutOfMemory = control["under_oom"] == 1
    }

    private func readHugePages(_ files: CgroupFiles) throws(KernelError) -> [CgroupStatistics.HugePages] {
        var pages: [CgroupStatistics.HugePages] = []
        for size in HugePageSizes.all {
            guard let counter = try counter(files, "hugetlb.\(size)", "usage_in_bytes") else { continue }
            pages.append(.init(pageSize: size, counter: counter))
        }
        return pages
    }

    /// The four files of a v1 counter; nil where there is none.
    private func counter(
        _ files: CgroupFiles,
        _ name: String,
        _ usage: String
    ) throws(KernelError) -> CgroupStatistics.Counter? {
        guard let now = try files.number("\(name).\(usage)") else { return nil }
        return CgroupStatistics.Counter(
            usage: now,
            maximum: try files.number("\(name).max_\(usage)") ?? 0,
            limit: KeyedText.limit(try files.number("\(name).limit_in_bytes")),
            failures: try files.number("\(name).failcnt") ?? 0
        )
    }
}

/// Lines of `major:minor Operation value`.
enum BlockIOText {
    static func merge(bytes: [UInt8], operations: [UInt8]) -> [CgroupStatistics.BlockIO] {
        var devices: [Substring: CgroupStatistics.BlockIO] = [:]
        func each(_ text: [UInt8], _ body: (inout CgroupStatistics.BlockIO, Substring, UInt64) -> Void) {
            for words in KeyedText.lines(text) {
                guard words.count == 3, let value = UInt64(words[2]), let (major, minor) = KeyedText.device(words[0])
                else { continue }
                body(&devices[words[0], default: .init(major: major, minor: minor)], words[1], value)
            }
        }
        each(bytes) { device, operation, value in
            if operation == "Read" {
                device.readBytes = value
            } else if operation == "Write" {
                device.writtenBytes = value
            }
        }
        each(operations) { device, operation, value in
            if operation == "Read" { device.reads = value } else if operation == "Write" { device.writes = value }
        }
        return devices.values.sorted { ($0.major, $0.minor) < ($1.major, $1.minor) }
    }
}

/// Lines of `device hca_handle=1 hca_object=2`, the same in both versions.
enum RDMAText {
    static func read(_ files: CgroupFiles) throws(KernelError) -> [CgroupStatistics.RDMA] {
        guard let current = try files.readIfThere("rdma.current") else { return [] }
        let limits = values(try files.readIfThere("rdma.max") ?? [])
        return values(current).map { name, now in
            var device = CgroupStatistics.RDMA(device: name)
            device.current = (now["hca_handle"] ?? 0, now["hca_object"] ?? 0)
            device.limit = (limits[name]?["hca_handle"], limits[name]?["hca_object"])
            return device
        }.sorted { $0.device < $1.device }
    }

    private static func values(_ text: [UInt8]) -> [String: [Substring: UInt64]] {
        var result: [String: [Substring: UInt64]] = [:]
        for words in KeyedText.lines(text) {
            guard let name = words.first else { continue }
            for case let (key, value)? in words.dropFirst().map(KeyedText.assignment) {
                result[String(name), default: [:]][key] = UInt64(value)
            }
        }
        return result
    }
}

/// The sizes of huge pages that this machine has, as cgroup files name them.
enum HugePageSizes {
    static let all: [String] = {
        // Without the directory there are none.
        let entries = (try? File.open("/sys/kernel/mm/hugepages", .directory).readDirectory()) ?? []
        return entries.compactMap { entry in
            guard entry.name.hasPrefix("hugepages-"), entry.name.hasSuffix("kB"),
                let kilobytes = Int(entry.name.dropFirst("hugepages-".count).dropLast(2))
            else { return nil }
            if kilobytes >= 1 << 20 { return "\(kilobytes >> 20)GB" }
            return kilobytes >= 1 << 10 ? "\(kilobytes >> 10)MB" : "\(kilobytes)KB"
        }.sorted()
    }()
}
