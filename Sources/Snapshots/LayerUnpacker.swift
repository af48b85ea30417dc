internal import Archive
internal import Kernel

/// Applies the members of one layer to an empty directory, in overlayfs' form.
///
/// Everything is reached through the target's descriptor: a member's parent is resolved once inside the target, and the name
/// itself is never followed. What a member cannot do, whatever it says: leave the target, reach a layer below, make a name
/// that overlayfs would take for a whiteout, set attributes that overlayfs obeys.
final class LayerUnpacker {
    /// A directory that members are made in, with the time that it shall keep.
    private final class Folder {
        let path: [UInt8]
        let directory: RootedDir
        let modified: Timestamp

        init(_ path: [UInt8], _ directory: consuming RootedDir) throws(KernelError) {
            self.path = path
            modified = try directory.status().modified
            self.directory = directory
        }
    }

    private static let whiteoutPrefix = Array(".wh.".utf8)
    private static let opaqueName = Array(".wh..wh..opq".utf8)
    private static let metadataPrefix = Array(".wh..wh.".utf8)

    private let target: RootedDir
    private let merged: MergedTree
    private let limits: Snapshots.Limits
    /// Layers come directory by directory, so the last parent is nearly always the next one.
    private var current: Folder?
    private var entries = 0

    /// Whether the layer hides everything below it.
    private(set) var isOpaque = false
    /// Whether opaque directories are marked for overlays in user namespaces, too.
    private(set) var isMarkedForUsers = true

    init(target: consuming RootedDir, lowers: [LowerLayer], limits: Snapshots.Limits) throws(SnapshotError) {
        let own = try kernel("open layer directory") { [raw = target.raw] () throws(KernelError) in
            try BorrowedDescriptor(raw).duplicate()
        }
        merged = MergedTree(target: RootedDir(adopting: own), lowers: lowers, depth: limits.depth)
        self.target = target
        self.limits = limits
    }

    /// Reads a whole layer.
    func unpack(_ source: any ByteSource) throws(SnapshotError) {
        let reader = TarReader(source)
        while let entry = try next(reader) {
            entries += 1
            guard entries <= limits.entries else { throw .overLimit("more than \(limits.entries) members") }
            try apply(entry, reader)
        }
        try leaveFolder()
    }

    private func next(_ reader: TarReader) throws(SnapshotError) -> TarEntry? {
        do throws(ArchiveError) { return try reader.next() } catch { throw .failed("read", error) }
    }

    /// Which extended attributes a layer may set.
    static func isAllowed(attribute name: String) -> Bool {
        if name == "security.capability" { return true }
        return name.hasPrefix("user.") && !name.hasPrefix("user.overlay.") && name.utf8.count <= 255
    }

    private func apply(_ entry: TarEntry, _ reader: TarReader) throws(SnapshotError) {
        var components = try split(entry.pathBytes, "member")
        guard let name = components.popLast() else {
            guard entry.kind == .directory else { throw .invalid("the root of the layer is no directory") }
            try leaveFolder()
            return try on(entry) { () throws(KernelError) in try setAttributes(of: target.openPath("."), entry) }
        }
        if name.starts(with: LayerUnpacker.whiteoutPrefix) {
            // Some writers list the former content of a directory that became a file; that file hides it already.
            guard let folder = try find(components) else { return }
            return try whiteOut(name, in: folder, entry)
        }
        let folder = try enter(components)
        switch entry.kind {
        case .file: try makeFile(name, in: folder, entry, reader)
        case .directory: try makeDirectory(name, in: folder, entry)
        case .hardLink: try makeHardLink(name, in: folder, entry)
        case .characterDevice(0, 0): throw .invalid("member '\(entry.path)' is a whiteout in overlayfs' form")
        default:
            try on(entry) { () throws(KernelError) in
                try replacing(name, in: folder) { () throws(KernelError) in try makeNode(name, in: folder, entry) }
                try setAttributes(of: folder.directory.openPath(name), entry)
            }
        }
    }

    /// Takes a path apart.
    ///
    /// What is absolute starts at the layer's root; what climbs is refused, no honest writer has it.
    private func split(_ path: [UInt8], _ what: String) throws(SnapshotError) -> [[UInt8]] {
        let components = path.split(separator: UInt8(ascii: "/")).map { Array($0) }.filter { $0 != Array(".".utf8) }
        let text = String(decoding: path, as: UTF8.self)
        guard !components.contains(Array("..".utf8)) else { throw .invalid("\(what) '\(text)' climbs with '..'") }
        guard components.count <= limits.depth else {
            throw .overLimit("\(what) '\(text)' is deeper than \(limits.depth)")
        }
        guard !components.dropLast().contains(where: { $0.starts(with: LayerUnpacker.whiteoutPrefix) }) else {
            throw .invalid("\(what) '\(text)' is below a whiteout")
        }
        return components
    }

