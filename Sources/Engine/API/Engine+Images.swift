public import EngineModel
public import Kernel

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
