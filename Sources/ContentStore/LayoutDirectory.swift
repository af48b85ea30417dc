internal import Archive
internal import Kernel
internal import OCISpec

/// An OCI image layout in a directory; blobs are spooled when they are asked for.
final class LayoutDirectory: ImagePackage {
    private let store: ContentStore
    private let root: SharedDescriptor
    private var blobs: [Digest: Spooled] = [:]

    init(store: ContentStore, root: SharedDescriptor) {
        self.store = store
        self.root = root
    }

    func document(_ name: String) throws(ContentError) -> [UInt8]? {
        // Docker's documents of a hybrid archive add nothing to the layout's own.
        guard name == ImageLayout.fileName || name == ImageLayout.indexFileName else { return nil }
        guard let file = try open([name]) else { return nil }
        do throws(KernelError) { return try file.readToEnd(limit: store.limits.documentBytes) } catch {
            guard error.errno == .fileTooBig else { throw .failed("read '\(name)' of image layout", error) }
            throw .overLimit("'\(name)' of more than \(store.limits.documentBytes) bytes")
        }
    }

    func blob(_ digest: Digest) throws(ContentError) -> Spooled? {
        if let blob = blobs[digest] { return blob }
        guard let file = try open(["blobs", digest.algorithm.rawValue, digest.hex]) else { return nil }
        var limits = store.limits.archive
        limits.deadline = ContinuousClock.now + store.limits.importDuration
        let bounded: Decompressor
        do throws(ArchiveError) {
            bounded = try Decompressor(DescriptorSource(file, name: "blob \(digest)"), .none, limits: limits)
        } catch { throw .failed("read blob \(digest)", error, blob: digest) }
        let spooled = try store.spool(bounded, expecting: digest, size: nil)
        blobs[digest] = spooled
        return spooled
    }

    func file(_ path: String) -> Spooled? { nil }

    func add(_ bytes: [UInt8]) throws(ContentError) -> Spooled {
        throw .unsupported("documents of our own in an image layout")
    }

    func read(_ file: Spooled, limit: Int) throws(ContentError) -> [UInt8] { try store.read(file, limit: limit) }

    func discardAll() { for blob in blobs.values { store.discard(blob) } }

    /// Opens a regular file; a symbolic link at any of its components is an error.
    private func open(_ components: [String]) throws(ContentError) -> SharedDescriptor? {
        let path = components.joined(separator: "/")
        do throws(KernelError) {
            var place = root
            for component in components.dropLast() {
                place = SharedDescriptor(try File.open(component, [.path, .directory, .noFollow], at: place.raw))
            }
            // A pipe must not make the import wait, so nothing that is not a regular file is opened for reading.
            let name = components.last ?? "."
            let status = try File.status(name, at: place.raw)
            guard status.isRegular else { throw KernelError.failed("open", path, .invalid) }
            return SharedDescriptor(try File.open(name, [.read, .noFollow, .nonBlocking], at: place.raw))
        } catch {
            if error.errno == .noEntry { return nil }
            throw .invalid("'\(path)' of image layout is no regular file: \(error)")
        }
    }
}
