package import Kernel

/// The root filesystem of a container, as far as it can be made from outside.
package enum PlannedRoot {
    /// Not planned yet.
    case none
    /// A mount that the parent has made.
    case tree(PreparedTree)
    /// An overlay on mapped layers, which the child makes inside its user namespace.
    case overlay(MappedOverlay)

    /// The mount; an overlay is made now.
    package func tree() throws(KernelError) -> PreparedTree {
        switch self {
        case .none: throw .failed("mount root", .noDevice)
        case .tree(let tree): tree
        case .overlay(let overlay): try overlay.make()
        }
    }

    /// Descriptors that the child needs.
    package var descriptors: [RawDescriptor] {
        switch self {
        case .none: []
        case .tree(let tree): [tree.mount.raw]
        case .overlay(let overlay): overlay.descriptors
        }
    }
}

/// The layers of an overlay whose files' owners are mapped into a user namespace.
///
/// A filesystem can only be mapped where it is bound, and an overlay not at all; but an overlay can lie on mapped layers.
/// Made from outside it would silently be read-only, because nobody there has an id in the mapping; so the container's own
/// process makes it. Files keep the owners on disk that the image gave them.
package struct MappedOverlay {
    /// Lower directories, the topmost first; each is a mount of its own.
    var lower: [PreparedTree]
    /// The directory that holds upper and work directory, which must lie on one mount; nil for a read-only overlay.
    var state: PreparedTree?
    /// Path of the upper directory below `state`.
    var upper = ""
    /// Path of the work directory below `state`.
    var work = ""
    /// All other parameters.
    var parameters: [MountOptions.Parameter]
    var attributes: Mount.Attributes

    package var descriptors: [RawDescriptor] { trees.map { $0.mount.raw } }

    /// Everything that the mapping must be set on.
    package var trees: [PreparedTree] { lower + (state.map { [$0] } ?? []) }

    /// Paths of `trees`.
    package private(set) var sources: [String] = []

    /// Clones the layers of an overlay's options.
    package init(_ options: MountOptions) throws(KernelError) {
        var directories: [String: String] = [:]
        (lower, parameters, attributes) = ([], [], options.attributes.set)
        for parameter in options.parameters {
            switch (parameter.key, parameter.value) {
            case ("lowerdir", let value?):
                for path in OverlayMount.lowerPaths(value) {
                    lower.append(PreparedTree(try DetachedMount(cloning: path)))
                    sources.append(path)
                }
            case ("upperdir", let value?), ("workdir", let value?): directories[parameter.key] = value
            default: parameters.append(parameter)
            }
        }
        // Attributes that belong to root only are not for the container to see (overlayfs "userxattr").
        if !parameters.contains(where: { $0.key == "userxattr" }) {
            parameters.append(MountOptions.Parameter(key: "userxattr", value: nil))
        }
        guard let upper = directories["upperdir"] else { return }
        guard let work = directories["workdir"] else {
            throw .failed("mount overlay", upper, .invalid, detail: "upperdir without workdir")
        }
        try cloneState(upper, work)
    }

    private mutating func cloneState(_ upper: String, _ work: String) throws(KernelError) {
        let (first, second) = (upper.split(separator: "/"), work.split(separator: "/"))
        let common = zip(first, second).prefix { $0 == $1 }.count
        self.upper = first.dropFirst(common).joined(separator: "/")
        self.work = second.dropFirst(common).joined(separator: "/")
        guard !self.upper.isEmpty, !self.work.isEmpty else {
            throw .failed("mount overlay", upper, .invalid, detail: "upperdir and workdir lie in each other")
        }
        let state = PreparedTree(try DetachedMount(cloning: "/" + first.prefix(common).joined(separator: "/")))
        for (relative, path) in [(self.upper, upper), (self.work, work)] {
            let (found, wanted) = (
                try File.open(relative, [.path, .directory], at: state.mount.raw).status(), try File.status(path)
            )
            guard found.device == wanted.device, found.inode == wanted.inode else {
                throw .failed("mount overlay", path, .crossDevice, detail: "upperdir and workdir need one mount")
            }
        }
        self.state = state
        sources.append(upper)
    }

    /// Makes the overlay; only inside the user namespace, as its root, with the host's root directory still there.
    ///
    /// The kernel takes no layers that are attached nowhere, or only from who made them. So all are attached inside a scratch
    /// filesystem that goes with the host's root, under names that are short because a text of more than 255 bytes is refused.
    func make() throws(KernelError) -> PreparedTree {
        let staging = try FileSystemContext("tmpfs").mount()
        try staging.attach(toPath: "/")
        let root = RootedDir(adopting: try staging.duplicate())
        for (number, tree) in trees.enumerated() {
            try root.mkdir(ShortNames.name(number))
            try tree.mount.attach(to: root.openPath(ShortNames.name(number)), object: sources[number])
        }
        try WorkingDirectory.change(to: root.raw)
        let tree = PreparedTree(try mountStaged())
        // An upper directory that cannot be used costs the overlay its writability, without an error.
        let isReadOnly = try tree.mount.isOnReadOnlyMount()
        guard state == nil || attributes.contains(.readOnly) || !isReadOnly else {
            throw .failed("mount overlay", upper, .readOnly, detail: "the kernel cannot write to the upper directory")
        }
        return tree
    }

    private func mountStaged() throws(KernelError) -> DetachedMount {
        let context = try context()
        let names = lower.indices.map(ShortNames.name)
        let list = names.joined(separator: ":")
        if list.utf8.count < 256 {
            try context.set("lowerdir", list)
        } else {
            for name in names { try context.set("lowerdir+", name) }
        }
        if state != nil {
            try context.set("upperdir", "\(ShortNames.name(lower.count))/\(upper)")
            try context.set("workdir", "\(ShortNames.name(lower.count))/\(work)")
        }
        return try context.mount(attributes)
    }

    private func context() throws(KernelError) -> FileSystemContext {
        let context = try FileSystemContext("overlay")
        try context.set("source", "overlay")
        for parameter in parameters {
            if let value = parameter.value {
                try context.set(parameter.key, value)
            } else {
                try context.set(parameter.key)
            }
        }
        return context
    }
}
