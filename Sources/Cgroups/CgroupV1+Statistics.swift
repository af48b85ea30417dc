internal import Kernel

extension CgroupV1 {
    func statistics() throws(CgroupError) -> CgroupStatistics {
        var result = CgroupStatistics()
        do throws(KernelError) {
            try readCPU(into: &result.cpu)
            try readMemory(into: &result.memory)
            if let pids = member("pids") {
                result.pids.current = KeyedText.number(try pids.read("pids.current")) ?? 0
                result.pids.limit = KeyedText.number(try pids.read("pids.max"))
            }
            result.blockIO = try readBlockIO()
        } catch {
            throw .failed("read statistics of cgroup '\(path)'", error)
        }
        return result
    }

    private func readCPU(into cpu: inout CgroupStatistics.CPU) throws(KernelError) {
        if let account = member("cpuacct") {
            cpu.usage = KeyedText.number(try account.read("cpuacct.usage")) ?? 0
            cpu.user = KeyedText.number(try account.read("cpuacct.usage_user")) ?? 0
            cpu.system = KeyedText.number(try account.read("cpuacct.usage_sys")) ?? 0
            cpu.perCPU = try account.read("cpuacct.usage_percpu").words.compactMap { UInt64($0) }
        }
        guard
            let values = try member("cpu").map({ (cpu) throws(KernelError) in KeyedText.flat(try cpu.read("cpu.stat")) }
            )
        else {
            return
        }
        cpu.periods = values["nr_periods"] ?? 0
        cpu.throttledPeriods = values["nr_throttled"] ?? 0
        cpu.throttledTime = values["throttled_time"] ?? 0
    }

    private func readMemory(into memory: inout CgroupStatistics.Memory) throws(KernelError) {
        guard let member = member("memory") else { return }
        memory.usage = KeyedText.number(try member.read("memory.usage_in_bytes")) ?? 0
        memory.maximumUsage = KeyedText.number(try member.read("memory.max_usage_in_bytes"))
        memory.failures = KeyedText.number(try member.read("memory.failcnt")) ?? 0
        // Unlimited is the largest multiple of the page size below 2^63.
        let limit = KeyedText.number(try member.read("memory.limit_in_bytes")) ?? 0
        memory.limit = limit >= UInt64(Int64.max) - 65536 ? nil : limit
        memory.details = KeyedText.flat(try member.read("memory.stat"))
        memory.swapUsage = memory.details["swap"]
    }

    private func readBlockIO() throws(KernelError) -> [CgroupStatistics.BlockIO] {
        guard let member = member("blkio") else { return [] }
        let bytes = try member.read("blkio.throttle.io_service_bytes_recursive")
        let operations = try member.read("blkio.throttle.io_serviced_recursive")
        return BlockIOText.merge(bytes: bytes, operations: operations)
    }
}

/// Lines of `major:minor Operation value`.
enum BlockIOText {
    static func merge(bytes: String, operations: String) -> [CgroupStatistics.BlockIO] {
        var devices: [String: CgroupStatistics.BlockIO] = [:]
        func each(_ text: String, _ body: (inout CgroupStatistics.BlockIO, Substring, UInt64) -> Void) {
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                guard words.count == 3, let value = UInt64(words[2]), let (major, minor) = KeyedText.device(words[0])
                else { continue }
                body(&devices[String(words[0]), default: .init(major: major, minor: minor)], words[1], value)
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
