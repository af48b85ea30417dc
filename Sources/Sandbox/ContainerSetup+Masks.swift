internal import Kernel
internal import MountTrees

extension ContainerSetup {
    /// Hides the masked paths and makes the read-only ones so.
    ///
    /// What is absent stays absent.
    func protectPaths(_ root: borrowing RootedDir) throws(SandboxError) {
        for path in plan.readonlyPaths {
            try onExisting(path, root) { (target) throws(KernelError) in
                if try target.status().mountID == root.status().mountID, try target.status().isMountRoot {
                    // What is mounted over the root is not where the process is.
                    try DetachedMount(try target.duplicate()).setAttributes(set: .readOnly, recursive: true)
                    return
                }
                let tree = try DetachedMount(cloning: "", at: target.raw, recursive: true)
                try tree.setAttributes(set: .readOnly, recursive: true)
                try tree.attach(to: target.raw, object: path)
            }
        }
        var maskIsAttached = false
        for path in plan.maskedPaths {
            try onExisting(path, root) { (target) throws(KernelError) in
                if try target.status().isDirectory {
                    try maskDirectory(path, target.raw, root, &maskIsAttached)
                } else {
                    try maskFile(path, target.raw, root)
                }
            }
        }
    }

    private func onExisting(
        _ path: String,
        _ root: borrowing RootedDir,
        _ body: (borrowing Descriptor) throws(KernelError) -> Void
    ) throws(SandboxError) {
        let target: Descriptor
        do throws(KernelError) {
            target = try root.openPath(path, follow: true)
        } catch {
            if error.errno == .noEntry || error.errno == .notDirectory { return }
            throw .failed(.masks, error)
        }
        do throws(KernelError) { try body(target) } catch {
            throw .failed(.masks, .failed(error.operation, path, error.errno, detail: error.detail))
        }
    }

    /// Covers a file with our null device, whose identity is checked before and after.
    private func maskFile(_ path: String, _ target: RawDescriptor, _ root: borrowing RootedDir) throws(KernelError) {
        let null = try root.openPath("/dev/null")
        try requireNull(null.status(), "/dev/null")
        try DetachedMount(cloning: "", at: null.raw).attach(to: target, object: path)
        try requireNull(root.openPath(path, follow: true).status(), path)
    }

    private func requireNull(_ status: FileStatus, _ path: String) throws(KernelError) {
        guard status.kind == .characterDevice, status.representedDevice == DeviceNumber(major: 1, minor: 3) else {
            throw .failed("mask", path, .accessDenied, detail: "the null device is not what it should be")
        }
    }

    /// Covers a directory with the empty one.
    ///
    /// The first mask is the tree itself: only what is mounted here can be cloned on every kernel.
    private func maskDirectory(
        _ path: String,
        _ target: RawDescriptor,
        _ root: borrowing RootedDir,
        _ isAttached: inout Bool
    ) throws(KernelError) {
        guard let mask = plan.emptyDirectory else { return }
        if isAttached {
            try DetachedMount(cloning: "", at: mask.mount.raw).attach(to: target, object: path)
        } else {
            try mask.mount.attach(to: target, object: path)
            isAttached = true
        }
        let wanted = try mask.mount.status()
        let found = try root.openPath(path, follow: true).status()
        guard found.device == wanted.device, found.inode == wanted.inode else {
            throw .failed("mask", path, .accessDenied, detail: "something else is in its place")
        }
    }
}
