internal import Kernel

extension CgroupV2 {
    func statistics() throws(CgroupError) -> CgroupStatistics {
        try attempt("read statistics of") { () throws(KernelError) in
            var result = CgroupStatistics()
            let cpu = KeyedText.flat(try member.read("cpu.stat"))
            result.cpu.usage = (cpu["usage_usec"] ?? 0) * 1000
            result.cpu.user = (cpu["user_usec"] ?? 0) * 1000
            result.cpu.system = (cpu["system_usec"] ?? 0) * 1000
            result.cpu.periods = cpu["nr_periods"] ?? 0
            result.cpu.throttledPeriods = cpu["nr_throttled"] ?? 0
            result.cpu.throttledTime = (cpu["throttled_usec"] ?? 0) * 1000
            try readMemory(into: &result.memory)
            result.pids.current = try optional("pids.current").flatMap(KeyedText.number) ?? 0
            result.pids.limit = try optional("pids.max").flatMap(KeyedText.number)
            result.blockIO = try optional("io.stat").map(IOStatText.parse) ?? []
            return result
        }
    }

    private func readMemory(into memory: inout CgroupStatistics.Memory) throws(KernelError) {
        memory.usage = try optional("memory.current").flatMap(KeyedText.number) ?? 0
        memory.maximumUsage = try optional("memory.peak").flatMap(KeyedText.number)
        memory.limit = try optional("memory.max").flatMap(KeyedText.number)
        memory.swapUsage = try optional("memory.swap.current").flatMap(KeyedText.number)
        memory.failures = try optional("memory.events").flatMap { KeyedText.flat($0)["max"] } ?? 0
        memory.details = try optional("memory.stat").map(KeyedText.flat) ?? [:]
    }

    /// A file of a controller that the host may lack.
    private func optional(_ file: String) throws(KernelError) -> String? {
        do throws(KernelError) { return try member.read(file) } catch
            where error.errno == .noEntry || error.errno == .notSupported
        {
            return nil
        }
    }
}

/// Lines of `major:minor rbytes=1 wbytes=2 rios=3 wios=4 …`.
enum IOStatText {
    static func parse(_ text: String) -> [CgroupStatistics.BlockIO] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let first = words.first, let (major, minor) = KeyedText.device(first) else { return nil }
            var device = CgroupStatistics.BlockIO(major: major, minor: minor)
            for word in words.dropFirst() {
                let parts = word.split(separator: "=")
                guard parts.count == 2, let value = UInt64(parts[1]) else { continue }
                switch parts[0] {
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
