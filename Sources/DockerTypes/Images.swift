/// An image in a list.
public struct ImageSummary: Codable, Sendable, Equatable, ZeroValue {
    /// Digest of the configuration, `sha256:…`.
    @Zero public var id: String
    /// Id of the parent; empty.
    @Zero public var parentId: String
    /// References with a tag.
    @Zero public var repoTags: [String]
    /// References with a digest.
    @Zero public var repoDigests: [String]
    /// Time of creation in seconds since 1970.
    @Zero public var created: Int
    /// Bytes of the unpacked layers.
    @Zero public var size: Int
    /// Bytes shared with other images; -1 when not computed.
    @Zero public var sharedSize: Int
    /// Labels.
    public var labels: [String: String]?
    /// Containers that use it; -1 when not computed.
    @Zero public var containers: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id"
        case parentId = "ParentId"
        case repoTags = "RepoTags"
        case repoDigests = "RepoDigests"
        case created = "Created"
        case size = "Size"
        case sharedSize = "SharedSize"
        case labels = "Labels"
        case containers = "Containers"
    }
}

/// Layers of an image.
public struct RootFS: Codable, Sendable, Equatable, ZeroValue {
    /// `layers`.
    @Zero public var type: String
    /// Digests of the uncompressed layers, lowest first.
    public var layers: [String]?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case type = "Type"
        case layers = "Layers"
    }
}

/// What the store knows about an image.
public struct ImageMetadata: Codable, Sendable, Equatable, ZeroValue {
    /// When it was last tagged, RFC 3339.
    @Zero public var lastTagTime: GoTime

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case lastTagTime = "LastTagTime"
    }
}

/// Names content in the store.
public struct Descriptor: Codable, Sendable, Equatable, ZeroValue {
    /// Media type.
    @Zero public var mediaType: String
    /// Digest.
    @Zero public var digest: String
    /// Bytes.
    @Zero public var size: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case mediaType
        case digest
        case size
    }
}

/// What an image says about running it.
public struct ImageConfig: Codable, Sendable, Equatable, ZeroValue {
    /// `user[:group]`.
    public var user: String?
    /// Ports as `80/tcp`.
    public var exposedPorts: [String: Empty]?
    /// Environment.
    public var env: [String]?
    /// Command.
    public var cmd: StringList?
    /// Entrypoint.
    public var entrypoint: StringList?
    /// Paths that get an anonymous volume.
    public var volumes: [String: Empty]?
    /// Working directory.
    public var workingDir: String?
    /// Labels.
    public var labels: [String: String]?
    /// Stop signal.
    public var stopSignal: String?
    /// Health check.
    public var healthcheck: HealthConfig?
    /// Triggers.
    public var onBuild: [String]?
    /// Shell.
    public var shell: StringList?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case user = "User"
        case exposedPorts = "ExposedPorts"
        case env = "Env"
        case cmd = "Cmd"
        case entrypoint = "Entrypoint"
        case volumes = "Volumes"
        case workingDir = "WorkingDir"
        case labels = "Labels"
        case stopSignal = "StopSignal"
        case healthcheck = "Healthcheck"
        case onBuild = "OnBuild"
        case shell = "Shell"
    }
}

/// Everything about one image.
public struct ImageInspect: Codable, Sendable, Equatable, ZeroValue {
    /// Digest of the configuration, `sha256:…`.
    @Zero public var id: String
    /// References with a tag.
    @Zero public var repoTags: [String]
    /// References with a digest.
    @Zero public var repoDigests: [String]
    /// Id of the parent; empty.
    @Zero public var parent: String
    /// Comment of the last step.
    @Zero public var comment: String
    /// Time of creation, RFC 3339.
    public var created: GoTime?
    /// Version of the builder.
    @Zero public var dockerVersion: String
    /// Author.
    @Zero public var author: String
    /// What it says about running it.
    public var config: ImageConfig?
    /// Architecture.
    @Zero public var architecture: String
    /// Variant of the architecture.
    public var variant: String?
    /// Operating system.
    @Zero public var os: String
    /// Version of the operating system.
    public var osVersion: String?
    /// Bytes of the unpacked layers.
    @Zero public var size: Int
    /// The same; before API 1.44.
    public var virtualSize: Int?
    /// How the layers are stored.
    @Zero public var graphDriver: GraphDriverData
    /// Layers.
    @Zero public var rootFS: RootFS
    /// What the store knows.
    @Zero public var metadata: ImageMetadata
    /// Descriptor of the manifest.
    public var descriptor: Descriptor?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id"
        case repoTags = "RepoTags"
        case repoDigests = "RepoDigests"
        case parent = "Parent"
        case comment = "Comment"
        case created = "Created"
        case dockerVersion = "DockerVersion"
        case author = "Author"
        case config = "Config"
        case architecture = "Architecture"
        case variant = "Variant"
        case os = "Os"
        case osVersion = "OsVersion"
        case size = "Size"
        case virtualSize = "VirtualSize"
        case graphDriver = "GraphDriver"
        case rootFS = "RootFS"
        case metadata = "Metadata"
        case descriptor = "Descriptor"
    }
}

/// One step of an image's history.
public struct ImageHistoryItem: Codable, Sendable, Equatable, ZeroValue {
    /// Image id of the step, or `<missing>`.
    @Zero public var id: String
    /// Time in seconds since 1970.
    @Zero public var created: Int
    /// What made the step.
    @Zero public var createdBy: String
    /// Tags.
    public var tags: [String]?
    /// Bytes of the layer.
    @Zero public var size: Int
    /// Comment.
    @Zero public var comment: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case id = "Id"
        case created = "Created"
        case createdBy = "CreatedBy"
        case tags = "Tags"
        case size = "Size"
        case comment = "Comment"
    }
}

/// One effect of removing an image.
public struct ImageDeleteItem: Codable, Sendable, Equatable, ZeroValue {
    /// A reference that is gone.
    public var untagged: String?
    /// An image or layer that is gone.
    public var deleted: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case untagged = "Untagged"
        case deleted = "Deleted"
    }
}

/// Answer to a prune of images.
public struct ImagePruneResponse: Codable, Sendable, Equatable, ZeroValue {
    /// What is gone.
    @Zero public var imagesDeleted: [ImageDeleteItem]
    /// Bytes.
    @Zero public var spaceReclaimed: UInt64

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case imagesDeleted = "ImagesDeleted"
        case spaceReclaimed = "SpaceReclaimed"
    }
}

/// How far a step is.
public struct ProgressDetail: Codable, Sendable, Equatable, ZeroValue {
    /// Done so far.
    public var current: Int?
    /// All of it.
    public var total: Int?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case current
        case total
    }
}

/// Why a stream failed.
public struct ProgressErrorDetail: Codable, Sendable, Equatable, ZeroValue {
    /// Exit code, where there is one.
    public var code: Int?
    /// The reason.
    @Zero public var message: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case code
        case message
    }
}

/// One line of a progress stream.
public struct ProgressMessage: Codable, Sendable, Equatable, ZeroValue {
    /// Text for the terminal.
    public var stream: String?
    /// What happens.
    public var status: String?
    /// What it happens to.
    public var id: String?
    /// How far it is.
    public var progressDetail: ProgressDetail?
    /// Why it failed.
    public var error: String?
    /// Why it failed, with a code.
    public var errorDetail: ProgressErrorDetail?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case stream
        case status
        case id
        case progressDetail
        case error
        case errorDetail
    }
}
