import Archive
package import ContentStore
package import EngineModel
import Kernel
import OCISpec
import Seccomp
import ShimProtocol
package import Snapshots

/// The images of one engine and the file systems made of them.
///
/// Every method blocks and runs on the blocking pool.
package final class ImageService: Sendable {
    package let content: ContentStore
    package let snapshots: Snapshots

    package init(_ paths: Paths) throws {
        content = try ContentStore(path: paths.content)
        snapshots = try Snapshots(path: paths.snapshots)
    }

    /// Where the list of images is set aside when it cannot be read; nothing is collected until somebody has removed it.
    package var damagedIndex: String { "\(content.path)/index.json.damaged" }

    /// The image that a client means: by name, else by id or the beginning of one.
    package func find(_ text: String) throws -> StoredImage {
        let stored = try content.images()
        if let reference = try? ImageReference(parsing: text) {  // what is no name may still be an id
            if let digest = reference.digest {
                if let found = stored.first(where: { image in
                    image.image.descriptor.digest == digest && image.references.contains { $0.name == reference.name }
                }) {
                    return found
                }
            } else if let found = stored.first(where: { $0.references.contains(reference.tagged) }) {
                return found
            }
        }
        let hex = text.hasPrefix("sha256:") ? String(text.dropFirst(7)) : text
        guard !hex.isEmpty, hex.utf8.count <= 64, HexIdentifier.isHex(hex) else { throw EngineError.noSuchImage(text) }
        do {
            return try content.image(id: hex)
        } catch {
            throw error.code == .notFound ? EngineError.noSuchImage(text) : EngineError(error.code, error.message)
        }
    }

    // Containers ------------------------------------------------------------------------------------------------------

    /// Makes the writable file system of a container.
    package func makeWritable(_ id: ContainerID, on image: Image) throws {
        _ = try snapshots.prepare(container: id.description, image: image, from: content)
    }

    /// Tells of a layer's blob that could not be unpacked because its bytes are not as they were.
    package func blame(_ error: any Error, _ damage: DamageLog) {
        guard let blob = (error as? SnapshotError)?.blob else { return }
        // What cannot be looked at now is not known to be damaged.
        guard let found = try? content.setAsideIfDamaged(blob) else { return }
        damage.tell("'\(found.path)'", found.reason, movedTo: found.place)
    }

    package func removeWritable(_ id: ContainerID) throws {
        try snapshots.remove(container: id.description)
    }

    /// The mounts that make the root file system; with `mapsOwners` root's files on disk are those of the container's root.
    func rootMounts(_ id: ContainerID, mapsOwners: Bool) throws -> [ContainerdMount] {
        try snapshots.mounts(container: id.description).map { mount in
            var result = ContainerdMount()
            result.type = mount.type
            result.source = mount.source
            result.options = mount.options + (mapsOwners ? ["idmap"] : [])
            return result
        }
    }

    /// Makes a volume that is not there yet, with what the container's image has at `destination`.
    func makeVolume(_ folder: String, for destination: String, container: ContainerID, copying: Bool) throws {
        let mounts = try snapshots.mounts(container: container.description)
        try VolumeSeeder.make(folder, for: destination, on: mounts, copying: copying)
    }

    /// Looks at what is read only when it is needed; what is not as it was written is told of.
    func examine(_ damage: DamageLog, seccomp: SeccompCache) {
        do {
            for found in try content.examine() {
                damage.tell("'\(found.path)'", found.reason, movedTo: found.place)
            }
            for found in try snapshots.examine() {
                damage.tell("'\(found.path)'", found.reason, movedTo: found.place)
            }
        } catch {
            damage.tell("the store of images", "\(error)")
        }
        seccomp.examine()
    }

    package func writableSize(_ id: ContainerID) throws -> Int64 {
        try snapshots.usage(container: id.description).bytes
    }
}
