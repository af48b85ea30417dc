/// An image of one platform: its configuration and layers (OCI image-spec "manifest").
public struct ImageManifest: Codable, Sendable, Equatable {
    /// Always 2.
    public var schemaVersion: Int
    /// The document's own type.
    public var mediaType: String?
    /// Type of the artifact when the configuration is empty.
    public var artifactType: String?
    /// The configuration.
    public var config: ImageDescriptor
    /// The layers, base first.
    public var layers: [ImageDescriptor]
    /// Manifest that this one refers to.
    public var subject: ImageDescriptor?
    /// Metadata.
    public var annotations: [String: String]?

    /// Creates the object from its fields.
    public init(
        schemaVersion: Int = 2,
        mediaType: String? = nil,
        artifactType: String? = nil,
        config: ImageDescriptor,
        layers: [ImageDescriptor] = [],
        subject: ImageDescriptor? = nil,
        annotations: [String: String]? = nil
    ) {
        self.schemaVersion = schemaVersion
        self.mediaType = mediaType
        self.artifactType = artifactType
        self.config = config
        self.layers = layers
        self.subject = subject
        self.annotations = annotations
    }

    /// Decodes the object; what is absent or null gets its default.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        schemaVersion = try values.decodeIfPresent(Int.self, forKey: .schemaVersion) ?? 2
        mediaType = try values.decodeIfPresent(String.self, forKey: .mediaType)
        artifactType = try values.decodeIfPresent(String.self, forKey: .artifactType)
        config = try values.decode(ImageDescriptor.self, forKey: .config)
        layers = try values.decodeIfPresent([ImageDescriptor].self, forKey: .layers) ?? []
        subject = try values.decodeIfPresent(ImageDescriptor.self, forKey: .subject)
        annotations = try values.decodeIfPresent([String: String].self, forKey: .annotations)
    }

    private enum CodingKeys: String, CodingKey {
        case schemaVersion
        case mediaType
        case artifactType
        case config
        case layers
        case subject
        case annotations
    }
}

/// A list of manifests, one for each platform (OCI image-spec "index").
public struct ImageIndex: Codable, Sendable, Equatable {
    /// Always 2.
    public var schemaVersion: Int
    /// The document's own type.
    public var mediaType: String?
    /// Type of the artifact.
    public var artifactType: String?
    /// The manifests; of those that fit, the first is meant.
    public var manifests: [ImageDescriptor]
    /// Manifest that this one refers to.
    public var subject: ImageDescriptor?
    /// Metadata.
    public var annotations: [String: String]?

    /// Creates the object from its fields.
    public init(
        schemaVersion: Int = 2,
        mediaType: String? = nil,
        artifactType: String? = nil,
        manifests: [ImageDescriptor] = [],
        subject: ImageDescriptor? = nil,
        annotations: [String: String]? = nil
    ) {
        self.schemaVersion = schemaVersion
        self.mediaType = mediaType
        self.artifactType = artifactType
        self.manifests = manifests
        self.subject = subject
        self.annotations = annotations
    }

    /// Decodes the object; what is absent or null gets its default.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        schemaVersion = try values.decodeIfPresent(Int.self, forKey: .schemaVersion) ?? 2
        mediaType = try values.decodeIfPresent(String.self, forKey: .mediaType)
        artifactType = try values.decodeIfPresent(String.self, forKey: .artifactType)
        manifests = try values.decodeIfPresent([ImageDescriptor].self, forKey: .manifests) ?? []
        subject = try values.decodeIfPresent(ImageDescriptor.self, forKey: .subject)
        annotations = try values.decodeIfPresent([String: String].self, forKey: .annotations)
    }

    private enum CodingKeys: String, CodingKey {
        case schemaVersion
        case mediaType
        case artifactType
        case manifests
        case subject
        case annotations
    }
}

/// The file `oci-layout` of an image layout directory.
public struct ImageLayout: Codable, Sendable, Equatable {
    /// Always `1.0.0`.
    public var imageLayoutVersion: String

    /// Creates the object from its fields.
    public init(imageLayoutVersion: String = "1.0.0") {
        self.imageLayoutVersion = imageLayoutVersion
    }

    /// Decodes the object; what is absent or null gets its default.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        imageLayoutVersion = try values.decodeIfPresent(String.self, forKey: .imageLayoutVersion) ?? "1.0.0"
    }

    private enum CodingKeys: String, CodingKey {
        case imageLayoutVersion
    }
}

extension ImageLayout {
    /// Name of the marker file.
    public static let fileName = "oci-layout"
    /// Name of the index file.
    public static let indexFileName = "index.json"
    /// Annotation that holds a manifest's tag in the index file.
    public static let referenceNameAnnotation = "org.opencontainers.image.ref.name"
}
