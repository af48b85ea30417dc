/// The media types of image content (OCI image-spec "media types") and Docker's names for the same things.
public enum MediaType {
    /// An index.
    public static let index = "application/vnd.oci.image.index.v1+json"
    /// A manifest.
    public static let manifest = "application/vnd.oci.image.manifest.v1+json"
    /// An image configuration.
    public static let config = "application/vnd.oci.image.config.v1+json"
    /// A layer, uncompressed.
    public static let layer = "application/vnd.oci.image.layer.v1.tar"
    /// A layer, gzip.
    public static let layerGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
    /// A layer, zstd.
    public static let layerZstd = "application/vnd.oci.image.layer.v1.tar+zstd"
    /// The empty object `{}`.
    public static let empty = "application/vnd.oci.empty.v1+json"
    /// Docker's index.
    public static let dockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json"
    /// Docker's manifest.
    public static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
    /// Docker's image configuration.
    public static let dockerConfig = "application/vnd.docker.container.image.v1+json"
    /// Docker's layer, uncompressed.
    public static let dockerLayer = "application/vnd.docker.image.rootfs.diff.tar"
    /// Docker's layer, gzip.
    public static let dockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    /// Docker's layer, zstd.
    public static let dockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd"
    /// Docker's layer that may not be distributed, gzip.
    public static let dockerForeignLayerGzip = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

    /// How a layer is packed.
    public enum LayerCompression: Sendable {
        /// A bare tar archive.
        case none
        /// gzip.
        case gzip
        /// zstd.
        case zstd
    }

    /// Whether the type is an index, in either spelling.
    public static func isIndex(_ type: String) -> Bool { type == index || type == dockerIndex }

    /// Whether the type is a manifest, in either spelling.
    public static func isManifest(_ type: String) -> Bool { type == manifest || type == dockerManifest }

    /// Whether the type is an image configuration, in either spelling.
    public static func isConfig(_ type: String) -> Bool { type == config || type == dockerConfig }

    /// How a layer of this type is packed.
    ///
    /// - Returns: Nil when the type is not a layer.
    public static func layerCompression(_ type: String) -> LayerCompression? {
        switch type {
        case layer, dockerLayer, nondistributable: LayerCompression.none
        case layerGzip, dockerLayerGzip, dockerForeignLayerGzip, nondistributable + "+gzip": .gzip
        case layerZstd, dockerLayerZstd, nondistributable + "+zstd": .zstd
        default: nil
        }
    }

    private static let nondistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar"
}