    // Parents -----------------------------------------------------------------------------------------------------------

    /// The directory for members, made with its parents where the layer has none of its own.
    private func enter(_ components: [[UInt8]]) throws(SnapshotError) -> Folder {
        if let folder = try find(components) { return folder }
        let path = String(decoding: Array(components.joined(separator: [UInt8(ascii: "/")])), as: UTF8.self)
        throw .invalid("'\(path)' has a member and is no directory")
    }

    /// The same; nil when the layer has something else there.
    private func find(_ components: [[UInt8]]) throws(SnapshotError) -> Folder? {
        let path = Array(components.joined(separator: [UInt8(ascii: "/")]))
        if let current, current.path == path { return current }
        try leaveFolder()
        let folder: Folder? = try on(path) { () throws(KernelError) in
            let place = path.isEmpty ? Array(".".utf8) : path
            do throws(KernelError) {
                return try Folder(path, target.subdirectory(place))
            } catch  where error.errno == .noEntry || error.errno == .notDirectory {
                do throws(KernelError) { return try Folder(path, merged.makeDirectories(components)) } catch
                    where error.errno == .notDirectory
                {
                    return nil
                }
            }
        }
        current = folder
        return folder
    }

    /// What was made in a directory changed its time, which the archive or the layer below had set.
    private func leaveFolder() throws(SnapshotError) {
        guard let folder = current else { return }
        current = nil
        try on(folder.path) { () throws(KernelError) in
            try folder.directory.changeTimes(accessed: .keep, modified: .set(folder.modified))
        }
    }

    // Members -----------------------------------------------------------------------------------------------------------

    private func whiteOut(_ name: [UInt8], in folder: Folder, _ entry: TarEntry) throws(SnapshotError) {
        guard entry.kind == .file || entry.kind == .hardLink, entry.size == 0 else {
            throw .invalid("whiteout '\(entry.path)' is no empty file")
        }
        if name == LayerUnpacker.opaqueName {
            if folder.path.isEmpty { isOpaque = true }
            return try on(entry) { () throws(KernelError) in
                try mark(folder.directory.openPath("."))
            }
        }
        // Other names of that form are the bookkeeping of a file system that is gone; no file of the layer is called so.
        if name.starts(with: LayerUnpacker.metadataPrefix) { return }
        let hidden = Array(name.dropFirst(LayerUnpacker.whiteoutPrefix.count))
        guard !hidden.isEmpty, hidden != Array(".".utf8), hidden != Array("..".utf8) else {
            throw .invalid("whiteout '\(entry.path)' of no name")
        }
        try on(entry) { () throws(KernelError) in
            do throws(KernelError) {
                try folder.directory.mknod(hidden, .characterDevice, permissions: 0)
            } catch  where error.errno == .exists {
                // A whiteout is about the layers below only, and what this layer has of that name stays.
                let own = try folder.directory.openPath(hidden)
                if try own.status().isDirectory {
                    try mark(own)
                }
            }
        }
    }

    private func mark(_ directory: borrowing Descriptor) throws(KernelError) {
        if try !OpaqueMark.set(on: directory) { isMarkedForUsers = false }
    }

    private func makeFile(
        _ name: [UInt8],
        in folder: Folder,
        _ entry: TarEntry,
        _ reader: TarReader
    ) throws(SnapshotError) {
        let file = try on(entry) { () throws(KernelError) in
            do throws(KernelError) { return try folder.directory.create(name, mode: 0o600) } catch
                where error.errno == .exists
            {
                try clear(name, in: folder)
                return try folder.directory.create(name, mode: 0o600)
            }
        }
        while let data = try content(reader) {
            do throws(KernelError) { try file.writeAll(data) } catch { throw .failed("write '\(entry.path)'", error) }
        }
        do throws(KernelError) { try setAttributes(of: file, entry) } catch { throw .failed("'\(entry.path)'", error) }
    }

    private func content(_ reader: TarReader) throws(SnapshotError) -> ArraySlice<UInt8>? {
        do throws(ArchiveError) { return try reader.nextData() } catch { throw .failed("read", error) }
    }

