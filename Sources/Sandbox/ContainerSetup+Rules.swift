internal import Kernel
internal import MountTrees
internal import OCISpec

extension ContainerSetup {
    // PROC_SUPER_MAGIC
    private static let procfs = 0x9fa0

    /// Writes the access rules down, now that everything is mounted.
    func setRules(_ root: borrowing RootedDir, _ filesystems: AttachedFileSystems) throws(SandboxError) {
        guard let rules = plan.process.rules else { return }
        if !plan.joinsMounts { try allowDevices(root, rules) }
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
        return AccessPlan(makesDevices: makesDevices, rootHasDevices: makesDevices || plan.joinsMounts)
    }

    /// Allows the devices that lie in the root itself, which may be read-only: a device is written to there too.
    func allowDevices(_ root: borrowing RootedDir, _ rules: SandboxRules) throws(SandboxError) {
        var paths = plan.fillsRootDevices ? try plan.defaultNodes().map { "/dev/\($0.path)" } : []
        paths += plan.devices.map { Paths.clean($0.path) }.filter { !(plan.ownsDevices && $0.hasPrefix("/dev/")) }
        let access: Landlock.Access = [.readFile, .writeFile, .truncate, .controlDevices]
        try step(.rules) { () throws(KernelError) in
            for path in paths {
                // Where nothing was made there is nothing to allow.
                guard let device = try? root.openPath(path) else { continue }
                try rules.kernel.allow(access.intersection(rules.handled), beneath: device.raw)
            }
        }
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
