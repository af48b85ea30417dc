internal import Kernel
internal import MountTrees

extension ContainerPlan {
    /// Makes the root filesystem as far as that is possible from outside.
    ///
    /// - Parameter mounts: What it consists of; empty means that it is ready at `rootPath`.
    /// - Throws: What cannot be mounted or mapped.
    mutating func prepareRoot(_ mounts: [SandboxRootMount]) throws(SandboxError) {
        guard let first = mounts.first else {
            root = try step(.rootfs) { [rootPath] () throws(KernelError) in
                let tree = try DetachedMount(cloning: rootPath, recursive: true)
                try tree.setPropagation(.private, recursive: true)
                return .tree(PreparedTree(tree))
            }
            return
        }
        guard mounts.count == 1 else {
            throw .refused(
                .rootfs,
                "mount root",
                rootPath,
                "\(mounts.count) mounts for one root",
                code: .invalidArgument
            )
        }
        let options = try MountOptions(first.options, field: "root mount")
        if first.type == "overlay", options.idMap != nil { return try prepareMappedOverlay(options) }
        let tree = try step(.rootfs) { () throws(KernelError) in
            try RootTree.tree(type: first.type, source: first.source, options: options)
        }
        try mapIDs(of: tree, options, source: first.source, field: "root mount", stage: .rootfs)
        root = .tree(tree)
    }

    private mutating func prepareMappedOverlay(_ options: MountOptions) throws(SandboxError) {
        let overlay = try step(.rootfs) { () throws(KernelError) in try MappedOverlay(options) }
        for (tree, source) in zip(overlay.trees, overlay.sources) {
            try mapIDs(of: tree, options, source: source, field: "root mount: \(source)", stage: .rootfs)
        }
        root = .overlay(overlay)
    }
}
