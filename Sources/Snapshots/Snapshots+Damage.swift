internal import DocumentTexts
internal import Kernel
internal import OCISpec

/// Something in a store that is not as it was written.
public struct SnapshotDamage: Sendable {
    /// Of the file.
    public let path: String
    /// What is wrong with it.
    public let reason: String
    /// Where it is now; nil where it was.
    public let place: String?
}

extension Snapshots {
    /// Looks whether the records of all layers are as they were written; one that is not is set aside and made anew from its copy, and
    /// a copy from its record.
    ///
    /// - Returns: Those that were not.
    /// - Throws: The class of the failed system call.
    public func examine() throws(SnapshotError) -> [SnapshotDamage] {
        var damages: [SnapshotDamage] = []
        for chainID in try layers() {
            for (name, other) in [
                (Snapshots.layerRecordName, Snapshots.layerCopyName),
                (Snapshots.layerCopyName, Snapshots.layerRecordName),
            ] {
                if let damage = try examine(chainID, name, other) { damages.append(damage) }
            }
        }
        return damages
    }

    private func examine(_ chainID: Digest, _ name: String, _ other: String) throws(SnapshotError) -> SnapshotDamage? {
        var damage: SnapshotDamage?
        do throws(SnapshotError) {
            _ = try record("\(layerPath(chainID))/\(name)", chainID)
            return nil
        } catch  where error.code == .invalidArgument {
            let own = "\(path)/\(layerPath(chainID))/\(name)"
            let place = try kernel("set '\(own)' aside") { () throws(KernelError) in try DamagedFile.moveAside(own) }
            damage = SnapshotDamage(path: own, reason: error.message, place: place)
        } catch  where error.code == .notFound {}
        // When both are gone the layer cannot be used, and whoever wants to is told.
        guard let record = try? record("\(layerPath(chainID))/\(other)", chainID) else { return damage }
        let folder = try kernel("open layer \(chainID)") { () throws(KernelError) in
            try File.open(layerPath(chainID), [.read, .directory, .noFollow], at: root.raw)
        }
        try Snapshots.write(record, name, in: folder)
        return damage
    }
}
