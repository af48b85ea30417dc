import HostBundle

/// What a shim may leave on the host.
enum HostLeftovers {
    /// Kills what is left in the container's groups, removes them, and unmounts its root.
    ///
    /// - Returns: What went wrong.
    static func remove(of bundle: String, cgroup: String?) -> [String] {
        let failures = ContainerGroup.remove(bundle: bundle, and: cgroup)
        BundleRoot(bundle: bundle).unmount()
        return failures
    }
}
