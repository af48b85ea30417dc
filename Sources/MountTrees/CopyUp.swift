package import Kernel

/// Copies what the image has at a place into the filesystem that is about to hide it (the option `tmpcopyup`).
///
/// Runs in the child inside the container's root, from directory to directory by descriptor: no name of the image leads
/// anywhere else, and no `/proc` is needed, which could be the image's. What is mounted below the place stays out: it is no
/// part of the image. The copy ends with an error where the new filesystem is full; depth and number of files have
/// limits of their own, and the parent's patience ends it in any case.
package struct CopyUp: ~Copyable {
    private struct FileNumber: Hashable {
        var device: DeviceNumber
        var inode: UInt64
    }

    /// Most directories inside each other; each keeps a few descriptors open.
    static let maximumDepth = 100
    /// Most files.
    static let maximumFiles = 1 << 18

    private let destination: RootedDir
    /// Files with several names, and the path of the first copy.
    private var copies: [FileNumber: [UInt8]] = [:]
    private var files = 0

    /// Copies the content of a directory, and what the directory itself is where the mount's options do not say.
    ///
    /// - Parameters:
    ///   - mount: The empty filesystem, writable.
    ///   - place: The directory of the image, O_PATH is enough.
    ///   - options: Its options.
    /// - Throws: What could not be copied, by its path below the place.
    package static func fill(
        _ mount: borrowing DetachedMount,
        from place: borrowing Descriptor,
        _ options: MountOptions
    ) throws(KernelError) {
        let source = RootedDir(adopting: try place.duplicate())
        let target = RootedDir(adopting: try mount.duplicate())
        var copy = CopyUp(destination: RootedDir(adopting: try mount.duplicate()))
        // Attributes of names are reached from the working directory, which so far is the container's root.
        let root = try File.open("/", [.path, .directory])
        try copy.content(source, target, [], depth: 1)
        let given = Set(options.parameters.map(\.key))
        let status = try source.status()
        let own = try target.status()
        try target.changeOwner(
            uid: given.contains("uid") ? own.uid : status.uid,
            gid: given.contains("gid") ? own.gid : status.gid
        )
        try target.changeMode(given.contains("mode") ? own.permissions : status.permissions)
        try copy.attributes(of: Array(".".utf8), source, target, [])
        try WorkingDirectory.change(to: root.raw)
    }

    private init(destination: consuming RootedDir) { self.destination = destination }

    private mutating func content(
        _ source: borrowing RootedDir,
        _ target: borrowing RootedDir,
        _ path: [UInt8],
        depth: Int
    ) throws(KernelError) {
        guard depth <= Self.maximumDepth else {
            throw .failed("copy", path.shown, .nameTooLong, detail: "more than \(Self.maximumDepth) directories deep")
        }
        for entry in try source.readDirectory(".", limit: Self.maximumFiles) {
            files += 1
            let path = path + [UInt8(ascii: "/")] + entry.nameBytes
            guard files <= Self.maximumFiles else {
                throw .failed("copy", path.shown, .fileTooBig, detail: "more than \(Self.maximumFiles) files")
            }
            do throws(KernelError) {
                try copy(entry.nameBytes, source, target, path, depth)
            } catch {
                throw error.object.hasPrefix("/") && error.operation == "copy"
                    ? error : .failed("copy", path.shown, error.errno, detail: error.description)
            }
        }
    }

    private mutating func copy(
        _ name: [UInt8],
        _ source: borrowing RootedDir,
        _ target: borrowing RootedDir,
        _ path: [UInt8],
        _ depth: Int
    ) throws(KernelError) {
        let status = try source.stat(name)
        switch status.kind {
        case .directory:
            try target.mkdir(name, mode: 0o700)
            guard !status.isMountRoot else { break }
            let inner = try target.subdirectory(name)
            try content(
                RootedDir(adopting: try source.openWithoutLinks(name, [.path, .directory])),
                inner,
                path,
                depth: depth + 1
            )
        case .regular where status.isMountRoot: return _ = try target.create(name)
        case .regular:
            let number = FileNumber(device: status.device, inode: status.inode)
            if status.linkCount > 1 {
                if let first = copies[number] { return try destination.link(path, toExisting: first) }
                copies[number] = path
            }
            let file = try source.openWithoutLinks(name, [.read, .nonBlocking, .noControllingTerminal])
            guard try file.status().isRegular else { throw .failed("copy", path.shown, .busy, detail: "it changes") }
            let new = try target.create(name, mode: 0o600)
            while true {
                let bytes = try file.read(upTo: 1 << 17)
                if bytes.isEmpty { break }
                try new.writeAll(bytes)
            }
        case .symbolicLink: try target.symlink(name, to: try source.readlink(name))
        case .characterDevice, .blockDevice, .fifo, .socket:
            guard let kind = status.kind else { break }
            try target.mknod(name, kind, permissions: status.permissions, device: status.representedDevice)
        case nil: throw .failed("copy", path.shown, .notSupported, detail: "of a kind that is not known")
        }
        try finish(name, status, source, target, path)
    }

    /// Owner first, which takes set-id bits and capabilities away; the times last.
    private func finish(
        _ name: [UInt8],
        _ status: FileStatus,
        _ source: borrowing RootedDir,
        _ target: borrowing RootedDir,
        _ path: [UInt8]
    ) throws(KernelError) {
        try target.chown(name, uid: status.uid, gid: status.gid)
        switch status.kind {
        case .directory: try target.open(name, [.directory, .noFollow]).changeMode(status.permissions)
        case .regular: try target.open(name, [.noFollow, .nonBlocking]).changeMode(status.permissions)
        default: break
        }
        try attributes(of: name, source, target, path)
        try target.utimes(name, accessed: .set(status.accessed), modified: .set(status.modified))
    }

    private func attributes(
        of name: [UInt8],
        _ source: borrowing RootedDir,
        _ target: borrowing RootedDir,
        _ path: [UInt8]
    ) throws(KernelError) {
        try WorkingDirectory.change(to: source.raw)
        var values: [(name: String, value: [UInt8])] = []
        for attribute in try NamedAttributes.names(of: name) {
            do throws(KernelError) {
                if let value = try NamedAttributes.value(attribute, of: name) { values.append((attribute, value)) }
            } catch  where error.errno == .overflow {
                // Capabilities that nobody in this user namespace could have used.
                continue
            }
        }
        guard !values.isEmpty else { return }
        try WorkingDirectory.change(to: target.raw)
        for (attribute, value) in values { try NamedAttributes.set(attribute, value, of: name) }
    }
}

extension [UInt8] {
    /// For messages.
    fileprivate var shown: String { String(decoding: self, as: UTF8.self) }
}
