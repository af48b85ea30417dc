internal import FoundationEssentials
internal import Kernel
public import OCISpec
internal import Synchronization

/// A promise that nothing is collected while it lives.
///
/// Whoever brings in blobs one by one takes it before the first and drops it when the index names them.
public final class ContentHold: Sendable {
    private let store: ContentStore

    fileprivate init(_ store: ContentStore) { self.store = store }

    deinit { store.shared.withLock { $0.holds -= 1 } }
}

// The list of images: `index.json`.
extension ContentStore {
    /// Annotation with an image's full name, which several tools share.
    static let imageNameAnnotation = "io.containerd.image.name"

    /// Keeps `collectGarbage` from doing anything while the value lives.
    public func hold() -> ContentHold {
        shared.withLock { $0.holds += 1 }
        return ContentHold(self)
    }

    /// All images with their names; each image of the same id and manifest once, in the order of the index.
    ///
    /// An entry whose blobs are damaged or missing is left out; `image(_:)` on its descriptor says why.
    public func images() throws(ContentError) -> [StoredImage] {
        try locked { (shared) throws(ContentError) in
            let entries = try readIndex().manifests
            var names: [Digest: [ImageReference]] = [:]
            for entry in entries {
                if let name = ContentStore.reference(of: entry) { names[entry.digest, default: []].append(name) }
            }
            var seen = Set<Digest>()
            return entries.compactMap { entry in
                guard seen.insert(entry.digest).inserted, let image = try? load(entry, &shared) else { return nil }
                let references = (names[entry.digest] ?? []).sorted { $0.description < $1.description }
                return StoredImage(image: image, references: references)
            }
        }
    }

    /// The image that a name stands for; a name without tag and digest means the default tag.
    ///
    /// - Throws: `notFound`; what is wrong with its documents.
    public func image(named reference: ImageReference) throws(ContentError) -> Image {
        try locked { (shared) throws(ContentError) in
            let wanted = reference.tagged
            let entries = try readIndex().manifests
            let entry =
                entries.first { ContentStore.reference(of: $0) == wanted }
                ?? entries.first { entry in
                    wanted.digest == entry.digest && ContentStore.reference(of: entry)?.name == wanted.name
                }
            guard let entry else { throw .notFound("No such image: \(wanted.familiar)") }
            return try load(entry, &shared)
        }
    }

    /// The image with an id or the beginning of one.
    ///
    /// - Parameter id: Hex digits of the configuration's digest, at least one, with or without `sha256:`.
    /// - Returns: The image with the names of all manifests that share the id.
    /// - Throws: `notFound`; `invalidArgument` when several images begin so.
    public func image(id: String) throws(ContentError) -> StoredImage {
        let prefix = id.hasPrefix("sha256:") ? String(id.dropFirst(7)) : id
        let found = try images().filter { !prefix.isEmpty && $0.image.id.hex.hasPrefix(prefix) }
        guard let first = found.first else { throw .notFound("No such image: \(id)") }
        guard found.allSatisfy({ $0.image.id == first.image.id }) else {
            throw .invalid("image id prefix '\(id)' is ambiguous")
        }
        let references = found.flatMap(\.references).sorted { $0.description < $1.description }
        return StoredImage(image: first.image, references: references)
    }

    /// Understands the image that a manifest's descriptor names; the descriptor need not be in the index.
    ///
    /// - Throws: `notFound` for a missing blob, `invalidArgument` for documents that lie, `unsupported` for types that are
    ///   no image.
    public func image(_ descriptor: ImageDescriptor) throws(ContentError) -> Image {
        try locked { (shared) throws(ContentError) in try load(descriptor, &shared) }
    }

    /// Gives an image a name, and takes it from the image that had it; that one stays, perhaps without a name.
    ///
    /// - Parameters:
    ///   - descriptor: The manifest, whose blobs are in the store.
    ///   - reference: The name; without tag and digest it means the default tag.
    /// - Throws: What `image(_:)` throws.
    public func tag(_ descriptor: ImageDescriptor, as reference: ImageReference) throws(ContentError) {
        try locked { (shared) throws(ContentError) in
            _ = try load(descriptor, &shared)
            try enter([(descriptor, [reference])])
        }
    }

    /// Takes a name away; the image stays in the index without a name when it was its last one.
    ///
    /// - Returns: The image's manifest, or nil when nothing has that name.
    @discardableResult
    public func untag(_ reference: ImageReference) throws(ContentError) -> ImageDescriptor? {
        try locked { (_) throws(ContentError) in
            let wanted = reference.tagged
            var index = try readIndex()
            guard let place = index.manifests.firstIndex(where: { ContentStore.reference(of: $0) == wanted }) else {
                return nil
            }
            let entry = index.manifests.remove(at: place)
            if !index.manifests.contains(where: { $0.digest == entry.digest }) {
                index.manifests.append(ContentStore.entry(entry, nil))
            }
            try writeIndex(index)
            return ContentStore.entry(entry, nil)
        }
    }

