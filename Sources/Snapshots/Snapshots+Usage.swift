internal import Kernel

extension Snapshots {
    private struct FileID: Hashable {
        var device: DeviceNumber
        var inode: UInt64
    }

    /// Adds up a tree without following links or entering other file systems.
    func usage(of name: String) throws(SnapshotError) -> Usage {
        do throws(KernelError) {
            let top = try File.open(name, [.read, .directory, .noFollow], at: root.raw)
            var usage = Usage()
            var seen = Set<FileID>()
            usage.bytes = try top.status().allocatedSize
            try add(top, 512, &usage, &seen)
            return usage
        } catch {
            if error.errno == .noEntry { throw .notFound("no snapshot '\(path)/\(name)'") }
            if error.errno == .nameTooLong { throw .overLimit("'\(path)/\(name)' is too deep to walk") }
            throw .failed("walk '\(path)/\(name)'", error)
        }
    }

    private func add(
        _ folder: borrowing Descriptor,
        _ depth: Int,
        _ usage: inout Usage,
        _ seen: inout Set<FileID>
    ) throws(KernelError) {
        guard depth > 0 else { throw .failed("walk", .nameTooLong) }
        let directory = RootedDir(adopting: try folder.duplicate())
        for entry in try folder.readDirectory() {
            // A container that runs may remove a name between the listing and the question.
            guard let status = try? directory.stat(entry.nameBytes) else { continue }
            usage.entries += 1
            let isNew =
                status.linkCount < 2 || status.isDirectory
                || seen.insert(FileID(device: status.device, inode: status.inode)).inserted
            if isNew { usage.bytes += status.allocatedSize }
            guard status.isDirectory, !status.isMountRoot else { continue }
            guard let child = try? directory.open(entry.nameBytes, [.read, .directory, .noFollow]) else { continue }
            try add(child, depth - 1, &usage, &seen)
        }
    }
}
