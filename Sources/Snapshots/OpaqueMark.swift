internal import Kernel
internal import OCISpec
internal import Synchronization

/// What tells overlayfs that a directory of a layer hides those of its name in the layers below.
///
/// Two attributes say the same: an overlay that is mounted inside a user namespace reads `user.…` only (its option `userxattr`), one
/// that the host mounts reads `trusted.…` only. A layer has both, because containers with and without a user namespace share it.
/// The upper directory of a container has the one that its own overlay writes, and the other one there is the container's own data.
enum OpaqueMark {
    static let host = "trusted.overlay.opaque"
    static let user = "user.overlay.opaque"
    private static let value = Array("y".utf8)

    /// Marks a directory of a layer.
    ///
    /// - Returns: False when the file system has no attributes of users: no overlay in a user namespace works there anyway.
    static func set(on directory: borrowing Descriptor) throws(KernelError) -> Bool {
        try directory.setExtendedAttribute(host, value)
        do throws(KernelError) { try directory.setExtendedAttribute(user, value) } catch
            where error.errno == .notSupported
        {
            return false
        }
        return true
    }

    /// Whether a directory of a layer hides what is below it.
    static func isSet(on directory: borrowing Descriptor) throws(KernelError) -> Bool {
        // A layer that was unpacked by an earlier version has the first one alone.
        try directory.extendedAttribute(host) == value
    }

    /// Gives every marked directory in a tree the second mark.
    ///
    /// - Returns: False when the file system has no attributes of users.
    static func complete(_ folder: borrowing Descriptor, depth: Int = 4096) throws(KernelError) -> Bool {
        if try isSet(on: folder), try !set(on: folder) { return false }
        guard depth > 0 else { throw .failed("walk", .nameTooLong) }
        for entry in try folder.readDirectory() where entry.kind == .directory {
            let child = try RootedDir(adopting: folder.duplicate()).open(
                entry.nameBytes,
                [.read, .directory, .noFollow]
            )
            guard try complete(child, depth: depth - 1) else { return false }
        }
        return true
    }
}

extension Snapshots {
    /// Version of layers whose opaque directories have both marks.
    static let markedLayerVersion = 2

    /// Brings a layer that an earlier version unpacked to the present form; done once, and again after a crash in the middle.
    func completeMarks(_ chainID: Digest) throws(SnapshotError) {
        guard shared.withLock({ $0.marked.insert(chainID.hex).inserted }) else { return }
        var record = try layer(chainID)
        guard record.version < Snapshots.markedLayerVersion else { return }
        let path = layerPath(chainID)
        let folder = try kernel("open layer \(chainID)") { () throws(KernelError) in
            try File.open(path, [.read, .directory, .noFollow], at: root.raw)
        }
        let isComplete = try kernel("mark opaque directories of layer \(chainID)") { () throws(KernelError) in
            try OpaqueMark.complete(File.open("fs", [.read, .directory, .noFollow], at: folder.raw))
        }
        guard isComplete else { return }
        record.version = Snapshots.markedLayerVersion
        try Snapshots.write(record, in: folder)
    }
}
