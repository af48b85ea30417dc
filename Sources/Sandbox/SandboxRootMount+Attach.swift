internal import Kernel
internal import MountTrees

extension SandboxRootMount {
    /// Mounts the root where other programs find it, for a backend that leaves the container to one of them.
    ///
    /// - Parameter path: An existing directory of the host. The caller unmounts it.
    /// - Throws: `SandboxError`, `unsupported` for a mount with mapped owners, which only a sandbox can make. Nothing is mounted then.
    public func attach(toPath path: String) throws(SandboxError) {
        let options = try MountOptions(options, field: "root mount")
        guard options.idMap == nil else {
            throw .refused(.rootfs, "mount root", path, "mapped owners need the native backend", code: .unsupported)
        }
        do throws(KernelError) {
            try RootTree.tree(type: type, source: source, options: options).mount.attach(toPath: path)
        } catch {
            throw .failed(.rootfs, error)
        }
    }
}
