import Cgroups
import Kernel
import NativeContainer
import OCISpec
import Sandbox

extension Runtime {
    func events(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        let interval = try Self.interval(arguments.last("interval") ?? "5s")
        let directory = try store.open(id(arguments))
        let container = try attach(directory, "observe", in: [.created, .running, .paused])
        var kills = container.outOfMemory().kills
        while true {
            let statistics = try native { () throws(NativeError) in try container.statistics() }
            try emit("stats", directory.id, StatisticsText.value(statistics))
            if arguments.has("stats") { return 0 }
            let hasEnded = try kernel { () throws(KernelError) in
                try !container.process.pidfd.poll(for: .readable, timeout: interval).isEmpty
            }
            let now = container.outOfMemory().kills
            if now > kills { try emit("oom", directory.id, nil) }
            kills = now
            if hasEnded { return 0 }
        }
    }

    private func emit(_ type: String, _ id: String, _ data: JSONValue?) throws(RuntimeError) {
        var members: [(key: String, value: JSONValue)] = [("type", .string(type)), ("id", .string(id))]
        if let data { members.append(("data", data)) }
        try print(JSONValue.object(members).text() + "\n")
    }

    /// A time with a unit: `500ms`, `5s`, `1m`.
    private static func interval(_ text: String) throws(RuntimeError) -> Duration {
        let units: [(suffix: String, milliseconds: Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000)]
        for unit in units where text.hasSuffix(unit.suffix) {
            guard let number = Int64(text.dropLast(unit.suffix.count)), (1...86_400_000).contains(number) else { break }
            return .milliseconds(number * unit.milliseconds)
        }
        throw .usage("--interval: '\(text)' is not a time such as 500ms, 5s or 1m")
    }
}

/// What a group uses, in the form that readers of runc's events know.
enum StatisticsText {
    static func value(_ statistics: CgroupStatistics) -> JSONValue {
        let cpu = statistics.cpu
        let memory = statistics.memory
        return .object([
            (
                "cpu",
                .object([
                    (
                        "usage",
                        .object([
                            ("total", .number(cpu.usage)), ("percpu", .array(cpu.perCPU.map(JSONValue.number))),
                            ("kernel", .number(cpu.system)), ("user", .number(cpu.user)),
                        ])
                    ),
                    (
                        "throttling",
                        .object([
                            ("periods", .number(cpu.periods)), ("throttledPeriods", .number(cpu.throttledPeriods)),
                            ("throttledTime", .number(cpu.throttledTime)),
                        ])
                    ),
                ])
            ),
            (
                "memory",
                .object([
                    ("cache", .number(memory.details["cache"] ?? memory.details["file"] ?? 0)),
                    (
                        "usage",
                        .object([
                            ("limit", .number(memory.limit ?? .max)), ("usage", .number(memory.usage)),
                            ("max", .number(memory.maximumUsage ?? 0)), ("failcnt", .number(memory.failures)),
                        ])
                    ),
                    ("raw", .object(memory.details.sorted { $0.key < $1.key }.map { ($0.key, .number($0.value)) })),
                ])
            ),
            (
                "pids",
                .object([
                    ("current", .number(statistics.pids.current)), ("limit", .number(statistics.pids.limit ?? 0)),
                ])
            ),
            (
                "blkio",
                .object([
                    ("ioServiceBytesRecursive", .array(statistics.blockIO.flatMap { bytes($0) })),
                    ("ioServicedRecursive", .array(statistics.blockIO.flatMap { operations($0) })),
                ])
            ),
        ])
    }

    private static func bytes(_ device: CgroupStatistics.BlockIO) -> [JSONValue] {
        [entry(device, "Read", device.readBytes), entry(device, "Write", device.writtenBytes)]
    }

    private static func operations(_ device: CgroupStatistics.BlockIO) -> [JSONValue] {
        [entry(device, "Read", device.reads), entry(device, "Write", device.writes)]
    }

    private static func entry(_ device: CgroupStatistics.BlockIO, _ operation: String, _ value: UInt64) -> JSONValue {
        .object([
            ("major", .number(device.major)), ("minor", .number(device.minor)), ("op", .string(operation)),
            ("value", .number(value)),
        ])
    }
}
