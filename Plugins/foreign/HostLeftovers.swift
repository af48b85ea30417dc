import HostBundle

/// What a shim may leave on the host.
enum HostLeftovers {
    /// Kills what is left in the container's group, removes it, and unmounts its root.
    ///
    /// - Returns: What went wrong.
    static func remove(of bundle: String, cgroup: String?, wasThere: Bool?) -> [String] {
        let failures = ContainerGroup.remove(bundle: bundle, found: cgroup, wasThere: wasThere)
        BundleRoot(bundle: bundle).unmount()
        return failures
    }
}
