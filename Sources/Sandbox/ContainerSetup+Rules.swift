internal import Kernel
internal import MountTrees
internal import OCISpec

extension ContainerSetup {
    // PROC_SUPER_MAGIC
    private static let procfs = 0x9fa0

    /// Writes the access rules down, now that everything is mounted.
    func setRules(_ root: borrowing RootedDir, _ filesystems: AttachedFileSystems) throws(SandboxError) {
        guard let rules = plan.process.rules else { return }
        try step(.rules) { () throws(KernelError) in
            let table = MountTable(try mountInformation(root, filesystems))
            let wanted = accessPlan.rules(table, root: try root.status().mountID)
            try rules.kernel.allow(wanted.root.intersection(rules.handled), beneath: root.raw)
            for (mount, access) in wanted.mounts {
                guard let place = try Self.open(mount, root) else { continue }
                let most: Landlock.Access = try place.status().isDirectory ? rules.handled : .ofFiles
                do throws(KernelError) {
                    try rules.kernel.allow(access.intersection(most).intersection(rules.handled), beneath: place.raw)
                } catch { throw error.about(mount.path) }
            }
        }
    }

    private var accessPlan: AccessPlan {
        let makesDevices = plan.process.capabilities.bounding.contains(CapabilitySet(name: "CAP_MKNOD") ?? [])
        let elsewhere = plan.devices.contains { !(plan.ownsDevices && $0.path.hasPrefix("/dev/")) }
        return AccessPlan(
            makesDevices: makesDevices,
            rootHasDevices: makesDevices || elsewhere || plan.fillsRootDevices || plan.joinsMounts
        )
    }

    /// The place of a mount; nil when it cannot be reached, because another one lies over it or the container's ids may not get there: nobody
    /// needs a rule for it then.
    private static func open(
        _ mount: MountTable.Entry,
        _ root: borrowing RootedDir
    ) throws(KernelError) -> Descriptor? {
        do throws(KernelError) {
            let place = try root.openWithoutLinks(mount.path, .path)
            guard try place.status().mountID == mount.id else { return nil }
            return place
        } catch  where [.noEntry, .notDirectory, .tooManyLinks, .accessDenied].contains(error.errno) {
            return nil
        }
    }

    /// The table of the process's own mounts, by a procfs that nobody could have put there: nothing but one is ever mounted at `/proc`.
    private func mountInformation(
        _ root: borrowing RootedDir,
        _ filesystems: AttachedFileSystems
    ) throws(KernelError) -> String {
        let limit = 1 << 24
        if let procfs = filesystems.procfs {
            return try File.readText("self/mountinfo", limit: limit, at: procfs.mount.raw)
        }
        if let place = try? root.openWithoutLinks("/proc", [.path, .directory]),
            try place.fileSystemType() == Self.procfs, !plan.joinsMounts
        {
            return try File.readText("self/mountinfo", limit: limit, at: place.raw)
        }
        let own = try FileSystemContext("proc").mount([.noSetID, .noDevices, .noExecute])
        return try File.readText("self/mountinfo", limit: limit, at: own.raw)
    }
}
