public import Archive
internal import Kernel
public import OCISpec

extension ContentStore {
    /// Makes an image from tar archives, each of which becomes a layer, and enters it into the index.
    ///
    /// The layers' members are looked at when they are unpacked, not here.
    ///
    /// - Parameters:
    ///   - layers: The layers, base first: tar, tar.gz or tar.zst.
    ///   - config: What a container of the image runs with.
    ///   - reference: Its name; nil enters it without one.
    ///   - platform: What it is for.
    ///   - created: Time of making, RFC 3339.
    /// - Returns: The image.
    /// - Throws: What `importArchive` throws; nothing of the image remains then.
    public func makeImage(
        layers: [any ByteSource],
        config: ImageConfig.Execution? = nil,
        reference: ImageReference? = nil,
        platform: Platform = .current,
        created: String? = nil
    ) throws(ContentError) -> Image {
        let hold = hold()
        defer { withExtendedLifetime(hold) {} }
        var spooled: [Spooled] = []
        defer { for blob in spooled { discard(blob) } }
        var diffIDs: [Digest] = []
        var descriptors: [ImageDescriptor] = []
        for layer in layers {
            let blob = try spool(layer, expecting: nil, size: nil)
            spooled.append(blob)
            let compression = Compression.detect(blob.head)
            diffIDs.append(try unpackedDigest(blob, compression))
            descriptors.append(
                ImageDescriptor(mediaType: ContentStore.layerType(compression), digest: blob.digest, size: blob.size)
            )
        }
        let document = ImageConfig(
            created: created,
            architecture: platform.architecture,
            os: platform.os,
            config: config,
            rootfs: ImageConfig.RootFS(diffIDs: diffIDs)
        )
        let configBlob = try spool(json: document, "image configuration")
        spooled.append(configBlob)
        let manifest = ImageManifest(
            mediaType: MediaType.manifest,
            config: ImageDescriptor(mediaType: MediaType.config, digest: configBlob.digest, size: configBlob.size),
            layers: descriptors
        )
        let manifestBlob = try spool(json: manifest, "manifest")
        spooled.append(manifestBlob)
        let descriptor = ImageDescriptor(
            mediaType: MediaType.manifest,
            digest: manifestBlob.digest,
            size: manifestBlob.size
        )
        let blobs = spooled
        return try locked { (shared) throws(ContentError) in
            try commit(blobs, [(descriptor, reference.map { [$0] } ?? [])])
            return try load(descriptor, &shared)
        }
    }

    static func layerType(_ compression: Compression) -> String {
        switch compression {
        case .none: MediaType.layer
        case .gzip: MediaType.layerGzip
        case .zstd: MediaType.layerZstd
        }
    }

    private func spool(json value: some Encodable, _ what: String) throws(ContentError) -> Spooled {
        let bytes = try ImageDocuments.encode(value, what)
        return try spool(BytesSource(bytes), expecting: nil, size: Int64(bytes.count))
    }

    private func unpackedDigest(_ blob: Spooled, _ compression: Compression) throws(ContentError) -> Digest {
        guard compression != .none else { return blob.digest }
        let file = try kernel("open layer") { () throws(KernelError) in
            SharedDescriptor(try File.open(blob.name, [.read, .noFollow], at: ingests.raw))
        }
        do throws(ArchiveError) {
            let unpacked = try Decompressor(DescriptorSource(file, name: "layer"), compression, limits: limits.archive)
            guard let stream = DigestingSource(unpacked) else { return blob.digest }
            var buffer = [UInt8](repeating: 0, count: 256 << 10)
            while try stream.read(into: &buffer) > 0 {}
            return stream.digest
        } catch { throw .failed("unpack layer", error) }
    }
}
