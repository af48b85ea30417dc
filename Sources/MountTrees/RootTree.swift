package import Kernel

/// Filesystems made as detached mounts: attached nowhere, so nobody sees them until the container's own process does.
package enum RootTree {
    /// A tree from any type, with the attributes and propagation of its options.
    package static func tree(type: String, source: String, options: MountOptions) throws(KernelError) -> PreparedTree {
        if let bind = options.bind ?? (type == "bind" || type == "rbind" ? .single : nil) {
            let recursive = bind == .recursive || type == "rbind"
            let tree = try DetachedMount(cloning: source, recursive: recursive)
            try apply(options, to: tree, isBind: true)
            return PreparedTree(tree)
        }
        let tree = try fileSystem(type: type, source: source, options: options)
        try apply(options, to: tree, isBind: false)
        return PreparedTree(tree)
    }

    /// An empty directory that cannot be written, for masks.
    package static func emptyDirectory() throws(KernelError) -> PreparedTree {
        let context = try FileSystemContext("tmpfs")
        try context.set("source", "tmpfs")
        try context.set("mode", "0555")
        try context.set("nr_inodes", "2")
        return PreparedTree(try context.mount([.readOnly, .noSetID, .noDevices, .noExecute]))
    }

    /// A new filesystem with its attributes.
    package static func fileSystem(
        type: String,
        source: String,
        options: MountOptions,
        withholding withheld: Mount.Attributes = []
    ) throws(KernelError) -> DetachedMount {
        let attributes = options.attributes.set.subtracting(withheld)
        if type == "overlay" { return try OverlayMount.make(options.parameters, attributes) }
        let context = try FileSystemContext(type)
        try context.set("source", source.isEmpty ? type : source)
        // As mount(2) does: with the mount alone read-only, mounting writes to the device, a journal above all.
        if attributes.contains(.readOnly), isBlockDevice(source) { try context.set("ro") }
        try set(options.parameters, on: context)
        return try context.mount(attributes)
    }

    private static func isBlockDevice(_ source: String) -> Bool {
        // What cannot be looked at is the kernel's to refuse.
        source.hasPrefix("/") && (try? File.status(source, follow: true))?.kind == .blockDevice
    }

    /// Sets the parameters of a filesystem; an error names the one that it is about.
    package static func set(
        _ parameters: [MountOptions.Parameter],
        on context: borrowing FileSystemContext
    ) throws(KernelError) {
        for parameter in parameters {
            if let value = parameter.value {
                try context.set(parameter.key, value)
            } else {
                try context.set(parameter.key)
            }
        }
    }

    /// Attributes below a mount, and propagation.
    ///
    /// A bound tree starts out private: clones of the host's mounts would pass mounts on to the host and back.
    package static func apply(
        _ options: MountOptions,
        to tree: borrowing DetachedMount,
        isBind: Bool
    ) throws(KernelError) {
        if isBind {
            try tree.setPropagation(options.propagation.isEmpty ? .private : .slave, recursive: true)
            if !options.attributes.isEmpty {
                try tree.setAttributes(set: options.attributes.set, clear: options.attributes.clear)
            }
        }
        if !options.recursiveAttributes.isEmpty {
            let change = options.recursiveAttributes
            try tree.setAttributes(set: change.set, clear: change.clear, recursive: true)
        }
        for change in options.propagation { try tree.setPropagation(change.type, recursive: change.recursive) }
    }
}

/// The overlay filesystem, whose layers may have long names.
enum OverlayMount {
    /// Makes the overlay.
    ///
    /// The new interface takes values of up to 255 bytes, less than a few layers' paths. So layers are given as open
    /// directories; where the kernel cannot (before Linux 6.13), as the names of their descriptors, or as shorter ones where those are too long.
    static func make(
        _ parameters: [MountOptions.Parameter],
        _ attributes: Mount.Attributes
    ) throws(KernelError) -> DetachedMount {
        do throws(KernelError) {
            return try make(parameters, attributes, byDescriptor: true)
        } catch  where error.errno == .invalid || error.errno == .notSupported || error.errno == .badDescriptor {
            return try makeByName(parameters, attributes)
        }
    }

    /// Makes the overlay from one text that names all layers.
    static func makeByName(
        _ parameters: [MountOptions.Parameter],
        _ attributes: Mount.Attributes
    ) throws(KernelError) -> DetachedMount {
        let list = parameters.first { $0.key == "lowerdir" }?.value ?? ""
        let layers = list.isEmpty ? [] : try lowerDirectories(list)
        guard layers.map(\.procPath).joined(separator: ":").utf8.count > 255 else {
            return try make(parameters, attributes, byDescriptor: false)
        }
        let short = try ShortNames(layers)
        let text = short.names.joined(separator: ":")
        // The kernel looks names up when it is told them, or, before Linux 6.5, when the filesystem is made.
        return try short.inside { () throws(KernelError) in
            try make(parameters, attributes, byDescriptor: false, lower: text)
        }
    }

    private static func make(
        _ parameters: [MountOptions.Parameter],
        _ attributes: Mount.Attributes,
        byDescriptor: Bool,
        lower text: String? = nil
    ) throws(KernelError) -> DetachedMount {
        let context = try FileSystemContext("overlay")
        try context.set("source", "overlay")
        // Open until the filesystem exists: the descriptors' names are resolved then.
        var layers: [SharedDescriptor] = []
        for parameter in parameters {
            switch (parameter.key, parameter.value) {
            case ("lowerdir", _?) where text != nil: try context.set("lowerdir", text ?? "")
            case ("lowerdir", let value?):
                let lower = try lowerDirectories(value)
                layers += lower
                if byDescriptor {
                    for layer in lower { try context.set("lowerdir+", layer.raw) }
                } else {
                    try context.set("lowerdir", lower.map(\.procPath).joined(separator: ":"))
                }
            case ("upperdir", let value?), ("workdir", let value?):
                let directory = SharedDescriptor(try File.open(value, [.path, .directory]))
                layers.append(directory)
                if byDescriptor {
                    try context.set(parameter.key, directory.raw)
                } else {
                    try context.set(parameter.key, directory.procPath)
                }
            case (let key, let value?): try context.set(key, value)
            case (let key, nil): try context.set(key)
            }
        }
        return try context.mount(attributes)
    }

    private static func lowerDirectories(_ value: String) throws(KernelError) -> [SharedDescriptor] {
        var directories: [SharedDescriptor] = []
        for path in lowerPaths(value) {
            directories.append(SharedDescriptor(try File.open(path, [.path, .directory])))
        }
        return directories
    }

    /// The paths of a colon-separated list; a backslash protects a colon.
    static func lowerPaths(_ value: String) -> [String] {
        var names: [[UInt8]] = [[]]
        var escaped = false
        for byte in value.utf8 {
            switch byte {
            case 0x5c where !escaped: escaped = true
            case 0x3a where !escaped: names.append([])
            default:
                names[names.count - 1].append(byte)
                escaped = false
            }
        }
        return names.map { String(decoding: $0, as: UTF8.self) }
    }
}
