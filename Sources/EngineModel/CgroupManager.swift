/// Who makes the cgroups of containers.
public enum CgroupManager: String, Sendable, Codable, CaseIterable {
    /// systemd where it runs, else the shim itself.
    case auto
    /// The shim, in the cgroup file system.
    case cgroupfs
    /// systemd: a transient scope for each container.
    case systemd

    /// The manager that holds on this node: never `auto`.
    ///
    /// On cgroup v1 as well: systemd takes processes out of groups that it was not asked for whenever its units begin or cease to need a
    /// controller, and their limits with them. What a scope has in hierarchies that systemd does not use, the shim makes beside it.
    package static func resolve(_ asked: CgroupManager, systemdRuns: Bool) -> CgroupManager {
        guard asked == .auto else { return asked }
        return systemdRuns ? .systemd : .cgroupfs
    }
}
