public import Kernel

/// An image that the engine has.
public struct ImageSnapshot: Sendable {
    /// Digest of its configuration, `sha256:…`.
    public var id: String
    /// `name:tag` of each tag.
    public var tags: [String]
    /// `name@sha256:…` of each known manifest.
    public var digests: [String]
    /// When it was made.
    public var created: Timestamp?
    /// Bytes of its unpacked layers.
    public var size: Int64
    /// Who made it.
    public var author: String
    /// Platform.
    public var architecture: String, variant: String, os: String
    /// Configuration of a container.
    public var configuration: ImageConfiguration
    /// Digests of the uncompressed layers, base first.
    public var layers: [String]
    /// When it was tagged last here.
    public var lastTagged: Timestamp?
    /// Comment of the newest history entry.
    public var comment: String

    package init(
        id: String,
        tags: [String],
        digests: [String],
        created: Timestamp? = nil,
        size: Int64,
        author: String,
        architecture: String,
        variant: String,
        os: String,
        configuration: ImageConfiguration,
        layers: [String],
        lastTagged: Timestamp? = nil,
        comment: String
    ) {
        self.id = id
        self.tags = tags
        self.digests = digests
        self.created = created
        self.size = size
        self.author = author
        self.architecture = architecture
        self.variant = variant
        self.os = os
        self.configuration = configuration
        self.layers = layers
        self.lastTagged = lastTagged
        self.comment = comment
    }
}

/// What an image says about its containers.
public struct ImageConfiguration: Sendable, Equatable {
    /// User.
    public var user: String = ""
    /// Declared ports.
    public var exposedPorts: [String] = []
    /// Environment.
    public var environment: [String] = []
    /// Entrypoint.
    public var entrypoint: [String]?
    /// Command.
    public var command: [String]?
    /// Directories for anonymous volumes.
    public var volumes: [String] = []
    /// Working directory.
    public var workingDirectory: String = ""
    /// Labels.
    public var labels: [String: String] = [:]
    /// Stop signal.
    public var stopSignal: String?
    /// How to find out whether a container works.
    public var health: HealthConfiguration?
    /// Shell for lines; nil is `/bin/sh -c`.
    public var shell: [String]?

    /// Says nothing.
    public init() {}
}

/// One step of an image's making.
public struct ImageHistoryEntry: Sendable {
    /// Image id for the newest, else `<missing>`.
    public var id: String
    /// When.
    public var created: Timestamp?
    /// How.
    public var createdBy: String
    /// Tags that name it.
    public var tags: [String]
    /// Bytes that it added.
    public var size: Int64
    /// Comment.
    public var comment: String

    package init(
        id: String,
        created: Timestamp? = nil,
        createdBy: String,
        tags: [String],
        size: Int64,
        comment: String
    ) {
        self.id = id
        self.created = created
        self.createdBy = createdBy
        self.tags = tags
        self.size = size
        self.comment = comment
    }
}

/// What removing an image did.
public enum ImageDeletion: Sendable, Equatable {
    /// A name is gone.
    case untagged(String)
    /// An image or layer is gone.
    case deleted(String)
}
