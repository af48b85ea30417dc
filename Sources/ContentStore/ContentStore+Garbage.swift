internal import Kernel
public import OCISpec

/// What a collection did.
public struct GarbageReport: Sendable, Equatable {
    /// Blobs that were removed.
    public var removed: [ContentStore.Blob] = []
    /// Whether nothing was done because an import or a pull is on its way.
    public var isPostponed = false

    /// Bytes that were freed.
    public var bytes: Int64 { removed.reduce(0) { $0 + $1.size } }

    /// Creates an empty report.
    public init() {}
}

extension ContentStore {
    /// Removes every blob that no image needs.
    ///
    /// Kept is what the index names, what `roots` names, and what their manifests and indexes refer to. A root that cannot be
    /// read keeps itself. Imports wait until it is over; it does nothing while one has begun.
    ///
    /// - Parameter roots: Further digests to keep with all they refer to, such as the manifests of containers' images.
    /// - Returns: What was removed.
    /// - Throws: `failedPrecondition` while a damaged index lies aside; the class of the failed system call.
    @discardableResult
    public func collectGarbage(keeping roots: some Sequence<Digest>) throws(ContentError) -> GarbageReport {
        let extra = Array(roots)
        return try locked { (shared) throws(ContentError) in
            var report = GarbageReport()
            guard shared.holds == 0 else {
                report.isPostponed = true
                return report
            }
            guard !File.exists(ContentStore.damagedIndexName, at: root.raw) else {
                throw .precondition("'\(path)/\(ContentStore.damagedIndexName)' may name images: repair or remove it")
            }
            let live = reachable(from: try readIndex().manifests.map(\.digest) + extra)
            shared.images = shared.images.filter { live.contains($0.key) }
            for blob in try list() where !live.contains(blob.digest) {
                do throws(KernelError) {
                    if try File.remove(blobName(blob.digest), at: root.raw) { report.removed.append(blob) }
                } catch { throw .failed("remove blob \(blob.digest)", error) }
            }
            return report
        }
    }

    private struct Referrer: Decodable {
        var config: ImageDescriptor?
        var layers: [ImageDescriptor]?
        var manifests: [ImageDescriptor]?
    }

    private func reachable(from roots: [Digest]) -> Set<Digest> {
        var live = Set<Digest>()
        var queue = roots
        while let digest = queue.popLast() {
            guard live.insert(digest).inserted else { continue }
            // Only documents refer to anything, and none is larger than this.
            guard let size = try? size(of: digest), size <= Int64(limits.documentBytes) else { continue }
            guard let bytes = try? read(digest, limit: limits.documentBytes), bytes.first == UInt8(ascii: "{") else {
                continue
            }
            guard let document: Referrer = try? ImageDocuments.decode(bytes, "blob", digest) else { continue }
            queue += [document.config].compactMap { $0?.digest }
            queue += (document.layers ?? []).map(\.digest) + (document.manifests ?? []).map(\.digest)
        }
        return live
    }
}
