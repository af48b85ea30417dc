public import Archive
internal import Kernel
internal import OCISpec

/// An image that is to be written into an archive, with the names that it gets there.
public struct ExportedImage: Sendable {
    /// The image.
    public var image: Image
    /// Its names; empty writes it without one.
    public var references: [ImageReference]

    /// Creates a value.
    public init(image: Image, references: [ImageReference]) {
        self.image = image
        self.references = references
    }
}

extension ContentStore {
    /// Writes images as an archive that `docker load` and readers of OCI image layouts both take.
    ///
    /// The layers are written as they are stored, each blob once. Nothing but the piece in hand is kept in memory.
    ///
    /// - Parameters:
    ///   - images: What is written, in this order.
    ///   - write: Takes the next bytes of the archive; what it throws ends the export.
    /// - Throws: `notFound` for a blob that is gone; what `write` throws.
    public func exportArchive(
        _ images: [ExportedImage],
        to write: (ArraySlice<UInt8>) throws(ArchiveError) -> Void
    ) throws(ContentError) {
        let hold = hold()
        defer { withExtendedLifetime(hold) {} }
        var written = Set<Digest>()
        for image in images.map(\.image) {
            for descriptor in [image.descriptor, image.manifest.config] + image.manifest.layers {
                guard written.insert(descriptor.digest).inserted else { continue }
                try export(descriptor, write)
            }
        }
        try export(ImageLayout.fileName, try ImageDocuments.encode(ImageLayout(), "layout"), write)
        try export(ImageLayout.indexFileName, try ImageDocuments.encode(ContentStore.index(images), "index"), write)
        let manifest = try ImageDocuments.encode(images.map(ContentStore.item), "manifest")
        try export(DockerImport.manifestName, manifest, write)
        try passing("end", write, TarWriter.end[...])
    }

    private static func index(_ images: [ExportedImage]) -> ImageIndex {
        var entries: [ImageDescriptor] = []
        for image in images {
            if image.references.isEmpty { entries.append(entry(image.image.descriptor, nil)) }
            for reference in image.references.map(\.tagged) {
                var entry = entry(image.image.descriptor, reference)
                // Docker's readers want the bare tag in this annotation, and the full name in the other.
                entry.annotations?[ImageLayout.referenceNameAnnotation] = reference.tag
                entries.append(entry)
            }
        }
        return ImageIndex(mediaType: MediaType.index, manifests: entries)
    }

    private static func item(_ image: ExportedImage) -> DockerImport.Item {
        func path(_ digest: Digest) -> String { "blobs/\(digest.algorithm.rawValue)/\(digest.hex)" }
        return DockerImport.Item(
            config: path(image.image.manifest.config.digest),
            repoTags: image.references.map(\.tagged).filter { $0.tag != nil }.map(\.familiar),
            layers: image.image.manifest.layers.map { path($0.digest) }
        )
    }

    private func export(
        _ descriptor: ImageDescriptor,
        _ write: (ArraySlice<UInt8>) throws(ArchiveError) -> Void
    ) throws(ContentError) {
        let file = SharedDescriptor(try open(descriptor.digest))
        let size = try size(of: descriptor.digest)
        let path = blobName(descriptor.digest)
        try passing(path, write, TarWriter.header(TarEntry(path: path.utf8, kind: .file, size: size))[...])
        let source = DescriptorSource(file, name: "blob \(descriptor.digest)")
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        var left = size
        while left > 0 {
            let count: Int
            do throws(ArchiveError) { count = try source.read(into: &buffer) } catch { throw .failed("export", error) }
            guard count > 0, Int64(count) <= left else { throw .mismatch(descriptor.digest, "changed its size") }
            left -= Int64(count)
            try passing(path, write, buffer[..<count])
        }
        try passing(path, write, TarWriter.padding(after: size)[...])
    }

    private func export(
        _ name: String,
        _ bytes: [UInt8],
        _ write: (ArraySlice<UInt8>) throws(ArchiveError) -> Void
    ) throws(ContentError) {
        let header = TarWriter.header(TarEntry(path: name.utf8, kind: .file, size: Int64(bytes.count)))
        try passing(name, write, (header + bytes + TarWriter.padding(after: Int64(bytes.count)))[...])
    }

    private func passing(
        _ what: String,
        _ write: (ArraySlice<UInt8>) throws(ArchiveError) -> Void,
        _ bytes: ArraySlice<UInt8>
    ) throws(ContentError) {
        do throws(ArchiveError) { try write(bytes) } catch { throw .failed("write '\(what)' of image archive", error) }
    }
}
