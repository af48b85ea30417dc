internal import Kernel
internal import MountTrees

/// Device files on a filesystem of the parent's, to be bound one by one.
///
/// In a user namespace nobody makes device files, and those on a filesystem that was made there do not work.
struct DeviceStore {
    /// The devices with their place in the container; the number in the list is the name in `tree`.
    let nodes: [DeviceFiles.Node]
    let tree: PreparedTree

    init(_ nodes: [DeviceFiles.Node]) throws(KernelError) {
        let context = try FileSystemContext("tmpfs")
        try context.set("source", "tmpfs")
        try context.set("mode", "0755")
        tree = PreparedTree(try context.mount([.noSetID, .noExecute]))
        self.nodes = nodes
        let mask = Umask.set(0)
        defer { Umask.set(mask) }
        let directory = RootedDir(adopting: try tree.mount.duplicate())
        for (number, var node) in nodes.enumerated() {
            node.path = "\(number)"
            try DeviceFiles.make(node, in: directory)
        }
    }

    /// Copies the devices as mounts of their own; only with the host's root directory still there.
    func clones() throws(KernelError) -> [PreparedTree] {
        // Before Linux 6.15 only what is mounted in the caller's namespace can be copied. It goes with the host's root.
        try tree.mount.attach(toPath: "/")
        var clones: [PreparedTree] = []
        for number in nodes.indices {
            clones.append(PreparedTree(try DetachedMount(cloning: "\(number)", at: tree.mount.raw)))
        }
        return clones
    }
}
