/// Who makes the cgroups of containers.
public enum CgroupManager: String, Sendable, Codable, CaseIterable {
    /// systemd where it runs and the node has cgroup v2 alone, else the shim itself.
    case auto
    /// The shim, in the cgroup file system.
    case cgroupfs
    /// systemd: a transient scope for each container.
    case systemd

    /// The manager that holds on this node: never `auto`.
    ///
    /// Beside cgroup v1 systemd minds its own hierarchy only, so there a scope would limit nothing.
    package static func resolve(_ asked: CgroupManager, systemdRuns: Bool, version: Int) -> CgroupManager {
        guard asked == .auto else { return asked }
        return systemdRuns && version == 2 ? .systemd : .cgroupfs
    }
}
