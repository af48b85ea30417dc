internal import Kernel

extension CgroupV2 {
    func statistics() throws(CgroupError) -> CgroupStatistics {
        try attempt("read statistics of") { () throws(KernelError) in
            let files = member.files
            var result = CgroupStatistics()
            try readCPU(files, into: &result.cpu)
            try readMemory(files, into: &result.memory)
            result.pids.current = try files.number("pids.current") ?? 0
            result.pids.limit = try files.number("pids.max")
            result.blockIO = try files.readIfThere("io.stat").map(IOStatText.parse) ?? []
            result.blockIOPressure = try files.readIfThere("io.pressure").flatMap(KeyedText.pressure)
            if member.hierarchy.controllers.contains("hugetlb") { result.hugePages = try readHugePages(files) }
            if member.hierarchy.controllers.contains("rdma") { result.rdma = try RDMAText.read(files) }
            return result
        }
    }

    private func readCPU(_ files: CgroupFiles, into cpu: inout CgroupStatistics.CPU) throws(KernelError) {
        let values = KeyedText.flat(try files.read("cpu.stat"))
        cpu.usage = (values["usage_usec"] ?? 0) * 1000
        cpu.user = (values["user_usec"] ?? 0) * 1000
        cpu.system = (values["system_usec"] ?? 0) * 1000
        cpu.periods = values["nr_periods"] ?? 0
        cpu.throttledPeriods = values["nr_throttled"] ?? 0
        cpu.throttledTime = (values["throttled_usec"] ?? 0) * 1000
        cpu.bursts = values["nr_bursts"] ?? 0
        cpu.burstTime = (values["burst_usec"] ?? 0) * 1000
        cpu.pressure = try files.readIfThere("cpu.pressure").flatMap(KeyedText.pressure)
    }

    private func readMemory(_ files: CgroupFiles, into memory: inout CgroupStatistics.Memory) throws(KernelError) {
        guard let usage = try files.number("memory.current") else { return }
        memory.usage = usage
        memory.maximumUsage = try files.number("memory.peak")
        memory.limit = try files.number("memory.max")
        memory.swapUsage = try files.number("memory.swap.current")
        memory.swapMaximumUsage = try files.number("memory.swap.peak")
        memory.swapLimit = try files.number("memory.swap.max")
        memory.events = try files.readIfThere("memory.events").map(KeyedText.flat) ?? [:]
        memory.failures = memory.events["max"] ?? 0
        memory.details = try files.readIfThere("memory.stat").map(KeyedText.flat) ?? [:]
        memory.pressure = try files.readIfThere("memory.pressure").flatMap(KeyedText.pressure)
    }

    private func readHugePages(_ files: CgroupFiles) throws(KernelError) -> [CgroupStatistics.HugePages] {
        var pages: [CgroupStatistics.HugePages] = []
        for size in HugePageSizes.all {
            guard let usage = try files.number("hugetlb.\(size).current") else { continue }
            let events = try files.readIfThere("hugetlb.\(size).events").map(KeyedText.flat) ?? [:]
            let limit = try files.number("hugetlb.\(size).max")
            let counter = CgroupStatistics.Counter(usage: usage, limit: limit, failures: events["max"] ?? 0)
            pages.append(.init(pageSize: size, counter: counter))
        }
        return pages
    }
}

/// Lines of `major:minor rbytes=1 wbytes=2 rios=3 wios=4 …`.
enum IOStatText {
    static func parse(_ text: [UInt8]) -> [CgroupStatistics.BlockIO] {
        KeyedText.lines(text).compactMap { words in
            guard let first = words.first, let (major, minor) = KeyedText.device(first) else { return nil }
            var device = CgroupStatistics.BlockIO(major: major, minor: minor)
            for case let (key, text)? in words.dropFirst().map(KeyedText.assignment) {
                guard let value = UInt64(text) else { continue }
                switch key {
                case "rbytes": device.readBytes = value
                case "wbytes": device.writtenBytes = value
                case "rios": device.reads = value
                case "wios": device.writes = value
                default: break
                }
            }
            return device
        }
    }
}
