internal import Kernel
internal import MountTrees

/// `/proc` is where the kernel is asked and told things about processes: labels, parameters, identities. Whoever could put
/// something of his own over a part of it would answer in the kernel's place.
extension ContainerSetup {
    /// Files of a procfs that may be covered: they only show numbers, and a container may be shown its own.
    private static let coverable: Set<String> = [
        "/proc/cpuinfo", "/proc/diskstats", "/proc/loadavg", "/proc/meminfo", "/proc/slabinfo", "/proc/stat",
        "/proc/swaps", "/proc/uptime", "/proc/sys/crypto/fips_enabled", "/proc/sys/kernel/ns_last_pid",
    ]

    // PROC_SUPER_MAGIC
    private static let procfs = 0x9fa0

    /// Refuses a mount over a part of a procfs, and another file system in the place of one.
    ///
    /// The place is looked at as it was opened, so that no link or other spelling of the destination helps.
    func refuseCovering(_ target: borrowing Descriptor, _ mount: PlannedMount) throws(KernelError) {
        if try target.fileSystemType() == Self.procfs {
            guard Self.coverable.contains(mount.destination) else {
                throw .failed("mount on", mount.destination, .accessDenied, detail: "it lies in a procfs")
            }
            return
        }
        guard mount.destination == "/proc" else { return }
        switch mount.content {
        case .fileSystem("proc", _): return
        case .tree(let tree) where try tree.mount.fileSystemType() == Self.procfs: return
        default: throw .failed("mount on", "/proc", .accessDenied, detail: "it is not a procfs")
        }
    }
}
