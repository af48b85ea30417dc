internal import OCISpec

/// Finds the images of an OCI image layout.
struct LayoutImport {
    let package: any ImagePackage
    let limits: ContentStore.Limits
    let platform: Platform

    /// The images for the platform in the order of the index; an image with several names comes once.
    func images() throws(ContentError) -> [FoundImage] {
        let marker: ImageLayout = try ImageDocuments.decode(
            try package.document(ImageLayout.fileName) ?? [],
            "'\(ImageLayout.fileName)'",
            nil
        )
        guard marker.imageLayoutVersion == "1.0.0" else {
            throw .unsupported("image layout of version '\(marker.imageLayoutVersion)'")
        }
        let bytes = try package.document(ImageLayout.indexFileName) ?? []
        let index = try ImageDocuments.index(bytes, "'\(ImageLayout.indexFileName)'", limits)
        let documents = package.documents(limits)
        let dockerNames = try DockerImport(package: package, limits: limits).names()
        var found: [FoundImage] = []
        for entry in index.manifests where !LayoutImport.isAttestation(entry) {
            // A layout may hold artifacts of other kinds, which are none of an import's business.
            guard MediaType.isManifest(entry.mediaType) || MediaType.isIndex(entry.mediaType) else { continue }
            if let platform = entry.platform, !self.platform.runs(platform) { continue }
            guard let manifest = try documents.manifest(entry, for: platform) else { continue }
            let image = try documents.image(ContentStore.entry(manifest, nil))
            let names = LayoutImport.names(entry)
            if let place = found.firstIndex(where: { $0.image.descriptor.digest == manifest.digest }) {
                found[place].references += names.filter { !found[place].references.contains($0) }
            } else {
                found.append(FoundImage(image: image, references: names))
            }
        }
        for place in found.indices where found[place].references.isEmpty {
            found[place].references = dockerNames[found[place].image.id] ?? []
        }
        return found
    }

    /// A build's statement about an image, which travels in the image's index.
    private static func isAttestation(_ entry: ImageDescriptor) -> Bool {
        entry.annotations?["vnd.docker.reference.type"] != nil
    }

    /// The names in an entry's annotations; a bare tag names no repository and is not one.
    private static func names(_ entry: ImageDescriptor) -> [ImageReference] {
        let texts = [ContentStore.imageNameAnnotation, ImageLayout.referenceNameAnnotation]
            .compactMap { entry.annotations?[$0] }
        for text in texts where text.contains("/") || text.contains(":") {
            if let reference = try? ImageReference(parsing: text) { return [reference.tagged] }
        }
        return []
    }
}
