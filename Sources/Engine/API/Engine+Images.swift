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
}

/// What removing an image did.
public enum ImageDeletion: Sendable, Equatable {
    /// A name is gone.
    case untagged(String)
    /// An image or layer is gone.
    case deleted(String)
}

extension Engine {
    /// Loads every image of an archive (Docker's or OCI's layout, plain or gzip) from a readable descriptor.
    ///
    /// Reads on a thread of its own until the end of the archive. An image that was loaded is durable; a failure in the
    /// middle leaves no half image.
    /// - Returns: `name:tag` of each tag, or the id of an image without one, in the order of the archive.
    public func loadImages(from archive: SharedDescriptor) async throws -> [String] {
        try await core.loadImages(from: archive)
    }

    /// Images, newest first.
    ///
    /// Filter keys: dangling, label, reference, before, since, until.
    public func listImages(all: Bool = false, filters: Filters = [:]) async throws -> [ImageSnapshot] {
        try await core.listImages(all: all, filters: filters)
    }

    /// One image by `name[:tag]`, `name@digest`, id or a unique prefix of it.
    public func inspectImage(_ reference: String) async throws -> ImageSnapshot {
        try await core.inspectImage(reference)
    }

    /// How an image was made, newest first.
    public func imageHistory(_ reference: String) async throws -> [ImageHistoryEntry] {
        try await core.imageHistory(reference)
    }

    /// Gives an image another name, `name[:tag]`; takes it from the image that had it.
    public func tagImage(_ reference: String, as name: String) async throws {
        try await core.tagImage(reference, as: name)
    }

    /// Removes a name, and the image with the last one.
    /// - Throws: ``EngineError`` `.failedPrecondition` (conflict) when a container uses it or several names refer to the
    ///   id, unless `force`.
    public func removeImage(_ reference: String, force: Bool = false) async throws -> [ImageDeletion] {
        try await core.removeImage(reference, force: force)
    }

    /// Removes images without a tag, or with `dangling=false` all that no container uses.
    public func pruneImages(filters: Filters = [:]) async throws -> (deleted: [ImageDeletion], reclaimed: Int64) {
        try await core.pruneImages(filters: filters)
    }
}
