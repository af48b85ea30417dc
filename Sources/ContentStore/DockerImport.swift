internal import Archive
internal import OCISpec

/// Finds the images of an archive in the form of `docker save`, in its old and its new layout, and gives each a manifest.
struct DockerImport {
    static let manifestName = "manifest.json"

    let package: any ImagePackage
    let limits: ContentStore.Limits

    /// One element of `manifest.json`.
    struct Item: Codable {
        var config: String
        var repoTags: [String]?
        var layers: [String]?

        enum CodingKeys: String, CodingKey {
            case config = "Config"
            case repoTags = "RepoTags"
            case layers = "Layers"
        }
    }

    /// The images in the order of `manifest.json`.
    func images() throws(ContentError) -> [FoundImage] {
        var found: [FoundImage] = []
        for item in try items() {
            let image = try image(item)
            found.append(FoundImage(image: image, references: try DockerImport.names(item)))
        }
        return found
    }

    /// The names of images by id, for an archive that is an image layout as well.
    func names() throws(ContentError) -> [Digest: [ImageReference]] {
        guard try package.document(DockerImport.manifestName) != nil else { return [:] }
        var names: [Digest: [ImageReference]] = [:]
        for item in try items() {
            guard let config = try package.file(item.config) else { continue }
            names[config.digest, default: []] += try DockerImport.names(item)
        }
        return names
    }

    private func items() throws(ContentError) -> [Item] {
        let bytes = try package.document(DockerImport.manifestName) ?? []
        let items: [Item] = try ImageDocuments.decode(bytes, "'\(DockerImport.manifestName)'", nil)
        guard items.count <= limits.manifests else {
            throw .overLimit("'\(DockerImport.manifestName)' with more than \(limits.manifests) images")
        }
        return items
    }

    private static func names(_ item: Item) throws(ContentError) -> [ImageReference] {
        var names: [ImageReference] = []
        for text in item.repoTags ?? [] {
            let reference = try ImageReference(parsing: text).tagged
            if !names.contains(reference) { names.append(reference) }
        }
        return names
    }

    private func image(_ item: Item) throws(ContentError) -> Image {
        guard let config = try package.file(item.config) else {
            throw .invalid("image archive without the configuration '\(item.config)'")
        }
        let paths = item.layers ?? []
        let document = try ImageDocuments.config(
            try package.read(config, limit: limits.configBytes),
            config.digest,
            layers: paths.count,
            limits
        )
        var layers: [ImageDescriptor] = []
        for (path, diffID) in zip(paths, document.rootfs.diffIDs) { layers.append(try layer(path, diffID)) }
        let manifest = ImageManifest(
            mediaType: MediaType.manifest,
            config: ImageDescriptor(mediaType: MediaType.config, digest: config.digest, size: config.size),
            layers: layers
        )
        let bytes = try package.add(try ImageDocuments.encode(manifest, "manifest"))
        let descriptor = ImageDescriptor(mediaType: MediaType.manifest, digest: bytes.digest, size: bytes.size)
        return Image(descriptor: descriptor, manifest: manifest, config: document)
    }

    /// Describes a layer; the archive does not say how it is packed, its first bytes do.
    private func layer(_ path: String, _ diffID: Digest) throws(ContentError) -> ImageDescriptor {
        guard let file = try package.file(path) else { throw .invalid("image archive without the layer '\(path)'") }
        let type = ContentStore.layerType(Compression.detect(file.head))
        // A packed layer is held against its digest when it is unpacked.
        guard type != MediaType.layer || diffID.algorithm != .sha256 || file.digest == diffID else {
            throw .mismatch(diffID, "is layer '\(path)', whose content has the digest \(file.digest)")
        }
        return ImageDescriptor(mediaType: type, digest: file.digest, size: file.size)
    }
}
