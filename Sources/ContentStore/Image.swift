public import OCISpec

/// An image: one manifest with its configuration and layers, understood and validated.
public struct Image: Sendable, Equatable {
    /// One layer.
    public struct Layer: Sendable, Equatable {
        /// The packed layer.
        public let descriptor: ImageDescriptor
        /// Digest of the unpacked layer.
        public let diffID: Digest
        /// Digest of this layer on top of all below it: the name of its snapshot.
        public let chainID: Digest
    }

    /// Digest of the configuration: the image's id.
    public let id: Digest
    /// The manifest's descriptor.
    public let descriptor: ImageDescriptor
    /// The manifest.
    public let manifest: ImageManifest
    /// The configuration.
    public let config: ImageConfig
    /// The layers, base first.
    public let layers: [Layer]
    /// Bytes of manifest, configuration and packed layers.
    public let size: Int64

    /// The chain id of the topmost layer; nil for an image without layers.
    public var chainID: Digest? { layers.last?.chainID }

    init(descriptor: ImageDescriptor, manifest: ImageManifest, config: ImageConfig) {
        id = manifest.config.digest
        self.descriptor = descriptor
        self.manifest = manifest
        self.config = config
        layers = zip(zip(manifest.layers, config.rootfs.diffIDs), ChainID.all(config.rootfs.diffIDs))
            .map { Layer(descriptor: $0.0, diffID: $0.1, chainID: $1) }
        size = manifest.layers.reduce(descriptor.size + manifest.config.size) { $0 + $1.size }
    }
}

/// Names of stacks of layers (OCI image-spec "Layer ChainID").
public enum ChainID {
    /// The chain ids of every layer on top of those before it.
    ///
    /// - Parameter diffIDs: Digests of the unpacked layers, base first.
    /// - Returns: As many digests, in the same order.
    public static func all(_ diffIDs: [Digest]) -> [Digest] {
        var chain: [Digest] = []
        for diffID in diffIDs {
            guard let below = chain.last else {
                chain.append(diffID)
                continue
            }
            chain.append(Digester.sha256(Array("\(below) \(diffID)".utf8)))
        }
        return chain
    }
}

/// An image of the store with its names.
public struct StoredImage: Sendable, Equatable {
    /// The image.
    public let image: Image
    /// Its names in full, sorted; empty for an image that lost them.
    public let references: [ImageReference]

    /// Creates a value.
    public init(image: Image, references: [ImageReference]) {
        self.image = image
        self.references = references
    }
}
