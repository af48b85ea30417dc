import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Groups of a test's own on the real host, with work inside, and their removal whatever happens.
struct LoadedGroup {
    let group: any Cgroup
    let path: String

    /// Runs with a group; parents that are made with it go with it.
    static func with(
        _ resources: RuntimeSpec.Resources = .init(),
        path: String = "/berth-test-\(Random.hex(6))",
        _ body: (LoadedGroup) throws -> Void
    ) throws {
        let group = try CgroupTree().create(path, owner: "test")
        defer {
            do {
                _ = try group.killAll(timeout: .seconds(5))
                try group.remove(timeout: .seconds(5))
            } catch {
                Issue.record(error)
            }
        }
        try group.apply(resources)
        try body(LoadedGroup(group: group, path: path))
    }

    /// Work that waits for the word to begin.
    struct Work {
        let pidfd: SharedDescriptor
        let pid: Int32
        let input: SharedDescriptor
        let output: SharedDescriptor

        func begin() throws { try input.writeAll("!") }

        /// Waits for its end.
        func end() throws -> (status: Kernel.ExitStatus, output: String) {
            let text = String(decoding: try output.readToEnd(limit: 1 << 16), as: UTF8.self)
            return (try Pidfd.waitForEnd(pidfd.raw), text)
        }
    }

    /// Starts `limit-load` in the group.
    func start(_ arguments: String...) throws -> Work {
        let work = try LoadedGroup.spawn(arguments)
        try group.add(work.pid)
        return work
    }

    /// Runs it to its end.
    func run(_ arguments: String...) throws -> (status: Kernel.ExitStatus, output: String) {
        let work = try LoadedGroup.spawn(arguments)
        try group.add(work.pid)
        try work.begin()
        return try work.end()
    }

    static func spawn(_ arguments: [String]) throws -> Work {
        let (input, inputWriter) = try Pipe().ends()
        let (output, outputWriter) = try Pipe().ends()
        var spawn = Spawn(arguments: ["limit-load"] + arguments)
        spawn.descriptors = [0: input.raw, 1: outputWriter.raw, 2: 2]
        let program = try Probe.path().replacing("kernel-probe", with: "limit-load")
        let child = try withExtendedLifetime((input, outputWriter)) { try spawn.start(program) }
        let pid = child.pid
        return Work(pidfd: child.sharedPidfd(), pid: pid, input: inputWriter, output: output)
    }
}

extension String {
    /// The value of a line `key=value`.
    func value(_ key: String) -> String? {
        for line in split(separator: "\n") where line.hasPrefix("\(key)=") {
            return String(line.dropFirst(key.count + 1))
        }
        return nil
    }
}

extension RuntimeSpec.Memory {
    /// A limit that swap space does not soften, where there is any.
    static func hard(_ limit: Int64) -> RuntimeSpec.Memory { .init(limit: limit, swap: Machine.hasSwap ? limit : nil) }
}

/// What this machine is, found by looking.
enum Machine {
    /// Whether cgroup v2 is all there is.
    static let isUnified = File.exists(CgroupTree.defaultRoot + "/cgroup.controllers")

    /// Whether there is a v2 hierarchy at all.
    static let hasUnified = isUnified || File.exists(CgroupTree.defaultRoot + "/unified/cgroup.controllers")

    /// Whether swap space is in use.
    static var hasSwap: Bool {
        ((try? File.readText("/proc/swaps")) ?? "").split(separator: "\n").count > 1
    }

    /// Whether there is a limit of memory and swap together, which is version 1's.
    static var limitsMemoryAndSwap: Bool {
        File.exists(CgroupTree.defaultRoot + "/memory/memory.memsw.limit_in_bytes")
    }

    /// Free pages of 2 MiB.
    static var freeHugePages: Int {
        let file = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
        return Int(((try? File.readText(file)) ?? "").prefix { $0.isNumber }) ?? 0
    }

    static var controllers: Set<String> { (try? CgroupTree().controllers) ?? [] }

    /// The whole disk that a directory is on, which is what throttling knows.
    static func disk(of directory: String) throws -> DeviceNumber {
        let device = try File.status(directory).device
        let place = "/sys/dev/block/\(device.major):\(device.minor)"
        guard File.exists("\(place)/partition") else { return device }
        let text = try File.readText("\(place)/../dev").split { $0 == ":" || $0 == "\n" }
        return DeviceNumber(major: UInt32(text[0]) ?? 0, minor: UInt32(text[1]) ?? 0)
    }
}
