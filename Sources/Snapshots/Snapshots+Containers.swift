internal import Kernel
internal import OCISpec
internal import Synchronization

extension Snapshots {
    /// Makes `containers/<id>`, or finds it.
    func makeContainer(_ id: String, _ chainID: Digest?) throws(SnapshotError) -> [Mount] {
        try Snapshots.verify(id)
        if File.exists("containers/" + id, at: root.raw) {
            guard try self.chainID(container: id) == chainID else {
                throw .exists("container '\(id)' has a snapshot of another image")
            }
            return try mounts(id, chainID)
        }
        let temporary = "ingest/" + Random.hex(16)
        do throws(SnapshotError) {
            let folder = try make(temporary)
            try kernel("make snapshot of container '\(id)'") { () throws(KernelError) in
                for name in ["upper", "work"] { try File.makeDirectory(name, at: folder.raw) }
                try File.open("work", [.path, .directory, .noFollow], at: folder.raw).changeMode(0o700)
            }
            try copyRoot(of: try chain(chainID).first, to: folder)
            try kernel("make snapshot of container '\(id)'") { () throws(KernelError) in
                try folder.setExtendedAttribute(Snapshots.chainAttribute, Array((chainID?.description ?? "").utf8))
                try File.rename(temporary, to: "containers/" + id, at: root.raw)
            }
        } catch {
            // What is left of it goes when the directory is opened; the first error is what matters.
            _ = try? discard(temporary)
            throw error
        }
        return try mounts(id, chainID)
    }

    func mounts(_ id: String, _ chainID: Digest?) throws(SnapshotError) -> [Mount] {
        var lower = try chain(chainID).map { "\(path)/\(layerPath($0.chainID))/fs" }
        // overlayfs wants at least one; an image without layers stands on an empty directory.
        if lower.isEmpty { lower = [path + "/" + (try emptyLayer())] }
        let container = "\(path)/containers/\(id)"
        let options = [
            "lowerdir=" + lower.joined(separator: ":"), "upperdir=\(container)/upper", "workdir=\(container)/work",
        ]
        return [Mount(type: "overlay", source: "overlay", options: options)]
    }

    /// The root of an overlay shows what its upper directory is like, so that starts as the topmost layer's root.
    private func copyRoot(of top: LayerRecord?, to folder: borrowing Descriptor) throws(SnapshotError) {
        try kernel("make upper directory") { () throws(KernelError) in
            let upper = try File.open("upper", [.path, .directory, .noFollow], at: folder.raw)
            guard let top else { return try upper.changeMode(0o755) }
            let source = try File.open("\(layerPath(top.chainID))/fs", [.path, .directory, .noFollow], at: root.raw)
            let status = try source.status()
            try upper.changeOwner(uid: status.uid, gid: status.gid)
            try upper.changeMode(status.permissions)
            for name in try source.extendedAttributeNames() where LayerUnpacker.isAllowed(attribute: name) {
                if let value = try source.extendedAttribute(name) { try upper.setExtendedAttribute(name, value) }
            }
            try upper.changeTimes(accessed: .keep, modified: .set(status.modified))
        }
    }

    private func emptyLayer() throws(SnapshotError) -> String {
        try kernel("make empty layer") { () throws(KernelError) in
            for name in ["layers/empty", "layers/empty/fs"] {
                do throws(KernelError) { try File.makeDirectory(name, at: root.raw) } catch
                    where error.errno == .exists
                {}
            }
            try File.open("layers/empty/fs", [.path, .directory, .noFollow], at: root.raw).changeMode(0o755)
            return "layers/empty/fs"
        }
    }

    /// Makes a private directory.
    func make(_ name: String) throws(SnapshotError) -> Descriptor {
        try kernel("make '\(path)/\(name)'") { () throws(KernelError) in
            try File.makeDirectory(name, at: root.raw)
            let folder = try File.open(name, [.read, .directory, .noFollow], at: root.raw)
            try folder.changeMode(0o700)
            return folder
        }
    }

    /// Moves something out of sight and removes it, and with it what earlier calls could not remove.
    ///
    /// A call that failed may be repeated: it fails until nothing is left.
    /// - Returns: False when it was not there.
    func discard(_ name: String) throws(SnapshotError) -> Bool {
        while let left = shared.withLock({ $0.left.popFirst() }) { try removeHidden(left) }
        guard File.exists(name, at: root.raw) else { return false }
        let hidden = Random.hex(16)
        try hide(name, as: hidden)
        try removeHidden(hidden)
        return true
    }

    private func removeHidden(_ name: String) throws(SnapshotError) {
        do {
            try kernel("remove '\(path)/trash/\(name)'") { () throws(KernelError) in _ = try trash().removeTree(name) }
        } catch {
            shared.withLock { _ = $0.left.insert(name) }
            throw error
        }
    }

    func hide(_ name: String, as hidden: String) throws(SnapshotError) {
        try kernel("remove '\(path)/\(name)'") { () throws(KernelError) in
            try File.rename(name, to: "trash/" + hidden, at: root.raw)
        }
    }

    func emptyTrash() throws(SnapshotError) {
        try kernel("empty '\(path)/trash'") { () throws(KernelError) in try trash().removeContents() }
    }

    private func trash() throws(KernelError) -> RootedDir {
        RootedDir(adopting: try File.open("trash", [.path, .directory, .noFollow], at: root.raw))
    }
}
