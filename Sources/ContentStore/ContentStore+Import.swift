public import Archive
internal import Kernel
public import OCISpec

/// An image that an import brought in.
public struct ImportedImage: Sendable, Equatable {
    /// The image; its blobs are in the store and its manifest is in the index.
    public let image: Image
    /// The names that it got, in full; empty when the archive has none.
    public let references: [ImageReference]
}

/// What an import takes and how it names it.
public struct ImportOptions: Sendable {
    /// Which manifest of an index is taken.
    public var platform = Platform.current
    /// A name for an archive's only image when the archive has none.
    public var reference: ImageReference?

    /// Creates the options; the defaults take this machine's platform and the archive's names.
    public init(platform: Platform = .current, reference: ImageReference? = nil) {
        self.platform = platform
        self.reference = reference
    }
}

extension ContentStore {
    /// Imports the images of an archive: an OCI image layout or what `docker save` writes, as tar, tar.gz or tar.zst.
    ///
    /// The stream is read to its end and spooled; then everything is verified, and only then blobs and index entries appear,
    /// or none. A name that an older image had moves to the new one. Images in Docker's form get an OCI manifest.
    ///
    /// - Parameters:
    ///   - source: The archive.
    ///   - options: What is taken.
    /// - Returns: The images in the archive's order, at least one.
    /// - Throws: `invalidArgument` for what is damaged or lies, with `blob` where it is one blob's fault; `notFound` when
    ///   nothing is for the platform; `unsupported`, `resourceExhausted`, `timedOut`.
    public func importArchive(
        _ source: any ByteSource,
        _ options: ImportOptions = ImportOptions()
    ) throws(ContentError) -> [ImportedImage] {
        let hold = hold()
        defer { withExtendedLifetime(hold) {} }
        let spool = ImportSpool(store: self)
        defer { spool.discardAll() }
        try spool.read(source)
        return try finish(spool, options)
    }

    /// Imports the images of an OCI image layout in a directory, which is only read.
    ///
    /// - Parameters:
    ///   - path: The directory. Nothing in it is reached through a symbolic link.
    ///   - options: What is taken.
    /// - Returns: The images in the order of the layout's index, at least one.
    /// - Throws: As `importArchive`.
    public func importLayout(
        at path: String,
        _ options: ImportOptions = ImportOptions()
    ) throws(ContentError) -> [ImportedImage] {
        let hold = hold()
        defer { withExtendedLifetime(hold) {} }
        let root = try kernel("open image layout") { () throws(KernelError) in try File.open(path, [.directory, .path])
        }
        let layout = LayoutDirectory(store: self, root: SharedDescriptor(root))
        defer { layout.discardAll() }
        return try finish(layout, options)
    }

    /// Resolves, verifies and enters what a package has.
    private func finish(_ package: any ImagePackage, _ options: ImportOptions) throws(ContentError) -> [ImportedImage] {
        var found = try found(in: package, options)
        guard !found.isEmpty else {
            let platform = "\(options.platform.os)/\(options.platform.architecture)"
            throw .notFound("image archive without an image for \(platform)")
        }
        if let reference = options.reference, found.count == 1, found[0].references.isEmpty {
            found[0].references = [reference.tagged]
        }
        var blobs: [Spooled] = []
        for image in found { blobs += try spooled(image, package) }
        try locked { (shared) throws(ContentError) in
            try commit(blobs, found.map { ($0.image.descriptor, $0.references) })
            for image in found { shared.images[image.image.descriptor.digest] = image.image }
        }
        return found.map { ImportedImage(image: $0.image, references: $0.references) }
    }

    private func found(in package: any ImagePackage, _ options: ImportOptions) throws(ContentError) -> [FoundImage] {
        if try package.document(ImageLayout.fileName) != nil, try package.document(ImageLayout.indexFileName) != nil {
            return try LayoutImport(package: package, limits: limits, platform: options.platform).images()
        }
        guard try package.document(DockerImport.manifestName) != nil else {
            throw .invalid("archive is neither an OCI image layout nor a Docker image archive")
        }
        return try DockerImport(package: package, limits: limits).images()
    }

    /// The spooled blobs of an image; a layer that is in the store already need not be in the package.
    private func spooled(_ image: FoundImage, _ package: any ImagePackage) throws(ContentError) -> [Spooled] {
        var blobs: [Spooled] = []
        let manifest = image.image.manifest
        for descriptor in [image.image.descriptor, manifest.config] + manifest.layers {
            guard let blob = try package.blob(descriptor.digest) else {
                guard (try? size(of: descriptor.digest)) == descriptor.size else { throw .noBlob(descriptor.digest) }
                continue
            }
            guard blob.size == descriptor.size else {
                throw .mismatch(descriptor.digest, "has \(blob.size) bytes, not \(descriptor.size)")
            }
            blobs.append(blob)
        }
        return blobs
    }

    /// All or nothing: blobs that this call made new go again when a later step fails.
    func commit(
        _ blobs: [Spooled],
        _ entries: [(ImageDescriptor, [ImageReference])]
    ) throws(ContentError) {
        var new: [Digest] = []
        do throws(ContentError) {
            for blob in blobs where try commit(blob) { new.append(blob.digest) }
            try enter(entries)
        } catch {
            // What cannot be removed now is garbage for the next collection; the first error is what matters.
            for digest in new { _ = try? File.remove(blobName(digest), at: root.raw) }
            throw error
        }
    }
}

/// An image that was found in a package and verified but for its layers' presence.
struct FoundImage {
    var image: Image
    var references: [ImageReference]
}

/// Where an import finds documents and blobs.
protocol ImagePackage: AnyObject {
    /// A small file on the package's top level; nil when it is not there.
    func document(_ name: String) throws(ContentError) -> [UInt8]?
    /// A verified blob in `ingest/`; nil when the package does not have it.
    func blob(_ digest: Digest) throws(ContentError) -> Spooled?
    /// A spooled file by its path in the package, links followed; nil when it is not there.
    func file(_ path: String) throws(ContentError) -> Spooled?
    /// Adds bytes that the import itself makes.
    func add(_ bytes: [UInt8]) throws(ContentError) -> Spooled
    /// The content of a spooled file.
    func read(_ file: Spooled, limit: Int) throws(ContentError) -> [UInt8]
}

extension ImagePackage {
    /// Documents whose bytes are verified against their descriptors.
    func documents(_ limits: ContentStore.Limits) -> ImageDocuments {
        ImageDocuments(limits: limits) { [self] (descriptor, limit) throws(ContentError) in
            guard let blob = try blob(descriptor.digest) else {
                throw .mismatch(descriptor.digest, "is missing from the archive")
            }
            guard blob.size == descriptor.size else {
                throw .mismatch(descriptor.digest, "has \(blob.size) bytes, not \(descriptor.size)")
            }
            return try read(blob, limit: limit)
        }
    }
}