    /// Takes an image with all its names out of the index; its blobs go with the next `collectGarbage`.
    ///
    /// - Parameter id: Digest of the configuration.
    /// - Returns: The names that it had.
    /// - Throws: `notFound`.
    @discardableResult
    public func removeImage(id: Digest) throws(ContentError) -> [ImageReference] {
        try locked { (shared) throws(ContentError) in
            var index = try readIndex()
            let manifests = Set(index.manifests.map(\.digest)).filter { digest in
                guard let entry = index.manifests.first(where: { $0.digest == digest }) else { return false }
                return (try? load(entry, &shared))?.id == id
            }
            guard !manifests.isEmpty else { throw .notFound("No such image: \(id)") }
            let names = index.manifests.filter { manifests.contains($0.digest) }.compactMap(ContentStore.reference)
            index.manifests.removeAll { manifests.contains($0.digest) }
            try writeIndex(index)
            return names
        }
    }

    // Inside the critical section -------------------------------------------------------------------------------------

    /// Enters images under names; a name moves, and its old image stays.
    func enter(_ images: [(ImageDescriptor, [ImageReference])]) throws(ContentError) {
        var index = try readIndex()
        for (descriptor, references) in images {
            for reference in references.map(\.tagged) {
                if let place = index.manifests.firstIndex(where: { ContentStore.reference(of: $0) == reference }) {
                    let old = index.manifests.remove(at: place)
                    if old.digest != descriptor.digest, !index.manifests.contains(where: { $0.digest == old.digest }) {
                        index.manifests.append(ContentStore.entry(old, nil))
                    }
                }
                // An entry without a name has no use once the image has one.
                index.manifests.removeAll { $0.digest == descriptor.digest && ContentStore.reference(of: $0) == nil }
                index.manifests.append(ContentStore.entry(descriptor, reference))
            }
            if !index.manifests.contains(where: { $0.digest == descriptor.digest }) {
                index.manifests.append(ContentStore.entry(descriptor, nil))
            }
        }
        try writeIndex(index)
    }

    func load(_ descriptor: ImageDescriptor, _ shared: inout Shared) throws(ContentError) -> Image {
        if let image = shared.images[descriptor.digest] { return image }
        let documents = ImageDocuments(limits: limits) { (descriptor, limit) throws(ContentError) in
            let bytes = try self.read(descriptor.digest, limit: limit)
            guard Int64(bytes.count) == descriptor.size else {
                throw .mismatch(descriptor.digest, "has \(bytes.count) bytes, not \(descriptor.size)")
            }
            return bytes
        }
        let image = try documents.image(ContentStore.entry(descriptor, nil))
        shared.images[descriptor.digest] = image
        return image
    }

    func readIndex() throws(ContentError) -> ImageIndex {
        let bytes: [UInt8]
        do throws(KernelError) {
            bytes = try File.read(ContentStore.indexName, limit: 64 << 20, at: root.raw)
        } catch { throw .failed("read '\(path)/\(ContentStore.indexName)'", error) }
        return try ImageDocuments.decode(bytes, "'\(path)/\(ContentStore.indexName)'", nil)
    }

    func writeIndex(_ index: ImageIndex) throws(ContentError) {
        let bytes = try ImageDocuments.encode(index, "index")
        do throws(KernelError) {
            try writeChecks([try? File.read(ContentStore.indexName, limit: 64 << 20, at: root.raw), bytes])
            try File.writeAtomically(ContentStore.indexName, bytes, durable: true, at: root.raw)
        } catch { throw .failed("write '\(path)/\(ContentStore.indexName)'", error) }
    }

    /// Makes the index when it is not there; sets a damaged one aside.
    func openIndex() throws(ContentError) {
        if File.exists(ContentStore.indexName, at: root.raw) {
            if (try? readIndex()) != nil { return try checkIndex() }
            do throws(KernelError) {
                try File.rename(ContentStore.indexName, to: ContentStore.damagedIndexName, at: root.raw)
            } catch { throw .failed("set '\(path)/\(ContentStore.indexName)' aside", error) }
        }
        try writeIndex(ImageIndex(mediaType: MediaType.index))
    }

    /// The name in an entry; nil for none and for what is no name.
    static func reference(of entry: ImageDescriptor) -> ImageReference? {
        guard let name = entry.annotations?[imageNameAnnotation] else { return nil }
        return (try? ImageReference(parsing: name))?.tagged
    }

    static func entry(_ descriptor: ImageDescriptor, _ reference: ImageReference?) -> ImageDescriptor {
        var entry = ImageDescriptor(mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size)
        entry.annotations = reference.map {
            [imageNameAnnotation: $0.description, ImageLayout.referenceNameAnnotation: $0.description]
        }
        return entry
    }
}
