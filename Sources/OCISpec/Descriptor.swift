/// What a piece of content is, how large, and its digest (OCI image-spec "Descriptor").
public struct ImageDescriptor: Codable, Sendable, Equatable {
    /// Type of the content; see `MediaType`.
    public var mediaType: String
    /// Digest of the content.
    public var digest: Digest
    /// Bytes.
    public var size: Int64
    /// Other places of the content.
    ///
    /// Never followed with credentials.
    public var urls: [String]?
    /// Metadata.
    public var annotations: [String: String]?
    /// The content itself in base64, for small content.
    public var data: String?
    /// Type of the artifact that the content stands for.
    public var artifactType: String?
    /// Platform that an image is for; in an index.
    public var platform: Platform?

    /// Creates the object from its fields.
    public init(
        mediaType: String,
        digest: Digest,
        size: Int64,
        urls: [String]? = nil,
        annotations: [String: String]? = nil,
        data: String? = nil,
        artifactType: String? = nil,
        platform: Platform? = nil
    ) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = size
        self.urls = urls
        self.annotations = annotations
        self.data = data
        self.artifactType = artifactType
        self.platform = platform
    }
}

/// The platform that an image runs on (OCI image-spec "platform").
public struct Platform: Codable, Sendable, Equatable, Hashable {
    /// Name as GOARCH has it, such as `amd64`.
    public var architecture: String
    /// Name as GOOS has it, such as `linux`.
    public var os: String
    /// Version of the operating system.
    public var osVersion: String?
    /// Features that the operating system must have.
    public var osFeatures: [String]?
    /// Variant of the processor, such as `v8`.
    public var variant: String?
    /// Reserved by the specification.
    public var features: [String]?

    /// Creates the object from its fields.
    public init(
        architecture: String,
        os: String,
        osVersion: String? = nil,
        osFeatures: [String]? = nil,
        variant: String? = nil,
        features: [String]? = nil
    ) {
        self.architecture = architecture
        self.os = os
        self.osVersion = osVersion
        self.osFeatures = osFeatures
        self.variant = variant
        self.features = features
    }

    private enum CodingKeys: String, CodingKey {
        case architecture
        case os
        case osVersion = "os.version"
        case osFeatures = "os.features"
        case variant
        case features
    }
}
