package import EngineModel
import Kernel

/// What the node is, read from procfs and sysfs.
package enum SystemFacts {
    /// Where processors count how often they were too hot, a side channel to who shares the machine; empty in most guests.
    static let throttleCounters: [String] = {
        let folder = "/sys/devices/system/cpu"
        // What cannot be listed is not masked either; a container's view of it is read-only.
        let names = (try? File.open(folder, .directory).readDirectory().map(\.name)) ?? []
        return names.map { "\(folder)/\($0)/thermal_throttle" }.filter { File.exists($0) }.sorted()
    }()

    /// Processors online; at least 1.
    package static let cpus: Int = {
        let list = Self.text("/sys/devices/system/cpu/online")
        let count = list.split(separator: ",").reduce(0) { sum, range in
            let ends = range.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last else { return sum }
            return sum + last - first + 1
        }
        return max(1, count)
    }()

    /// Release of the kernel.
    package static let kernelRelease = text("/proc/sys/kernel/osrelease")

    package static var hostname: String { text("/proc/sys/kernel/hostname") }

    /// Memory of the node in bytes.
    package static var memory: Int64 {
        let line = text("/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemTotal:") } ?? ""
        let number = line.split(separator: " ").dropFirst().first.flatMap { Int64($0) } ?? 0
        return number * 1024
    }

    package static var operatingSystem: String {
        let line = text("/etc/os-release").split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }
        return line?.dropFirst("PRETTY_NAME=".count).trimming("\"") ?? "Linux"
    }

    package static let architecture: String = {
        #if arch(x86_64)
        "x86_64"
        #elseif arch(arm64)
        "aarch64"
        #else
        "unknown"
        #endif
    }()

    package static var cgroupVersion: Int { File.exists("/sys/fs/cgroup/cgroup.controllers") ? 2 : 1 }

    /// The security modules that bind processes here, of those that a container may be given a label of.
    package static var securityModules: Set<SecurityModule> {
        var found: Set<SecurityModule> = []
        if text("/sys/module/apparmor/parameters/enabled").hasPrefix("Y") { found.insert(.appArmor) }
        if File.exists("/sys/fs/selinux/enforce") || text("/sys/kernel/security/lsm").contains("selinux") {
            found.insert(.selinux)
        }
        return found
    }

    /// The cgroup manager that holds here; the directory is how sd_booted(3) knows.
    package static func cgroupManager(_ asked: CgroupManager) -> CgroupManager {
        CgroupManager.resolve(asked, systemdRuns: File.exists("/run/systemd/system"))
    }

    /// Processor time of the whole node in nanoseconds.
    package static var systemCPU: UInt64 {
        let line = text("/proc/stat").split(separator: "\n").first ?? ""
        let ticks = line.split(separator: " ").dropFirst().prefix(7).compactMap { UInt64($0) }.reduce(0, +)
        return ticks * 10_000_000
    }

    private static func text(_ path: String) -> String {
        guard let text = try? File.readText(path) else { return "" }  // a fact that cannot be read is shown as empty
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}

extension Substring {
    fileprivate func trimming(_ character: Character) -> String {
        var text = self
        if text.first == character { text.removeFirst() }
        if text.last == character { text.removeLast() }
        return String(text)
    }
}

/// A part of the kernel that binds processes by labels.
package enum SecurityModule: String, Sendable {
    case appArmor = "AppArmor"
    case selinux = "SELinux"
}
