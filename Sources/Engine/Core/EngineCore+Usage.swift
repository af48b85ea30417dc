import EngineContainer
import EngineModel
import EngineShim
import EngineSpec
import Kernel
import ShimProtocol
import SwiftProtobuf

extension EngineCore {
    func top(_ reference: String) async throws -> ProcessTable {
        let container = try node.table.find(reference)
        let pids: [Int32]
        do { pids = try await container.pids() } catch { throw EngineError.wrap(error, "top") }
        return try await blocking { _ in
            ProcessTable(
                titles: ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
                processes: pids.sorted().compactMap(ProcessRow.read)
            )
        }
    }

    func statistics(_ reference: String) async throws -> ContainerStatistics {
        let container = try node.table.find(reference)
        let snapshot = container.view.snapshot
        var statistics = ContainerStatistics(id: snapshot.id, name: snapshot.name)
        guard let any = try await container.statsOfItsRun() else { return statistics }
        statistics.read = .now
        statistics.systemCPU = SystemFacts.systemCPU
        statistics.onlineCPUs = SystemFacts.cpus
        do {
            if let metrics = try any.decode(CgroupV1Metrics.self) {
                statistics.take(metrics)
            } else if let metrics = try any.decode(CgroupV2Metrics.self) {
                statistics.take(metrics)
            }
        } catch {
            throw EngineError.internalFailure("stats of container \(snapshot.id): \(error)")
        }
        let host = UInt64(SystemFacts.memory)
        if statistics.memoryLimit == 0 || statistics.memoryLimit > host { statistics.memoryLimit = host }
        return statistics
    }
}

extension Container {
    /// What the container uses; nil when it does not run.
    ///
    /// One that ends or is started again while it is asked is no failure: the run that was meant is over, and the next one, if there is one,
    /// is asked instead.
    nonisolated func statsOfItsRun() async throws -> Google_Protobuf_Any? {
        for _ in 0..<3 {
            guard let run = view.snapshot.state.pid else { return nil }
            do {
                return try await stats()
            } catch let error as EngineError where error.code == .notFound {
                // Its first process has ended: the shim knows that before its event has come.
                return nil
            } catch {
                guard view.snapshot.state.pid == run else { continue }
                throw EngineError.wrap(error, "stats")
            }
        }
        return nil
    }

    private func stats() async throws -> Google_Protobuf_Any {
        try await adopted()
        do { return try await answering().stats() } catch { throw EngineError.shim(error, "stats", id) }
    }
}

extension ContainerStatistics {
    mutating func take(_ metrics: CgroupV1Metrics) {
        cpuTotal = metrics.cpu.usage.total
        cpuKernel = metrics.cpu.usage.kernel
        cpuUser = metrics.cpu.usage.user
        throttlingPeriods = metrics.cpu.throttling.periods
        throttledPeriods = metrics.cpu.throttling.throttledPeriods
        throttledTime = metrics.cpu.throttling.throttledTime
        memoryUsage = metrics.memory.usage.usage
        memoryLimit = metrics.memory.usage.limit
        memoryDetails = [
            "cache": metrics.memory.cache, "rss": metrics.memory.rss, "mapped_file": metrics.memory.mappedFile,
            "inactive_anon": metrics.memory.inactiveAnon, "active_anon": metrics.memory.activeAnon,
            "inactive_file": metrics.memory.inactiveFile, "active_file": metrics.memory.activeFile,
            "unevictable": metrics.memory.unevictable, "total_inactive_file": metrics.memory.totalInactiveFile,
            "pgfault": metrics.memory.pgFault, "pgmajfault": metrics.memory.pgMajFault,
            "total_rss": metrics.memory.totalRss, "total_cache": metrics.memory.totalCache,
        ]
        pids = metrics.pids.current
        pidsLimit = metrics.pids.limit
        blockIO = metrics.blkio.ioServiceBytesRecursive.map {
            BlockIO(major: $0.major, minor: $0.minor, operation: $0.op.lowercased(), value: $0.value)
        }
    }

    mutating func take(_ metrics: CgroupV2Metrics) {
        cpuTotal = metrics.cpu.usageUsec * 1000
        cpuKernel = metrics.cpu.systemUsec * 1000
        cpuUser = metrics.cpu.userUsec * 1000
        throttlingPeriods = metrics.cpu.nrPeriods
        throttledPeriods = metrics.cpu.nrThrottled
        throttledTime = metrics.cpu.throttledUsec * 1000
        memoryUsage = metrics.memory.usage
        memoryLimit = metrics.memory.usageLimit
        memoryDetails = [
            "anon": metrics.memory.anon, "file": metrics.memory.file, "kernel_stack": metrics.memory.kernelStack,
            "inactive_anon": metrics.memory.inactiveAnon, "active_anon": metrics.memory.activeAnon,
            "inactive_file": metrics.memory.inactiveFile, "active_file": metrics.memory.activeFile,
            "pgfault": metrics.memory.pgfault, "pgmajfault": metrics.memory.pgmajfault,
        ]
        pids = metrics.pids.current
        pidsLimit = metrics.pids.limit
        blockIO = metrics.io.usage.flatMap {
            [
                BlockIO(major: $0.major, minor: $0.minor, operation: "read", value: $0.rbytes),
                BlockIO(major: $0.major, minor: $0.minor, operation: "write", value: $0.wbytes),
            ]
        }
    }
}

/// One row of `ps -ef`, read from procfs.
enum ProcessRow {
    /// Nil for a process that has ended meanwhile.
    static func read(_ pid: Int32) -> [String]? {
        guard
            let stat = try? File.readText("/proc/\(pid)/stat"), let status = try? File.readText("/proc/\(pid)/status"),
            let close = stat.lastIndex(of: ")")
        else { return nil }
        let fields = stat[stat.index(after: close)...].split(separator: " ").map(String.init)
        guard fields.count > 19, let user = UInt64(fields[11]), let system = UInt64(fields[12]),
            let started = UInt64(fields[19])
        else { return nil }
        let uid = status.split(separator: "\n").first { $0.hasPrefix("Uid:") }?.split(separator: "\t").dropFirst().first
        let name = stat[stat.index(after: stat.firstIndex(of: "(") ?? stat.startIndex)..<close]
        let arguments = (try? ProcessFacts.commandLine(of: pid)) ?? []  // a kernel thread or zombie has none
        return [
            uid.map { $0 == "0" ? "root" : String($0) } ?? "?", String(pid), fields[1], "0", startTime(started),
            terminal(fields[4]), cpuTime((user + system) / 100),
            arguments.isEmpty ? "[\(name)]" : arguments.joined(separator: " "),
        ]
    }

    private static func startTime(_ ticks: UInt64) -> String {
        let uptime = Clock.boot.now - Timestamp(seconds: 0)
        let age = uptime.components.seconds - Int64(ticks / 100)
        let start = Timestamp.now + .seconds(-age)
        return String(start.description.dropFirst(11).prefix(5))
    }

    private static func cpuTime(_ seconds: UInt64) -> String {
        [seconds / 3600, seconds / 60 % 60, seconds % 60].map { $0 < 10 ? "0\($0)" : String($0) }.joined(separator: ":")
    }

    private static func terminal(_ field: String) -> String {
        guard let number = UInt32(field), number != 0 else { return "?" }
        let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xfff00)
        return (136...143).contains(major) ? "pts/\(minor + (major - 136) * 256)" : "tty\(minor)"
    }
}