    /// A directory that is there gets new attributes and keeps what is in it.
    private func makeDirectory(_ name: [UInt8], in folder: Folder, _ entry: TarEntry) throws(SnapshotError) {
        try on(entry) { () throws(KernelError) in
            do throws(KernelError) { try folder.directory.mkdir(name, mode: 0o700) } catch  where error.errno == .exists
            {
                if try !folder.directory.stat(name).isDirectory {
                    // A file or a whiteout of this layer hid what is below, and the directory in its place does too.
                    try clear(name, in: folder)
                    try folder.directory.mkdir(name, mode: 0o700)
                    try mark(folder.directory.openPath(name))
                }
            }
            try setAttributes(of: folder.directory.openPath(name), entry)
        }
    }

    /// The target of a hard link is a path from the layer's root; a symbolic link at its end is meant itself.
    private func makeHardLink(_ name: [UInt8], in folder: Folder, _ entry: TarEntry) throws(SnapshotError) {
        let components = try split(entry.linkTarget, "link target")
        guard components.last?.starts(with: LayerUnpacker.whiteoutPrefix) == false else {
            throw .invalid("link '\(entry.path)' to a whiteout or to the root")
        }
        let existing = Array(components.joined(separator: [UInt8(ascii: "/")]))
        try on(entry) { () throws(KernelError) in
            let status = try target.stat(existing)
            guard !status.isDirectory, !MergedTree.isWhiteout(status) else {
                throw .failed("link to", String(decoding: existing, as: UTF8.self), .isDirectory)
            }
            // The folder may be reached by several paths, so whether both names are one file is asked of the files.
            if let own = try? folder.directory.stat(name), own.inode == status.inode, own.device == status.device {
                return
            }
            // Resolving from the target on both sides keeps the call on one root.
            let new = folder.path.isEmpty ? name : folder.path + [UInt8(ascii: "/")] + name
            let path = try merged.path(new)
            try replacing(name, in: folder) { () throws(KernelError) in try target.link(path, toExisting: existing) }
        }
    }

    private func makeNode(_ name: [UInt8], in folder: Folder, _ entry: TarEntry) throws(KernelError) {
        switch entry.kind {
        case .symbolicLink: try folder.directory.symlink(name, to: entry.linkTarget)
        case .fifo: try folder.directory.mknod(name, .fifo, permissions: 0o600)
        case .characterDevice(let major, let minor):
            let device = DeviceNumber(major: major, minor: minor)
            try folder.directory.mknod(name, .characterDevice, permissions: 0o600, device: device)
        case .blockDevice(let major, let minor):
            let device = DeviceNumber(major: major, minor: minor)
            try folder.directory.mknod(name, .blockDevice, permissions: 0o600, device: device)
        case .file, .directory, .hardLink: break
        }
    }

    /// Makes a name, and once more after removing what this layer has there.
    private func replacing(
        _ name: [UInt8],
        in folder: Folder,
        _ make: () throws(KernelError) -> Void
    ) throws(KernelError) {
        do throws(KernelError) { try make() } catch  where error.errno == .exists {
            try clear(name, in: folder)
            try make()
        }
    }

    private func clear(_ name: [UInt8], in folder: Folder) throws(KernelError) {
        _ = try folder.directory.removeTree(name)
    }

    /// Owner first, because it takes set-id bits and capabilities away; times last.
    private func setAttributes(of file: borrowing Descriptor, _ entry: TarEntry) throws(KernelError) {
        try file.changeOwner(uid: entry.uid, gid: entry.gid)
        if entry.kind != .symbolicLink {
            try file.changeMode(entry.mode)
            for attribute in entry.attributes where LayerUnpacker.isAllowed(attribute: attribute.name) {
                // Devices and pipes have no attributes of users; nothing depends on them there.
                guard entry.kind == .file || entry.kind == .directory else { continue }
                try file.setExtendedAttribute(attribute.name, attribute.value)
            }
        }
        let time = Timestamp(seconds: entry.modified.seconds, nanoseconds: entry.modified.nanoseconds)
        try file.changeTimes(accessed: .set(time), modified: .set(time))
    }

    private func on<Result: ~Copyable>(
        _ entry: TarEntry,
        _ body: () throws(KernelError) -> Result
    ) throws(SnapshotError) -> Result {
        try on(entry.pathBytes, body)
    }

    private func on<Result: ~Copyable>(
        _ path: [UInt8],
        _ body: () throws(KernelError) -> Result
    ) throws(SnapshotError) -> Result {
        do throws(KernelError) { return try body() } catch {
            let path = String(decoding: path, as: UTF8.self)
            switch error.errno {
            case .notDirectory, .tooManyLinks, .noEntry, .invalid, .exists, .isDirectory, .outOfRange:
                throw .invalid("member '\(path)': \(error)")
            case .nameTooLong, .argumentListTooLong: throw .overLimit("member '\(path)': \(error)")
            default: throw .failed("member '\(path)'", error)
            }
        }
    }
}
